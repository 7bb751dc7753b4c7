/** Reductions of nothing, which tfjs-wasm leaves as its memory was and the webgpu backend cannot bind: here what TensorFlow gives. */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { Kernel, KernelTable } from '../kernel.ts';

interface ReductionAttrs {
  readonly axis?: number | number[];
  /** What maxima call their axes. */
  readonly reductionIndices?: number | number[];
  readonly keepDims?: boolean;
}

/** The least and the greatest number of int32. */
const LEAST = -(2 ** 31);
const GREATEST = 2 ** 31 - 1;

/** @param value - of a reduction over no element, by the type of what it reduces @param dtype - of the result; left out, x's own */
const ofNothing =
  (value: (dtype: tf.DataType) => number, dtype?: tf.DataType): Kernel =>
  ({ inputs, attrs }) => {
    const x = inputs['x'] as tf.TensorInfo;
    if (sizeOf(x.shape) > 0) return undefined;
    const { axis, reductionIndices, keepDims = false } = attrs as ReductionAttrs;
    const axes = tf.util.parseAxisParam((axis ?? reductionIndices) as number | number[], x.shape);
    const [reduced] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(reduced, axes) : reduced;
    const type = dtype ?? x.dtype;
    const values = new Array<number>(sizeOf(shape)).fill(value(x.dtype));
    return tf.tensor(type === 'float32' ? Float32Array.from(values) : Int32Array.from(values), shape, type);
  };

export const emptyReductionKernels: KernelTable = {
  Sum: ofNothing(() => 0),
  Prod: ofNothing(() => 1),
  Mean: ofNothing(() => NaN, 'float32'),
  Max: ofNothing((dtype) => (dtype === 'float32' ? -Infinity : LEAST)),
  Min: ofNothing((dtype) => (dtype === 'float32' ? Infinity : GREATEST)),
  Any: ofNothing(() => 0, 'bool'),
  All: ofNothing(() => 1, 'bool'),
};
