import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { KernelTable } from '../kernel.ts';

/** wasm's missing `UnsortedSegmentSum`: the gradient of `tf.gather`, and with it of embeddings. Negative ids are dropped. */
export function segmentSumKernels(heap: WasmHeap): KernelTable {
  return {
    UnsortedSegmentSum: ({ inputs, attrs }) => {
      const { x, segmentIds } = inputs as { x: tf.TensorInfo; segmentIds: tf.TensorInfo };
      const { numSegments } = attrs as { numSegments: number };
      if (x.dtype !== 'float32')
        throw new Error(`UnsortedSegmentSum on the wasm backend takes float32, got ${x.dtype}`);
      const rank = segmentIds.shape.length;
      const count = tf.util.sizeFromShape(segmentIds.shape);
      const inner = tf.util.sizeFromShape(x.shape.slice(rank));
      const out = heap.makeOutput([numSegments, ...x.shape.slice(rank)]);
      const idsAt = heap.input(segmentIds);
      const [from, to] = [heap.input(x) / 4, heap.pointer(out) / 4];
      const floats = new Float32Array(heap.memory.buffer);
      const ids = new Int32Array(heap.memory.buffer, idsAt, count);
      floats.fill(0, to, to + numSegments * inner);
      for (let i = 0; i < count; i++) {
        const segment = ids[i] as number;
        if (segment < 0 || segment >= numSegments) continue;
        for (let j = 0; j < inner; j++) {
          const at = to + segment * inner + j;
          floats[at] = (floats[at] as number) + (floats[from + i * inner + j] as number);
        }
      }
      return out;
    },
  };
}
