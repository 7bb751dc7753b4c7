/** This project's optimizers under the names of tfjs's, for tfjs's own tests. */
import type * as tf from '@tensorflow/tfjs';
import { LrdAdam, LrdRmsprop, LrdSgdm, adam, rmsprop, sgdm } from 'learning-rate-dropout';
import type { Bundle } from './bundle.ts';
import type { Expected } from './expected.ts';

const BACKENDS = ['cpu', 'wasm', 'webgpu', 'tensorflow'] as const;

/**
 * Replaces what tfjs-core's `tf.train` makes, where this project has the same rule, by ours with keep probability 1, and what its classes
 * make of a configuration.
 */
export function substituteOptimizers(bundle: Bundle): void {
  const base = { keepProbability: 1, seed: 1n } as const;
  Object.assign(bundle.train, {
    sgd: (learningRate: number) => sgdm({ ...base, learningRate, momentum: 0 }),
    momentum: (learningRate: number, momentum: number, nesterov = false) =>
      sgdm({ ...base, learningRate, momentum, nesterov }),
    // tfjs's epsilon stands inside the root.
    rmsprop: (learningRate: number, rho = 0.9, momentum = 0, epsilon = 1e-7, centered = false) =>
      rmsprop({ ...base, learningRate, rho, momentum, epsilon, centered, epsilonPlacement: 'inside' }),
    adam: (learningRate = 0.001, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7) =>
      adam({ ...base, learningRate, beta1, beta2, epsilon }),
  });
  const { SGDOptimizer, MomentumOptimizer, RMSPropOptimizer, AdamOptimizer } = bundle;
  for (const [theirs, ours] of [
    [SGDOptimizer, LrdSgdm],
    [MomentumOptimizer, LrdSgdm],
    [RMSPropOptimizer, LrdRmsprop],
    [AdamOptimizer, LrdAdam],
  ] as const) {
    theirs.fromConfig = (_, config) => ours.fromConfig(ours, config as tf.serialization.ConfigDict);
  }
}

/**
 * Expectations of tfjs's optimizers that ours do not meet, and why: each looks at how tfjs keeps its state, none at a value. The message is that
 * of all that may fail in the test: what else it expects holds.
 */
export const OPTIMIZER_EXPECTED: readonly Expected[] = [
  {
    backends: BACKENDS,
    test: /SGDOptimizer Set and get weights: empty$|RMSPropOptimizer Save/,
    message: /^Expected (2 to equal 1|4 to equal 3|5 to equal 4)\.$/,
    reason: 'the saved tensors are counted: ours have one more, with what is no tensor (seed, places, counts)',
  },
  {
    backends: BACKENDS,
    test: /AdamOptimizer Continue training after loading weights$/,
    message:
      /^Expected 4 to equal 3\.; Expected 'lrd\/record' to equal '(\d+)\/m'\.; Expected '\1\/m' to equal '\1\/v'\.$/,
    reason: 'the saved tensors are counted and named: ours have one more, in second place',
  },
  {
    backends: BACKENDS,
    test: /MomentumOptimizer basic( - with Nesterov)?$/,
    message: /^Expected \d+ to be \d+\.$/,
    reason: 'what dispose() frees is counted: tfjs keeps the momentum as a tensor beside the buffer, ours as a number',
  },
  {
    backends: BACKENDS,
    test: /RMSPropOptimizer must define learning rate$/,
    message: /^Expected function to throw an Error\.$/,
    reason: 'a learning rate that is left out is the default of the rule here',
  },
];
