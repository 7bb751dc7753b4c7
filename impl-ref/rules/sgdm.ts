import { elementwise } from '../elementwise.ts';
import type { BaseRule } from './rule.ts';

/**
 * SGD with momentum: eq. (1) with eta = 1.
 *
 *     buf_1 = g_1,  buf_t = momentum buf_{t-1} + (1 - dampening) g_t
 *     deltaW = nesterov ? g_t + momentum buf_t : buf_t
 *
 * Without momentum deltaW = g_t, there is no buffer, and dampening is ignored. The learning rate stands outside the buffer.
 * Source: torch/optim/sgd.py (PyTorch 1.13).
 */
export const sgdm: BaseRule<'sgdm'> = (gradient, slots, t, { momentum, dampening, nesterov }) => {
  if (momentum === 0) return { deltaW: gradient, slots };
  const previous = t === 1 ? undefined : slots['buf'];
  const buf =
    previous === undefined ? gradient : elementwise((b, g) => momentum * b + (1 - dampening) * g, previous, gradient);
  const deltaW = nesterov ? elementwise((g, b) => g + momentum * b, gradient, buf) : buf;
  return { deltaW, slots: { ...slots, buf } };
};
