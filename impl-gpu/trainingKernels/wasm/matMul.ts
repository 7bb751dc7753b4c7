/**
 * Matrix products for tfjs-wasm that are fast for all four combinations of transposes.
 *
 * Stock tfjs-wasm runs a product with a transposed operand in a scalar loop, 10 to 20 times slower than the plain one,
 * and the gradient of every product has one. It also packs weights anew after each update. `assembly/gemm.ts` packs while it
 * multiplies, so neither matters.
 */
import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { Gemm } from './gemm.ts';
import type { Kernel, KernelTable } from './kernel.ts';

interface MatMulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly activation?: string;
}

/** `BatchMatMul` and `_FusedMatMul`. */
export function matMulKernels(heap: WasmHeap, { multiply }: Gemm): KernelTable {
  const run = (
    a: tf.TensorInfo,
    b: tf.TensorInfo,
    attrs: MatMulAttrs,
    bias: tf.TensorInfo | undefined,
  ): tf.TensorInfo | undefined => {
    const { transposeA, transposeB, activation = 'linear' } = attrs;
    if (a.dtype !== 'float32' || b.dtype !== 'float32' || !['linear', 'relu'].includes(activation)) return undefined;
    const [a1, a2] = a.shape.slice(-2) as [number, number];
    const [b1, b2] = b.shape.slice(-2) as [number, number];
    const [m, k] = transposeA ? [a2, a1] : [a1, a2];
    const [kb, n] = transposeB ? [b2, b1] : [b1, b2];
    const batchA = tf.util.sizeFromShape(a.shape.slice(0, -2));
    const batchB = tf.util.sizeFromShape(b.shape.slice(0, -2));
    // Broadcasting one matrix over a batch is common; anything more goes to the stock kernel.
    const regular =
      k === kb && m * n * k > 0 && (batchA === batchB || batchA === 1 || batchB === 1) && batchA * batchB > 0;
    if (!regular || (bias !== undefined && bias.shape.length !== 1)) return undefined;
    const outer = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const batch = tf.util.sizeFromShape(outer);
    if (batch !== Math.max(batchA, batchB)) return undefined;
    const out = heap.makeOutput([...outer, m, n]);
    const from = { a: heap.input(a), b: heap.input(b), c: heap.pointer(out) };
    for (let i = 0; i < batch; i++) {
      multiply({
        a: from.a + (batchA === 1 ? 0 : i * m * k * 4),
        b: from.b + (batchB === 1 ? 0 : i * k * n * 4),
        c: from.c + i * m * n * 4,
        m,
        n,
        k,
        transposeA,
        transposeB,
        bias: bias === undefined ? 0 : heap.input(bias),
        relu: activation === 'relu',
      });
    }
    return out;
  };

  const kernel: Kernel = ({ inputs, attrs }) => {
    const { a, b, bias, preluActivationWeights } = inputs as Record<string, tf.TensorInfo | undefined>;
    if (a === undefined || b === undefined || preluActivationWeights) return undefined;
    return run(a, b, attrs as MatMulAttrs, bias ?? undefined);
  };
  return { BatchMatMul: kernel, _FusedMatMul: kernel };
}
