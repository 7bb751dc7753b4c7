import { maskedUpdate } from './maskedUpdate.ts';
import type { MaskedUpdate } from './maskedUpdate.ts';
import type { Mask } from './resolveMask.ts';

/** d_i = [u_i g_i > 0], by signs: the product of two numbers that agree may underflow to 0. */
export function agreementMask(deltaW: Float64Array, gradient: Float64Array): Uint8Array {
  return Uint8Array.from(deltaW, (u, i) => {
    const g = gradient[i] as number;
    return (u > 0 && g > 0) || (u < 0 && g < 0) ? 1 : 0;
  });
}

/** 1 / max(mean(d), meanFloor), or n / (sum(d) + 1). 1 for a tensor without elements. */
export function meanFactor(
  mask: Uint8Array,
  { meanFloor, normalization }: Pick<Mask, 'meanFloor' | 'normalization'>,
): number {
  if (mask.length === 0) return 1;
  const kept = mask.reduce((sum, bit) => sum + bit, 0);
  return normalization === 'count' ? mask.length / (kept + 1) : 1 / Math.max(kept / mask.length, meanFloor);
}

/** What `cautious` steps with. */
export interface CautiousInput extends Omit<MaskedUpdate, 'mask' | 'factor'> {
  /** The gradient that the moments see. */
  readonly gradient: Float64Array;
  /** How the mean of the mask becomes the factor. */
  readonly options: Pick<Mask, 'meanFloor' | 'normalization'>;
}

/**
 * A cautious update for one tensor:
 *
 *     d_i = [u_i g_i > 0],  theta <- theta - alpha (d / max(mean(d), meanFloor)) o u
 *
 * Deterministic: nothing is drawn.
 *
 * Source: Liang, Chen, Liu, Liu 2024, arXiv 2411.16085, Algorithm 1.
 */
export function cautious(input: CautiousInput): { readonly values: Float64Array; readonly mask: Uint8Array } {
  const { gradient, options, ...update } = input;
  const mask = agreementMask(update.deltaW, gradient);
  return { values: maskedUpdate({ ...update, mask, factor: meanFactor(mask, options) }), mask };
}
