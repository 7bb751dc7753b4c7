import { adam } from './adam.ts';
import type { BaseRule } from './rule.ts';

/**
 * Adam with decoupled weight decay. The direction is Adam's; the optimizer adds weightDecay theta to it, so that decay is
 * alpha weightDecay theta and stands inside the masked step.
 *
 * Source: torch/optim/adamw.py; Loshchilov and Hutter 2019, Algorithm 2, with their lambda divided by alpha.
 */
export const adamw: BaseRule<'adamw'> = (gradient, slots, t, hyper) => adam(gradient, slots, t, hyper);
