import { CHECKS, clipGradients } from './clipping.ts';
import { extend } from './extensions.ts';

/**
 * Lets optimizers clip gradients (`clipValue`, `clipNorm`, `clipGlobalNorm`). Only bundles for browsers need to call it, which leave clipping
 * out otherwise; in Node it is there.
 */
export function useClipping(): void {
  extend('clipping', { checks: CHECKS, clipGradients });
}
