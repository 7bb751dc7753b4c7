import * as tf from '@tensorflow/tfjs';
import type { Net, ParameterSpec } from './net.ts';
import { createParameters } from './net.ts';

export interface FcNetOptions {
  /** Pixels times channels of an input. */
  readonly inputs: number;
  readonly classes: number;
  /** Units of each hidden layer; the paper's 1000 by default. */
  readonly width?: number;
  readonly seed: bigint;
}

/**
 * The paper's fully connected network (TNNLS section IV-A.1): two hidden layers of 1000 ReLU units. It starts as PyTorch's
 * `nn.Linear` does: weights and biases uniform in +-1/sqrt(fan in). 1,796,010 parameters on 28 x 28 images and 10 classes.
 */
export function fcNet({ inputs, classes, width = 1000, seed }: FcNetOptions): Net {
  const sizes = [inputs, width, width, classes];
  const specs = sizes.slice(0, -1).flatMap((fanIn, layer): ParameterSpec[] => {
    const bound = 1 / Math.sqrt(fanIn);
    const fanOut = sizes[layer + 1] as number;
    return [
      { name: `fc${layer + 1}/weight`, shape: [fanIn, fanOut], bound },
      { name: `fc${layer + 1}/bias`, shape: [fanOut], bound },
    ];
  });
  const parameters = createParameters('fcnet', specs, seed);
  const [w1, b1, w2, b2, w3, b3] = parameters.map(({ variable }) => variable) as [
    tf.Variable<tf.Rank.R2>,
    tf.Variable<tf.Rank.R1>,
    tf.Variable<tf.Rank.R2>,
    tf.Variable<tf.Rank.R1>,
    tf.Variable<tf.Rank.R2>,
    tf.Variable<tf.Rank.R1>,
  ];
  return {
    name: 'fcnet',
    parameters,
    forward: (x) => {
      const flat = tf.reshape(x, [-1, inputs]) as tf.Tensor2D;
      const h1 = tf.fused.matMul({ a: flat, b: w1, bias: b1, activation: 'relu' });
      const h2 = tf.fused.matMul({ a: h1, b: w2, bias: b2, activation: 'relu' });
      return tf.fused.matMul({ a: h2, b: w3, bias: b3 }) as tf.Tensor2D;
    },
    dispose: () => {
      for (const { variable } of parameters) variable.dispose();
    },
  };
}
