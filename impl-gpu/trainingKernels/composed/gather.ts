import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

/**
 * `GatherV2` with batch axes, which tfjs-wasm gets wrong: rows of one matrix, each example's after the other's; and with an axis that
 * is counted from the end, which tfjs-node does not know.
 */
export const gatherKernels: KernelTable = {
  GatherV2: ({ inputs, attrs }) => {
    const { x, indices } = inputs as Record<'x' | 'indices', tf.TensorInfo>;
    const { axis, batchDims = 0 } = attrs as { readonly axis: number; readonly batchDims?: number };
    if (x.dtype === 'string' || (batchDims === 0 && axis >= 0)) return undefined;
    const [at] = tf.util.parseAxisParam(axis, x.shape) as [number];
    // tfjs's own checks, with its words.
    tf.backend_util.segment_util.collectGatherOpShapeInfo(x, indices, at, batchDims);
    if (batchDims === 0) return tf.tidy(() => tf.gather(tensorOf(x), tf.cast(tensorOf(indices), 'int32'), at));
    const length = x.shape[at] as number;
    const batch = sizeOf(x.shape.slice(0, batchDims));
    const outer = sizeOf(x.shape.slice(batchDims, at));
    const inner = sizeOf(x.shape.slice(at + 1));
    const count = sizeOf(indices.shape.slice(batchDims));
    return tf.tidy(() => {
      const rows = tf.reshape(tf.transpose(tf.reshape(tensorOf(x), [batch, outer, length, inner]), [0, 2, 1, 3]), [
        batch * length,
        outer * inner,
      ]);
      const first = tf.mul(tf.reshape(tf.range(0, batch, 1, 'int32'), [batch, 1]), tf.scalar(length, 'int32'));
      const places = tf.add(tf.reshape(tensorOf(indices), [batch, count]), first);
      const taken = tf.gather(rows, tf.cast(tf.reshape(places, [batch * count]), 'int32'));
      const back = tf.transpose(tf.reshape(taken, [batch, count, outer, inner]), [0, 2, 1, 3]);
      return tf.reshape(back, [...x.shape.slice(0, at), ...indices.shape.slice(batchDims), ...x.shape.slice(at + 1)]);
    });
  },
};
