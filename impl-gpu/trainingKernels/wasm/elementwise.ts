/** Elementwise kernels of tfjs-wasm that are wrong: they lose NaN, do not broadcast, or write nothing for more than six axes. */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import type { Kernel, KernelTable } from '../kernel.ts';
import type { Memory } from '../loops/memory.ts';

/** For each element in row-major order of `shape`, the place in an array of `own` shape that is repeated to it. */
function placesOf(shape: readonly number[], own: readonly number[]): Int32Array {
  const places = new Int32Array(sizeOf(shape));
  const shift = shape.length - own.length;
  for (let i = 0; i < places.length; i++) {
    let [rest, at, stride] = [i, 0, 1];
    for (let axis = shape.length - 1; axis >= shift; axis--) {
      const [extent, ownExtent] = [shape[axis] as number, own[axis - shift] as number];
      if (ownExtent !== 1) at += (rest % extent) * stride;
      stride *= ownExtent;
      rest = Math.floor(rest / extent);
    }
    places[i] = at;
  }
  return places;
}

/** Two shapes that broadcast together, with as few axes: neighbours along which both or the same one is repeated are one axis. */
function merged(a: readonly number[], b: readonly number[]): readonly [number[], number[]] {
  const rank = Math.max(a.length, b.length);
  const [first, second]: [number[], number[]] = [[], []];
  let before: string | undefined;
  for (let axis = 0; axis < rank; axis++) {
    const [m, n] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (m === 1 && n === 1) continue;
    const kind = m === n ? 'both' : m === 1 ? 'second' : 'first';
    if (kind === before) {
      first.push((first.pop() as number) * m);
      second.push((second.pop() as number) * n);
    } else {
      first.push(m);
      second.push(n);
    }
    before = kind;
  }
  return [first, second];
}

/** XNNPACK's kernels know six axes, and leave the output unwritten where there are more. */
const ofManyAxes =
  (kernelName: string): Kernel =>
  ({ inputs }) => {
    const { a, b } = inputs as Record<'a' | 'b', tf.TensorInfo>;
    if (Math.max(a.shape.length, b.shape.length) <= 6) return undefined;
    const [shapeA, shapeB] = merged(a.shape, b.shape);
    if (shapeA.length > 6) {
      throw new Error(`${kernelName} takes six axes on the wasm backend, got shapes [${a.shape}] and [${b.shape}]`);
    }
    return tf.tidy(() => {
      const operands = { a: tf.reshape(tensorOf(a), shapeA), b: tf.reshape(tensorOf(b), shapeB) };
      const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
      return tf.reshape(tf.engine().runKernel(kernelName, operands), shape);
    });
  };

const XNNPACK_BINARY = ['Add', 'Sub', 'Multiply', 'RealDiv', 'SquaredDifference'];

export function elementwiseKernels({ compute }: Memory): KernelTable {
  const unary =
    (of: (attrs: unknown) => (x: number) => number): Kernel =>
    ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      if (x.dtype !== 'float32') return undefined;
      const f = of(attrs);
      return compute(x.shape, [x], (to, from) => {
        for (let i = 0; i < to.length; i++) to[i] = f(from[i] as number);
      });
    };
  const binary =
    (f: (a: number, b: number) => number): Kernel =>
    ({ inputs }) => {
      const { a, b } = inputs as Record<'a' | 'b', tf.TensorInfo>;
      if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
      const shape = tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
      return compute(shape, [a, b], (to, x, y) => {
        const [p, q] = [x, y];
        if (p.length === to.length && q.length === to.length) {
          for (let i = 0; i < to.length; i++) to[i] = f(p[i] as number, q[i] as number);
          return;
        }
        const [ofA, ofB] = [placesOf(shape, a.shape), placesOf(shape, b.shape)];
        for (let i = 0; i < to.length; i++) to[i] = f(p[ofA[i] as number] as number, q[ofB[i] as number] as number);
      });
    };
  return {
    ...Object.fromEntries(XNNPACK_BINARY.map((kernelName) => [kernelName, ofManyAxes(kernelName)])),
    // XNNPACK's clamps take NaN for a bound, and comparisons with NaN choose the other number.
    ClipByValue: unary((attrs) => {
      const { clipValueMin, clipValueMax } = attrs as Readonly<Record<'clipValueMin' | 'clipValueMax', number>>;
      return (x) => Math.max(clipValueMin, Math.min(clipValueMax, x));
    }),
    // The stock kernel takes small numbers for 0.
    Sign: unary(() => (x) => (x > 0 ? 1 : x < 0 ? -1 : 0)),
    Relu6: unary(() => (x) => Math.max(0, Math.min(6, x))),
    Maximum: binary((a, b) => Math.max(a, b)),
    Minimum: binary((a, b) => Math.min(a, b)),
    // The stock kernel keeps the values as they are, where every number but 0 is 1.
    Cast: ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      if ((attrs as { readonly dtype: tf.DataType }).dtype !== 'bool' || x.dtype === 'bool') return undefined;
      return tf.tidy(() => tf.notEqual(tensorOf(x), tf.scalar(0, x.dtype as 'float32' | 'int32')));
    },
  };
}
