import { elementwise } from '../elementwise.ts';
import type { BaseRule, Slots } from './rule.ts';

/** The two moments that Adam and its relatives share. */
export interface Moments {
  readonly m: Float64Array;
  readonly v: Float64Array;
}

/** m_t = beta1 m_{t-1} + (1 - beta1) g_t and v_t = beta2 v_{t-1} + (1 - beta2) g_t^2, from zeros. */
export function updateMoments(gradient: Float64Array, slots: Slots, beta1: number, beta2: number): Moments {
  const zeros = new Float64Array(gradient.length);
  return {
    m: elementwise((m, g) => beta1 * m + (1 - beta1) * g, slots['m'] ?? zeros, gradient),
    v: elementwise((v, g) => beta2 * v + (1 - beta2) * g * g, slots['v'] ?? zeros, gradient),
  };
}

/**
 * Adam.
 *
 *     mhat = m / (1 - beta1^t),  vhat = v / (1 - beta2^t)
 *     corrected:  deltaW = mhat / (sqrt(vhat) + epsilon)
 *     hat:        deltaW = m sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + epsilon)
 *
 * Source: Kingma and Ba 2015, Algorithm 1; `hat` is the form at the end of its section 2, PyTorch's before 1.3 and the one
 * that the authors of learning rate dropout ran.
 */
export const adam: BaseRule<'adam'> = (gradient, slots, t, { beta1, beta2, epsilon, epsilonMode }) => {
  const { m, v } = updateMoments(gradient, slots, beta1, beta2);
  const correction1 = 1 - beta1 ** t;
  const correction2 = 1 - beta2 ** t;
  const deltaW =
    epsilonMode === 'corrected'
      ? elementwise((m, v) => m / correction1 / (Math.sqrt(v / correction2) + epsilon), m, v)
      : elementwise((m, v) => (m * Math.sqrt(correction2)) / correction1 / (Math.sqrt(v) + epsilon), m, v);
  return { deltaW, slots: { ...slots, m, v } };
};
