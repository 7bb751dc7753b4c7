/**
 * Matrix products for tfjs-wasm that are fast for all four combinations of transposes.
 *
 * Stock tfjs-wasm runs a product with a transposed operand in a scalar loop, 10 to 20 times slower than the plain one,
 * and the gradient of every product has one. It also packs weights anew after each update. `gemm.ts` packs while it
 * multiplies, so neither matters.
 */
import * as tf from '@tensorflow/tfjs';
import { decodeBase64 } from '../../base64.ts';
import type { WasmHeap } from '../bridges/wasm.ts';
import { wasmHeap } from '../bridges/wasm.ts';
import { wasmBase64 } from './gemm.wasm.ts';

interface Gemm {
  scratchFloats(m: number, n: number, k: number): number;
  matmul(
    a: number,
    b: number,
    c: number,
    m: number,
    n: number,
    k: number,
    transposeA: number,
    transposeB: number,
    bias: number,
    relu: number,
    scratch: number,
  ): void;
}

/** One product on the heap: pointers in bytes, `bias` 0 for none. */
interface Product {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bias: number;
  readonly relu: boolean;
}

/** A function that multiplies on the heap, with scratch memory that it keeps and grows. */
export function instantiateGemm(heap: WasmHeap): (product: Product) => void {
  const module = new WebAssembly.Module(decodeBase64(wasmBase64));
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory: heap.memory, abort: () => undefined },
  });
  const gemm = exports as unknown as Gemm;
  let scratch = 0;
  let size = 0;
  return ({ a, b, c, m, n, k, transposeA, transposeB, bias, relu }) => {
    const needed = gemm.scratchFloats(m, n, k) * 4;
    if (needed > size) {
      if (scratch !== 0) heap.free(scratch);
      scratch = heap.allocate(needed);
      size = needed;
    }
    gemm.matmul(a, b, c, m, n, k, transposeA ? 1 : 0, transposeB ? 1 : 0, bias, relu ? 1 : 0, scratch);
  };
}

interface MatMulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly activation?: string;
}

type KernelFunc = tf.KernelFunc;

function size(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Replaces `BatchMatMul` and `_FusedMatMul` on the wasm backend. What the new kernels don't cover goes to the old ones. */
export function registerWasmMatMul(): void {
  const heap = wasmHeap();
  const multiply = instantiateGemm(heap);

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
    const batchA = size(a.shape.slice(0, -2));
    const batchB = size(b.shape.slice(0, -2));
    // Broadcasting one matrix over a batch is common; anything more goes to the stock kernel.
    const regular =
      k === kb && m * n * k > 0 && (batchA === batchB || batchA === 1 || batchB === 1) && batchA * batchB > 0;
    if (!regular || (bias !== undefined && bias.shape.length !== 1)) return undefined;
    const outer = tf.broadcast_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
    const batch = size(outer);
    if (batch !== Math.max(batchA, batchB)) return undefined;
    const out = heap.makeOutput([...outer, m, n]);
    const from = { a: heap.pointer(a), b: heap.pointer(b), c: heap.pointer(out) };
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
        bias: bias === undefined ? 0 : heap.pointer(bias),
        relu: activation === 'relu',
      });
    }
    return out;
  };

  const replace = (kernelName: 'BatchMatMul' | '_FusedMatMul'): void => {
    const stock = tf.getKernel(kernelName, 'wasm').kernelFunc;
    const kernelFunc: KernelFunc = (args) => {
      const { a, b, bias, preluActivationWeights } = args.inputs;
      const attrs = args.attrs as unknown as MatMulAttrs;
      const out =
        preluActivationWeights === undefined || preluActivationWeights === null
          ? run(a as tf.TensorInfo, b as tf.TensorInfo, attrs, bias ?? undefined)
          : undefined;
      return out ?? stock(args);
    };
    tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc });
  };
  replace('BatchMatMul');
  replace('_FusedMatMul');
}
