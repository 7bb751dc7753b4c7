/** What a masked update is made of, for one tensor. */
export interface MaskedUpdate {
  /** theta. */
  readonly values: Float64Array;
  /** The base rule's direction, decoupled decay not included. */
  readonly deltaW: Float64Array;
  /** d: 1 keeps, 0 drops. */
  readonly mask: ArrayLike<number>;
  /** s: one factor for the tensor. */
  readonly factor: number;
  /** alpha. */
  readonly learningRate: number;
  /** lambda, the coefficient of decoupled decay; 0 for every rule without. */
  readonly decoupledDecay: number;
  /** What becomes of the decay: `spec/family.ts` has the sources. */
  readonly decay: 'scaled' | 'masked' | 'plain';
}

/**
 * One update of the family: granularity and draw have made the mask, the factor is s.
 *
 *     scaled:  theta <- d ? theta - alpha s (deltaW + lambda theta) : theta
 *     masked:  theta <- d ? theta - alpha (s deltaW + lambda theta) : theta
 *     plain:   theta <- theta - alpha ((d ? s deltaW : 0) + lambda theta)
 *
 * The mask selects and never multiplies. No decay is no term: 0 times an infinite value would be NaN.
 */
export function maskedUpdate({
  values,
  deltaW,
  mask,
  factor,
  learningRate,
  decoupledDecay,
  decay,
}: MaskedUpdate): Float64Array {
  const next = values.slice();
  for (let i = 0; i < next.length; i++) {
    const theta = values[i] as number;
    const shrink = decoupledDecay === 0 ? 0 : decoupledDecay * theta;
    if (mask[i] === 1) {
      const delta = deltaW[i] as number;
      const step = decay === 'scaled' ? factor * (delta + shrink) : factor * delta + shrink;
      next[i] = theta - learningRate * step;
    } else if (decay === 'plain' && decoupledDecay !== 0) {
      next[i] = theta - learningRate * shrink;
    }
  }
  return next;
}
