import { KEEP_PROBABILITY } from '../spec/rules.ts';
import { THRESHOLD } from '../spec/stream.ts';
import { checkNumber } from './validate.ts';
import { halves } from './stream.ts';
import type { StreamPosition } from './stream.ts';

/**
 * T = max(1, floor(p 2^16 + 1/2)): an element is kept iff its 16-bit half is below T.
 *
 * @throws RangeError when `keepProbability` is outside [2^-16, 1]
 */
export function keepThreshold(keepProbability: number): number {
  checkNumber('keepProbability', KEEP_PROBABILITY, keepProbability);
  return Math.max(THRESHOLD.minimum, Math.floor(keepProbability * THRESHOLD.scale + 0.5));
}

/** The probability that holds exactly, T / 2^16: within 2^-17 of `keepProbability`, and the one to report and to test. */
export function effectiveKeepProbability(keepProbability: number): number {
  return keepThreshold(keepProbability) / THRESHOLD.scale;
}

/**
 * D_t of Algorithm 1, line 10, for one tensor: 1 where the learning rate is kept, 0 where it is dropped.
 * Each element is kept with probability T / 2^16, independently; p = 1 draws nothing.
 */
export function streamMask(position: StreamPosition, length: number, keepProbability: number): Uint8Array {
  const threshold = keepThreshold(keepProbability);
  if (keepProbability === 1) return new Uint8Array(length).fill(1);
  const mask = new Uint8Array(length);
  for (const [i, half] of halves(position, length).entries()) mask[i] = half < threshold ? 1 : 0;
  return mask;
}
