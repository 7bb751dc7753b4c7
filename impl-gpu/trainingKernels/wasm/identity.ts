import type * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { KernelTable } from '../kernel.ts';

/**
 * `Identity` that shares the data and counts, as the other backends' does, where wasm's own copies. The gradient of every
 * operation keeps clones of its inputs, so each training step would copy every weight matrix.
 */
export function identityKernels(heap: WasmHeap): KernelTable {
  return {
    Identity: ({ inputs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      if (x.dtype === 'string') return undefined;
      return heap.share(x);
    },
  };
}
