/**
 * Matrix products for tfjs-wasm that are fast for all four combinations of transposes.
 *
 * Stock tfjs-wasm runs a product with a transposed operand in a scalar loop, 10 to 20 times slower than the plain one,
 * and the gradient of every product has one. It also packs weights anew after each update. `assembly/gemm.ts` packs while it
 * multiplies, so neither matters. Nor has it products of integers, or a bias that is not a vector.
 */
import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { Finish } from '../composed/fused.ts';
import { finish, isPlain } from '../composed/fused.ts';
import { tensorOfOutput } from '../composed/tensorOf.ts';
import type { Gemm } from './gemm.ts';
import { DENSE_KERNELS } from '../dense.ts';
import type { Kernel, KernelTable } from '../kernel.ts';

interface MatMulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly activation?: string;
  readonly leakyreluAlpha?: number;
}

type Inputs = Readonly<Record<'a' | 'b', tf.TensorInfo>> & Finish;

/** Which matrix of an operand each matrix of the result is made of: an operand's axis of length 1 is repeated. */
function matricesOf(outer: readonly number[], own: readonly number[]): number[] {
  const shift = outer.length - own.length;
  return Array.from({ length: tf.util.sizeFromShape([...outer]) }, (_, matrix) => {
    let rest = matrix;
    let [at, stride] = [0, 1];
    for (let axis = outer.length - 1; axis >= shift; axis--) {
      const extent = outer[axis] as number;
      const ownExtent = own[axis - shift] as number;
      if (ownExtent !== 1) at += (rest % extent) * stride;
      stride *= ownExtent;
      rest = Math.floor(rest / extent);
    }
    return at;
  });
}

/** An integer product, summed in float64 as tfjs's cpu backend does. */
function multiplyIntegers(
  [a, b, c]: readonly [Int32Array, Int32Array, Int32Array],
  { m, n, k, transposeA, transposeB }: Readonly<Record<'m' | 'n' | 'k', number>> & MatMulAttrs,
): void {
  const [rowA, columnA] = transposeA ? [1, m] : [k, 1];
  const [rowB, columnB] = transposeB ? [1, k] : [n, 1];
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += (a[i * rowA + l * columnA] as number) * (b[l * rowB + j * columnB] as number);
      c[i * n + j] = sum;
    }
  }
}

/** `BatchMatMul`, `_FusedMatMul` and that of `denseTraining`. */
export function matMulKernels(heap: WasmHeap, { multiply }: Gemm): KernelTable {
  const kernel: Kernel = ({ inputs, attrs }) => {
    const { a, b, ...rest } = inputs as unknown as Inputs;
    const { transposeA, transposeB, activation = 'linear', leakyreluAlpha } = attrs as MatMulAttrs;
    const integers = a.dtype === 'int32' && b.dtype === 'int32';
    if (!integers && (a.dtype !== 'float32' || b.dtype !== 'float32')) return undefined;
    if (a.shape.length < 2 || b.shape.length < 2) return undefined;
    const [a1, a2] = a.shape.slice(-2) as [number, number];
    const [b1, b2] = b.shape.slice(-2) as [number, number];
    const [m, k] = transposeA ? [a2, a1] : [a1, a2];
    const [kb, n] = transposeB ? [b2, b1] : [b1, b2];
    // tfjs's own kernel says what is wrong.
    if (k !== kb) return undefined;
    const outerA = a.shape.slice(0, -2);
    const outerB = b.shape.slice(0, -2);
    const outer = tf.broadcast_util.assertAndGetBroadcastShape(outerA, outerB);
    const out = heap.makeOutput([...outer, m, n], integers ? 'int32' : 'float32');
    const fused: Finish = { ...rest, activation, ...(leakyreluAlpha === undefined ? {} : { leakyreluAlpha }) };
    const plain = !integers && isPlain(fused, n);
    const bias = plain && fused.bias ? heap.input(fused.bias) : 0;
    const at = { a: heap.input(a), b: heap.input(b), c: heap.pointer(out) };
    const [matricesA, matricesB] = [matricesOf(outer, outerA), matricesOf(outer, outerB)];
    if (m * n * k === 0) new Uint8Array(heap.memory.buffer, at.c, 4 * tf.util.sizeFromShape(out.shape)).fill(0);
    else {
      for (const [i, ofA] of matricesA.entries()) {
        const place = {
          a: at.a + 4 * ofA * m * k,
          b: at.b + 4 * (matricesB[i] as number) * k * n,
          c: at.c + 4 * i * m * n,
        };
        if (integers) {
          const view = (pointer: number, length: number): Int32Array =>
            new Int32Array(heap.memory.buffer, pointer, length);
          multiplyIntegers([view(place.a, m * k), view(place.b, k * n), view(place.c, m * n)], {
            m,
            n,
            k,
            transposeA,
            transposeB,
          });
        } else {
          multiply({ ...place, m, n, k, transposeA, transposeB, bias, relu: plain && activation === 'relu' });
        }
      }
    }
    const done = plain && m * n * k > 0;
    return done || (!fused.bias && activation === 'linear') ? out : tf.tidy(() => finish(tensorOfOutput(out), fused));
  };
  return { BatchMatMul: kernel, _FusedMatMul: kernel, [DENSE_KERNELS.forward]: kernel };
}
