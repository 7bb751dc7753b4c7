import { CHECKS, beginTurn, checkMemory } from './comparators.ts';
import { extend } from './extensions.ts';
import { resolveTrained } from './trainedKeepProbability.ts';

/**
 * Lets optimizers take the papers' comparators (`gradientKeepProbability`, `noiseEta`, `sparsity`, `centralize`) and a trained keep
 * probability (`trained`). Only bundles for browsers need to call it, which leave them out otherwise; in Node they are there.
 */
export function useComparators(): void {
  extend('comparators', { checks: CHECKS, checkMemory, resolveTrained, beginTurn });
}
