import * as tf from '@tensorflow/tfjs';
import type { KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

/** `DepthToSpace` with channels first, which the cpu backend and tfjs-node lack. */
export const depthToSpaceKernels: KernelTable = {
  DepthToSpace: ({ inputs, attrs }) => {
    const { blockSize, dataFormat } = attrs as { readonly blockSize: number; readonly dataFormat: 'NHWC' | 'NCHW' };
    if (dataFormat !== 'NCHW') return undefined;
    const x = inputs['x'] as tf.TensorInfo;
    const [batch, channels, height, width] = x.shape as [number, number, number, number];
    const depth = channels / (blockSize * blockSize);
    return tf.tidy(() => {
      const blocks = tf.reshape(tensorOf(x), [batch, blockSize, blockSize, depth, height, width]);
      const spread = tf.transpose(blocks, [0, 3, 4, 1, 5, 2]);
      return tf.reshape(spread, [batch, depth, height * blockSize, width * blockSize]);
    });
  },
};
