import * as tf from '@tensorflow/tfjs';
import { denseTraining } from 'learning-rate-dropout';
import { NetBuilder } from './builder.ts';
import type { Net, NetOptions } from './net.ts';

export interface FcNetOptions extends NetOptions {
  /** Pixels times channels of an input. */
  readonly inputs: number;
  /** Outputs. */
  readonly classes: number;
  /** Units of each hidden layer; the paper's 1000 by default. */
  readonly width?: number;
}

/**
 * The paper's fully connected network (TNNLS section IV-A.1): two hidden layers of 1000 ReLU units. It starts as PyTorch's
 * `nn.Linear` does: weights and biases uniform in +-1/sqrt(fan in). 1,796,010 parameters on 28 x 28 images and 10 classes. Standard
 * dropout, if any, is behind each ReLU.
 */
export function fcNet({ inputs, classes, width = 1000, ...options }: FcNetOptions): Net {
  const builder = new NetBuilder('fcnet', options);
  const sizes = [inputs, width, width, classes];
  const layers = sizes.slice(0, -1).map((fanIn, layer) => {
    const initial = { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) } as const;
    const fanOut = sizes[layer + 1] as number;
    return {
      weight: builder.parameter<tf.Rank.R2>(`fc${layer + 1}/weight`, [fanIn, fanOut], initial),
      bias: builder.parameter<tf.Rank.R1>(`fc${layer + 1}/bias`, [fanOut], initial),
    };
  });
  return builder.net((x, { drop }) => {
    let activations: tf.Tensor2D = tf.reshape(x, [-1, inputs]);
    layers.forEach(({ weight, bias }, layer) => {
      const relu = layer < layers.length - 1;
      const product = denseTraining(activations, weight, bias, { relu });
      activations = relu ? drop(product) : product;
    });
    return activations;
  });
}
