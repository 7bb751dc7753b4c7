/**
 * Options of every optimizer that change the gradient first. What is left out does nothing. A bundle for browsers takes
 * clipping after `useClipping()`, and the comparators, from `gradientKeepProbability` on, after `useComparators()`.
 */
export interface GradientOptions {
  /** Calls of `applyGradients` whose mean makes one optimizer step, with one mask. A whole number of at least 1; default 1. */
  readonly accumulate?: number;
  /** Every element clipped into [-clipValue, clipValue]. Above 0. */
  readonly clipValue?: number;
  /** Each variable's gradient scaled by min(1, clipNorm / norm), the norm over that variable. Above 0. */
  readonly clipNorm?: number;
  /** All gradients scaled by min(1, clipGlobalNorm / norm), the norm over all of them (Pascanu et al. 2013, Algorithm 1). Above 0. */
  readonly clipGlobalNorm?: number;
  /** Dropout on gradients: each element kept with this probability, else 0, no rescale (arXiv 1912.00144v1, section 4.6). */
  readonly gradientKeepProbability?: number;
  /** Gradient noise: g + N(0, s^2) with s^2 = noiseEta / (1 + t)^noiseGamma, t from 0 (Neelakantan et al. 2015). At least 0. */
  readonly noiseEta?: number;
  /** Default .55. At least 0. */
  readonly noiseGamma?: number;
  /**
   * Sparse Gradients: the share of elements that stand still, in [0, 1 - 2^-16]; may be set between steps. The pattern stays
   * while the share does.
   */
  readonly sparsity?: number;
  /** What the pattern masks: `gradients` before L2 and the moments (the default), or `updates` beside LRD's own mask. */
  readonly sparseReading?: 'gradients' | 'updates';
  /** Gradient centralization: minus the mean over all axes but the last, for two or more axes (Yong et al. 2020, eq. (1)). */
  readonly centralize?: boolean;
}

/** What a value must be. */
export interface Check {
  readonly text: string;
  readonly holds: (value: unknown) => boolean;
}

/** The names of `GradientOptions`. */
export const GRADIENT_OPTIONS = [
  'accumulate',
  'clipValue',
  'clipNorm',
  'clipGlobalNorm',
  'gradientKeepProbability',
  'noiseEta',
  'noiseGamma',
  'sparsity',
  'sparseReading',
  'centralize',
] as const satisfies readonly (keyof GradientOptions)[];
