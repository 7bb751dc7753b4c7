import * as tf from '@tensorflow/tfjs';
import type { KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

/**
 * `Prelu` by choice. tfjs-wasm's repeats the slopes along the last axis whatever their shape, and tfjs-node's makes NaN of an infinite element.
 */
export const preluKernels: KernelTable = {
  Prelu: ({ inputs }) =>
    tf.tidy(() => {
      const { x, alpha } = inputs as Record<'x' | 'alpha', tf.TensorInfo>;
      const [values, slopes] = [x, alpha].map((info) => tf.cast(tensorOf(info), 'float32')) as [tf.Tensor, tf.Tensor];
      return tf.where(tf.greaterEqual(values, 0), values, tf.mul(values, slopes));
    }),
};
