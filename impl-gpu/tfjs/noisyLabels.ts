import { drawWords, parseSeed, uniform } from '../random.ts';
import type { Seed } from '../random.ts';
import { InvalidArgumentError } from '../validate.ts';

/** What `noisyLabels` draws. */
export interface NoisyLabelOptions {
  /** Of the draws: a bigint, a safe integer or "0x...", in [0, 2^64). */
  readonly seed: Seed;
  /** The optimizer's step that the mini-batch is for, from 1: labels are drawn anew each time. */
  readonly step: number;
  /** Number of classes, at least 2. */
  readonly classes: number;
  /** Place of the first of these labels in the mini-batch, where several processes have a part of it each. Default 0. */
  readonly first?: number;
  /** The probability r that a label is disturbed, in [0, 1]: .1 in TNNLS 2022 (the default), .05 in arXiv 1912.00144v1. */
  readonly rate?: number;
}

/**
 * Noisy labels (NL): each class number of a mini-batch becomes, with probability r, one of the other classes, uniformly. Example i
 * reads words 2i and 2i + 1 of its stream.
 */
export function noisyLabels(
  labels: ArrayLike<number>,
  { seed, step, classes, first = 0, rate = 0.1 }: NoisyLabelOptions,
): Int32Array {
  if (!(rate >= 0 && rate <= 1)) throw new InvalidArgumentError(`rate must be in [0, 1], got ${rate}`);
  if (!Number.isInteger(classes) || classes < 2) {
    throw new InvalidArgumentError(`classes must be a whole number of at least 2, got ${classes}`);
  }
  if (!Number.isInteger(first) || first < 0) {
    throw new InvalidArgumentError(`first must be a whole number of at least 0, got ${first}`);
  }
  const words = drawWords({ seed: parseSeed(seed), stream: 'noisyLabels', step }, 0, 2 * (first + labels.length));
  return Int32Array.from({ length: labels.length }, (_, i) => {
    const label = labels[i] as number;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw new InvalidArgumentError(`labels must be whole numbers in [0, ${classes - 1}], got ${label}`);
    }
    const at = 2 * (first + i);
    if (uniform(words[at] as number) >= rate) return label;
    const other = Math.floor(((words[at + 1] as number) * (classes - 1)) / 2 ** 32);
    return other < label ? other : other + 1;
  });
}
