import { resolveMask } from '../masks/mask.ts';
import { extend } from './steppers/extensions.ts';

/**
 * Lets optimizers take the option `mask`: SkipUpdate, Magma and Cautious. Only bundles for browsers need to call it, which leave them out
 * otherwise; in Node they are there.
 */
export function useMasks(): void {
  extend('masks', { resolveMask });
}
