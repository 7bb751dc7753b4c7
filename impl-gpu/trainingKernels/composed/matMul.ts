import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { Kernel, KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

/** Products of batches that are repeated against each other, [1, 2] with [3, 1]: cpu and webgpu pair their matrices wrongly. */
const repeated =
  (kernelName: string): Kernel =>
  ({ inputs, attrs }) => {
    const { a, b, ...rest } = inputs as Record<'a' | 'b', tf.TensorInfo>;
    const [outerA, outerB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
    if (sizeOf(outerA) === 1 || sizeOf(outerB) === 1 || tf.util.arraysEqual(outerA, outerB)) return undefined;
    const outer = tf.broadcast_util.assertAndGetBroadcastShape(outerA, outerB);
    return tf.tidy(() => {
      const whole = (x: tf.TensorInfo): tf.Tensor => tf.broadcastTo(tensorOf(x), [...outer, ...x.shape.slice(-2)]);
      const operands = { ...rest, a: whole(a), b: whole(b) };
      return tf.engine().runKernel(kernelName, operands, attrs as tf.NamedAttrMap);
    });
  };

export const matMulKernels: KernelTable = {
  BatchMatMul: repeated('BatchMatMul'),
  _FusedMatMul: repeated('_FusedMatMul'),
};
