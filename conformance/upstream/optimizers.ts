/** This project's optimizers under the names of tfjs's, for tfjs's own tests. */
import { adam, rmsprop, sgdm } from 'learning-rate-dropout';
import type { Expected } from './expected.ts';

/** Replaces what tfjs-core's `tf.train` makes, where this project has the same rule, by ours with keep probability 1. */
export function substituteOptimizers(train: Record<string, unknown>): void {
  const base = { keepProbability: 1, seed: 1n } as const;
  Object.assign(train, {
    sgd: (learningRate: number) => sgdm({ ...base, learningRate, momentum: 0 }),
    momentum: (learningRate: number, momentum: number, nesterov = false) =>
      sgdm({ ...base, learningRate, momentum, nesterov }),
    // tfjs's epsilon stands inside the root.
    rmsprop: (learningRate: number, rho = 0.9, momentum = 0, epsilon = 1e-7, centered = false) =>
      rmsprop({ ...base, learningRate, rho, momentum, epsilon, centered, epsilonPlacement: 'inside' }),
    adam: (learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7) =>
      adam({ ...base, learningRate, beta1, beta2, epsilon }),
  });
}

/** Tests of tfjs's optimizers that ours do not pass, and why. */
export const OPTIMIZER_EXPECTED: readonly Expected[] = [];
