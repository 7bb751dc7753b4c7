import { choose } from '../draws.ts';
import { DRAWS } from '../../spec/stream.ts';
import { parseSeed } from '../seed.ts';
import type { SeedLike } from '../seed.ts';
import { words } from '../stream.ts';
import { checkNumber } from '../validate.ts';

/**
 * Noisy labels (NL): each label of a mini-batch becomes, with probability r, one of the C - 1 other classes, uniformly. `rate` is r: .1 in TNNLS 2022,
 * .05 in arXiv v1; `step` the optimizer's, counted from 1: labels are drawn anew for each mini-batch.
 *
 * @param labels - class indices, 0 to classes - 1
 */
export function noisyLabels(
  labels: readonly number[],
  { seed, step, classes, rate }: { seed: SeedLike; step: number; classes: number; rate: number },
): number[] {
  checkNumber('rate', { kind: 'number', default: 0.1, minimum: 0, maximum: 1, text: 'must be in [0, 1]' }, rate);
  checkNumber(
    'classes',
    {
      kind: 'number',
      default: 10,
      minimum: 2,
      maximum: 2 ** 21,
      integer: true,
      text: 'must be a whole number of at least 2',
    },
    classes,
  );
  const draws = words({ key: parseSeed(seed), step, stream: 'noisyLabels', base: 0 }, 2 * labels.length);
  return labels.map((label, i) => {
    const u = ((draws[2 * i] as number) + DRAWS.uniformOffset) / DRAWS.wordRange;
    if (u >= rate) return label;
    const other = choose(draws[2 * i + 1] as number, classes - 1);
    return other < label ? other : other + 1;
  });
}
