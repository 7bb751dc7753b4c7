import { keepThreshold, streamMask } from '../masks.ts';
import { parseSeed } from '../seed.ts';
import type { SeedLike } from '../seed.ts';
import type { GradientTransformation } from '../transformation.ts';

/**
 * Dropout on gradients (DG): each element of the data gradient is kept with probability p and otherwise 0, before L2 and the
 * moments, without 1/p. What is dropped here is lost, which is the point of the comparison.
 *
 * @param keepProbability - p, in [2^-16, 1]; the paper's .5
 * Source: arXiv 1912.00144v1, section 4.6.
 */
export function gradientDropout(seed: SeedLike, keepProbability = 0.5): GradientTransformation {
  const key = parseSeed(seed);
  keepThreshold(keepProbability);
  return {
    name: 'gradientDropout',
    stage: 'noise',
    init: () => ({}),
    apply: (gradients, state, { step, bases }) => ({
      gradients: gradients.map((gradient, k) => {
        if (gradient === null) return null;
        const position = { key, step, stream: 'gradientDropout', base: bases[k] as number } as const;
        const mask = streamMask(position, gradient.length, keepProbability);
        return gradient.map((g, i) => (mask[i] === 1 ? g : 0));
      }),
      state,
    }),
  };
}
