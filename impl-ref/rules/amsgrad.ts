import { elementwise } from '../elementwise.ts';
import { updateMoments } from './adam.ts';
import type { BaseRule } from './rule.ts';

/**
 * AMSGrad: Adam whose second moment never falls.
 *
 *     raw (PyTorch):            vmax = max(vmax, v),     deltaW = mhat / (sqrt(vmax / (1 - beta2^t)) + epsilon)
 *     corrected (optax):        vmax = max(vmax, vhat),  deltaW = mhat / (sqrt(vmax) + epsilon)
 *     uncorrected (its paper):  vmax = max(vmax, v),     deltaW = m / (sqrt(vmax) + epsilon)
 *
 * With `epsilonMode` hat epsilon stands beside the root of the second moment as it is before its correction (Keras, which takes `raw`): where
 * there is a correction epsilon / sqrt(1 - beta2^t) takes its place.
 *
 * Source: Reddi, Kale, Kumar 2018, Algorithm 2 (which has no epsilon).
 */
export const amsgrad: BaseRule<'amsgrad'> = (gradient, slots, t, { beta1, beta2, epsilon, maxOf, epsilonMode }) => {
  const { m, v } = updateMoments(gradient, slots, beta1, beta2);
  const correction1 = maxOf === 'uncorrected' ? 1 : 1 - beta1 ** t;
  const correction2 = 1 - beta2 ** t;
  const previous = slots['vmax'] ?? new Float64Array(gradient.length);
  const vmax = elementwise((vmax, v) => Math.max(vmax, maxOf === 'corrected' ? v / correction2 : v), previous, v);
  const divisor = maxOf === 'raw' ? correction2 : 1;
  const beside = epsilonMode === 'hat' && maxOf !== 'uncorrected' ? epsilon / Math.sqrt(correction2) : epsilon;
  const deltaW = elementwise((m, vmax) => m / correction1 / (Math.sqrt(vmax / divisor) + beside), m, vmax);
  return { deltaW, slots: { ...slots, m, v, vmax } };
};
