import { normals } from '../draws.ts';
import { parseSeed } from '../seed.ts';
import type { SeedLike } from '../seed.ts';
import type { GradientTransformation } from '../transformation.ts';
import { checkNumber } from '../validate.ts';

/** sigma_t^2 = eta / (1 + t)^gamma, t counted from 0: the variance, not the deviation. */
export function noiseVariance(t: number, eta = 0.1, gamma = 0.55): number {
  return eta / (1 + t) ** gamma;
}

/**
 * Gradient noise (NG): g + N(0, sigma_t^2) before L2, with t = step - 1.
 *
 * Source: Neelakantan et al. 2015, section 3; eta = .1 reads arXiv 1912.00144v1's "n ~ N(0, 0.1)".
 */
export function gradientNoise(seed: SeedLike, eta = 0.1, gamma = 0.55): GradientTransformation {
  const key = parseSeed(seed);
  const range = { kind: 'number', default: 0, minimum: 0, maximum: Infinity, openMaximum: true } as const;
  checkNumber('eta', { ...range, text: 'must be a finite number of at least 0' }, eta);
  checkNumber('gamma', { ...range, text: 'must be a finite number of at least 0' }, gamma);
  return {
    name: 'gradientNoise',
    stage: 'noise',
    init: () => ({}),
    apply(gradients, state, { step, bases }) {
      const sigma = Math.sqrt(noiseVariance(step - 1, eta, gamma));
      return {
        gradients: gradients.map((gradient, k) => {
          if (gradient === null) return null;
          const z = normals({ key, step, stream: 'gradientNoise', base: bases[k] as number }, gradient.length);
          return gradient.map((g, i) => g + sigma * (z[i] as number));
        }),
        state,
      };
    },
  };
}
