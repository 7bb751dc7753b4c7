import * as tf from '@tensorflow/tfjs';
import type { Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import type { KernelTable } from '../kernel.ts';

/**
 * The step function, which every gradient of a clamp takes. tfjs-node makes it of two arrays of JavaScript as large as its input, ones and zeros, and
 * hands them over each time, and asks whether integers are NaN, which TensorFlow refuses. Here it is the sign of what is left of x: 1 above 0, NaN of NaN.
 */
export function stepKernels(tensorflow: Tensorflow): KernelTable {
  const types = [tensorflow.attribute.type('T', TYPES.float32)];
  return {
    Step: ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      const { alpha = 0 } = attrs as { readonly alpha?: number };
      if (x.dtype === 'int32') {
        const below = Math.trunc(alpha);
        return tf.tidy(() => {
          const above = tf.cast(tf.greater(tensorOf(x), tf.scalar(0, 'int32')), 'int32');
          return below === 0 ? above : tf.add(tf.mul(above, tf.scalar(1 - below, 'int32')), tf.scalar(below, 'int32'));
        });
      }
      if (x.dtype !== 'float32' || alpha !== 0) return undefined;
      const sign = withOwned(tensorflow, (own) =>
        tensorflow.run('Sign', types, own(tensorflow.run('Relu', types, tensorflow.handle(x)))),
      );
      return tensorflow.adopt(x.shape, 'float32', sign);
    },
  };
}
