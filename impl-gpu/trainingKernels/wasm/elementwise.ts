/** Elementwise kernels of tfjs-wasm that are wrong: they lose NaN, or do not broadcast. */
import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import { tensorOf } from '../tensorOf.ts';
import type { KernelTable } from './kernel.ts';

export function elementwiseKernels(heap: WasmHeap): KernelTable {
  return {
    // XNNPACK's takes NaN for the lower bound.
    ClipByValue: ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      if (x.dtype !== 'float32') return undefined;
      const { clipValueMin, clipValueMax } = attrs as Readonly<Record<'clipValueMin' | 'clipValueMax', number>>;
      const out = heap.makeOutput(x.shape);
      const size = tf.util.sizeFromShape(x.shape);
      const from = new Float32Array(heap.memory.buffer, heap.input(x), size);
      const to = new Float32Array(heap.memory.buffer, heap.pointer(out), size);
      for (let i = 0; i < size; i++) to[i] = Math.max(clipValueMin, Math.min(clipValueMax, from[i] as number));
      return out;
    },
    // XNNPACK's repeats the slopes along the last axis whatever their shape.
    Prelu: ({ inputs }) =>
      tf.tidy(() => {
        const { x, alpha } = inputs as Record<'x' | 'alpha', tf.TensorInfo>;
        const [values, slopes] = [tensorOf(x), tensorOf(alpha)].map((tensor) => tf.cast(tensor, 'float32')) as [
          tf.Tensor,
          tf.Tensor,
        ];
        return tf.where(tf.greaterEqual(values, 0), values, tf.mul(values, slopes));
      }),
    // The stock kernel keeps the values as they are, where every number but 0 is 1.
    Cast: ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      if ((attrs as { readonly dtype: tf.DataType }).dtype !== 'bool' || x.dtype === 'bool') return undefined;
      return tf.tidy(() => tf.notEqual(tensorOf(x), tf.scalar(0, x.dtype as 'float32' | 'int32')));
    },
  };
}
