/**
 * How large a sample must be: from the deviation to be caught and both error rates, not from habit (after TensorFlow
 * Probability's `statistical_testing`).
 */
import { normalUpperQuantile } from './tails.ts';

/** False alarms in a whole run of the kit, all tests on all keep probabilities together. */
export const FALSE_ALARM = 1e-6;
/** A stated deviation is missed at most this often. */
export const MISS = 1e-6;
/**
 * Share of `FALSE_ALARM` that each test gets: a thousandth, for fewer than half as many tests. The rest pays for the normal
 * approximation of the pair statistics, whose skewness raises a tail at 6 sigma by at most half (p = .1).
 */
export const TEST_LEVEL = FALSE_ALARM / 1000;
export const MAXIMUM_TESTS = 500;

const reach = normalUpperQuantile(TEST_LEVEL / 2) + normalUpperQuantile(MISS);

/** Draws needed to tell a rate from one that is off by `deviation`. */
export function drawsForRate(p: number, deviation: number): number {
  // The variance of the deviating rate may be the larger one.
  const worst = Math.max(p * (1 - p), (p + deviation) * (1 - p - deviation), (p - deviation) * (1 - p + deviation));
  return Math.ceil(worst * (reach / deviation) ** 2);
}

/** Pairs needed to see a correlation. */
export function pairsForCorrelation(correlation: number): number {
  return Math.ceil((reach / correlation) ** 2);
}

/** The deviation of a rate that `draws` catch. */
export function detectableRate(p: number, draws: number): number {
  return reach * Math.sqrt((p * (1 - p)) / draws);
}

/** Deviations that must be caught, at every keep probability of the sample. */
export const MUST_CATCH = { rate: 0.01, correlation: 0.02 } as const;

/** Keep probabilities of the sample: the paper's default, one where p and 1 - p differ, and a small one. */
export const PROBABILITIES = [0.5, 0.3, 0.1] as const;

/** Tensors of the sample: a matrix, a vector as large, and two of awkward sizes. */
export const SHAPES: readonly (readonly number[])[] = [[32, 80], [2560], [999], [25]];
export const SIZES = SHAPES.map((shape) => shape.reduce((product, n) => product * n, 1));
export const ELEMENTS = SIZES.reduce((sum, n) => sum + n, 0);
/** Runs of different seeds. */
export const RUNS = 2;
/** The two large tensors, element against element, are the fewest pairs of any kind that must show `MUST_CATCH`. */
export const STEPS = Math.max(
  Math.ceil(pairsForCorrelation(MUST_CATCH.correlation) / (RUNS * (SIZES[0] ?? 1))),
  Math.ceil(Math.max(...PROBABILITIES.map((p) => drawsForRate(p, MUST_CATCH.rate))) / (RUNS * ELEMENTS)),
);
