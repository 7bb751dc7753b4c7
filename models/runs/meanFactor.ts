/** What a mask multiplies steps by on average, where that is measured. */
import type { LrdOptimizer, MaskRequest } from 'learning-rate-dropout';
import { thresholdOf } from 'learning-rate-dropout/gpu';
import { THRESHOLD } from 'learning-rate-dropout/spec';
import { isAligned } from '../trainer/masks.ts';

/** A mean over variables, weighted by their sizes. Undefined where there is none. */
export function weightedMean(
  list: readonly { readonly size: number; readonly alignment: number }[],
): number | undefined {
  const elements = list.reduce((sum, { size }) => sum + size, 0);
  if (elements === 0) return undefined;
  return list.reduce((sum, { size, alignment }) => sum + size * alignment, 0) / elements;
}

/** Asks an optimizer for the mean factor of its last step: p times its alignment. Undefined for an optimizer whose mask measures none. */
export function meanFactorOf(optimizer: LrdOptimizer): (() => Promise<number | undefined>) | undefined {
  const mask = optimizer.getConfig()['mask'] as MaskRequest | undefined;
  if (mask === undefined || !isAligned(mask)) return undefined;
  return async () => {
    const alignment = weightedMean(await optimizer.alignments());
    return alignment === undefined ? undefined : (thresholdOf(optimizer.keepProbability) / THRESHOLD.scale) * alignment;
  };
}
