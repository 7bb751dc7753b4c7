import { elementwise } from '../elementwise.ts';
import type { BaseRule } from './rule.ts';

/**
 * RMSprop.
 *
 *     v = rho v + (1 - rho) g^2
 *     gavg = rho gavg + (1 - rho) g,  s = max(v - gavg^2, 0)    centered; otherwise s = v
 *     r = g / (sqrt(s) + epsilon)  or, epsilonPlacement inside,  g / sqrt(s + epsilon)
 *     buf = momentum buf + r,  deltaW = buf                     momentum > 0; otherwise deltaW = r
 *
 * The maximum keeps rounding from making the variance negative (PyTorch and TensorFlow.js return NaN there).
 * Source: torch/optim/rmsprop.py; Tieleman and Hinton 2012, lecture 6.5.
 */
export const rmsprop: BaseRule<'rmsprop'> = (
  gradient,
  slots,
  _t,
  { rho, epsilon, epsilonPlacement, momentum, centered },
) => {
  const zeros = new Float64Array(gradient.length);
  const v = elementwise((v, g) => rho * v + (1 - rho) * g * g, slots['v'] ?? zeros, gradient);
  let next = { ...slots, v };
  let s = v;
  if (centered) {
    const gavg = elementwise((a, g) => rho * a + (1 - rho) * g, slots['gavg'] ?? zeros, gradient);
    s = elementwise((v, a) => Math.max(v - a * a, 0), v, gavg);
    next = { ...next, gavg } as typeof next;
  }
  const r =
    epsilonPlacement === 'outside'
      ? elementwise((g, s) => g / (Math.sqrt(s) + epsilon), gradient, s)
      : elementwise((g, s) => g / Math.sqrt(s + epsilon), gradient, s);
  if (momentum === 0) return { deltaW: r, slots: next };
  const buf = elementwise((b, r) => momentum * b + r, slots['buf'] ?? zeros, r);
  return { deltaW: buf, slots: { ...next, buf } };
};
