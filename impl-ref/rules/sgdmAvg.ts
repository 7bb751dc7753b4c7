import { elementwise } from '../elementwise.ts';
import type { BaseRule } from './rule.ts';

/** Bytes of the ring of gradients that `sgdm-avg` keeps for `size` parameters. */
export function ringBytes(window: number, size: number): number {
  return window * size * Float64Array.BYTES_PER_ELEMENT;
}

/**
 * SGD along the mean of the last k gradients, eq. (10):
 *
 *     deltaW = (1 / k) sum_{e=0}^{k-1} g_{t-e},    k = window, g_s = 0 for s < 1
 *
 * State `ring`: k rows of one gradient each; g_t lies in row (t - 1) mod k.
 *
 * @throws RangeError when the ring would take 2 GiB or more
 */
export const sgdmAvg: BaseRule<'sgdm-avg'> = (gradient, slots, t, { window }) => {
  const size = gradient.length;
  if (ringBytes(window, size) >= 2 ** 31) {
    throw new RangeError(
      `window must keep the ring of gradients below 2 GiB, got ${window} (${ringBytes(window, size)} bytes for ${size} parameters)`,
    );
  }
  const ring = slots['ring']?.slice() ?? new Float64Array(window * size);
  if (ring.length !== window * size) {
    throw new RangeError(`window must stay what it was (${ring.length / size}) while the state lasts, got ${window}`);
  }
  ring.set(gradient, ((t - 1) % window) * size);
  let sum: Float64Array = new Float64Array(size);
  for (let age = 0; age < Math.min(window, t); age++) {
    const row = (t - 1 - age) % window;
    sum = elementwise((s, g) => s + g, sum, ring.subarray(row * size, (row + 1) * size));
  }
  return { deltaW: elementwise((s) => s / window, sum), slots: { ...slots, ring } };
};
