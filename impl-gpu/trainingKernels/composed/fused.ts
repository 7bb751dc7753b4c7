/** The rest of a fused operation, for the cases that the products and convolutions do not take along. */
import * as tf from '@tensorflow/tfjs';
import { tensorOf } from './tensorOf.ts';

/** What follows a product or a convolution. */
export interface Finish {
  readonly bias?: tf.TensorInfo | null;
  readonly activation?: string;
  readonly preluActivationWeights?: tf.TensorInfo | null;
  readonly leakyreluAlpha?: number;
}

/** In channels-first layout a vector belongs to the channels, which are not the last axis. */
function aligned(weights: tf.TensorInfo, channelsFirst: boolean): tf.Tensor {
  const tensor = tensorOf(weights);
  const [extent] = weights.shape;
  const vector = weights.shape.length === 1 && extent !== undefined && extent !== 1;
  return channelsFirst && vector ? tf.reshape(tensor, [extent, 1, 1]) : tensor;
}

/** Adds a bias of any shape that broadcasts and applies the activation, as tfjs-core does where it does not fuse. */
export function finish(output: tf.Tensor, rest: Finish, channelsFirst = false): tf.Tensor {
  return tf.tidy(() => {
    let y = output;
    if (rest.bias) y = tf.add(y, aligned(rest.bias, channelsFirst));
    switch (rest.activation ?? 'linear') {
      case 'linear':
        return tf.clone(y);
      case 'relu':
        return tf.relu(y);
      case 'relu6':
        return tf.relu6(y);
      case 'elu':
        return tf.elu(y);
      case 'sigmoid':
        return tf.sigmoid(y);
      case 'leakyrelu':
        return tf.leakyRelu(y, rest.leakyreluAlpha);
      case 'prelu':
        if (rest.preluActivationWeights) return tf.prelu(y, aligned(rest.preluActivationWeights, channelsFirst));
    }
    throw new Error(`the activation of a fused operation is not known: ${JSON.stringify(rest.activation)}`);
  });
}

/** Whether a bias is a vector of `channels`, and nothing follows that a kernel of ours does not do itself. */
export function isPlain({ bias, activation = 'linear', preluActivationWeights }: Finish, channels: number): boolean {
  const vector =
    !bias ||
    (bias.shape.at(-1) === channels &&
      bias.shape.every((extent, axis) => axis === bias.shape.length - 1 || extent === 1));
  return vector && !preluActivationWeights && ['linear', 'relu'].includes(activation);
}
