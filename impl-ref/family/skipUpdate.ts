import { effectiveKeepProbability } from '../masks.ts';
import { maskedUpdate } from './maskedUpdate.ts';
import type { MaskedUpdate } from './maskedUpdate.ts';

/** 1/p by the probability that holds: 65536 / T. 1 at p = 1. */
export function inverseFactor(keepProbability: number): number {
  return 1 / effectiveKeepProbability(keepProbability);
}

/** What `skipUpdate` steps with. */
export interface SkipUpdateInput extends Omit<MaskedUpdate, 'mask' | 'factor'> {
  /** z: 1 keeps the whole tensor, 0 drops it. */
  readonly kept: 0 | 1;
  /** p, whose inverse multiplies a kept step. */
  readonly keepProbability: number;
}

/**
 * SkipUpdate for one block:
 *
 *     theta <- theta - (1/p) z deltaW
 *
 * deltaW comes from dense moments. The step is unbiased: its expectation over z is the base rule's.
 *
 * Source: Joo, Xia, Kim, Zhang, Ie 2026, arXiv 2602.15322, Algorithm 1.
 */
export function skipUpdate({ kept, keepProbability, ...update }: SkipUpdateInput): Float64Array {
  const mask = new Uint8Array(update.values.length).fill(kept);
  return maskedUpdate({ ...update, mask, factor: inverseFactor(keepProbability) });
}
