/** This project's optimizers under the names of tfjs's, for tfjs's own tests. */
import { adam, rmsprop, sgdm } from 'learning-rate-dropout';
import type { Expected } from './expected.ts';

const BACKENDS = ['cpu', 'wasm', 'webgpu', 'tensorflow'] as const;

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

/** Tests of tfjs's optimizers that ours do not pass, and why: each looks at how tfjs keeps its state, none at a value. */
export const OPTIMIZER_EXPECTED: readonly Expected[] = [
  {
    backends: BACKENDS,
    test: /serialization round-trip$/,
    reason: "the configuration is given to tfjs's own class by name, which knows nothing of a keep probability",
  },
  {
    backends: BACKENDS,
    test: /Continue training after loading weights$|Save(,| and) load weights|Set and get weights: empty$/,
    reason:
      'the number and names of saved tensors are counted: ours hold how often each variable was stepped beside the moments',
  },
  {
    backends: BACKENDS,
    test: /MomentumOptimizer basic( - with Nesterov)?$/,
    reason: 'tensors are counted: tfjs frees two scalars with a momentum optimizer, ours has none',
  },
  {
    backends: BACKENDS,
    test: /RMSPropOptimizer must define learning rate$/,
    reason: 'a learning rate that is left out is the default of the rule here',
  },
];
