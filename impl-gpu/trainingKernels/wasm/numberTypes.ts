/**
 * Kernels of tfjs-wasm on int32 and bool, which they take for numbers of four bytes, or for float32: they write behind an output of bools, a byte each, so that
 * the heap breaks somewhere later, or give the bits of one type for another's, or print "unsupported dtype" and give what lay in the memory before.
 */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { StridedSliceAttrs } from '../composed/stridedSlice.ts';
import { stridesOf } from '../composed/stridedSlice.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import type { Kernel, KernelArgs, KernelTable } from '../kernel.ts';

const dtypeOf = ({ inputs }: KernelArgs, name: string): tf.DataType => (inputs[name] as tf.TensorInfo).dtype;

const cast = (x: tf.TensorInfo, dtype: tf.DataType): tf.Tensor => tf.cast(tensorOf(x), dtype);

const run = (kernelName: string, inputs: tf.NamedTensorInfoMap, attrs: unknown): tf.Tensor =>
  tf.engine().runKernel(kernelName, inputs as tf.NamedTensorMap, attrs as tf.NamedAttrMap);

/** Moves bools as int32, which it moves right. `names`: the inputs that are moved. */
const boolsAsIntegers =
  (kernelName: string, ...names: readonly string[]): Kernel =>
  (args) => {
    if (!names.some((name) => dtypeOf(args, name) === 'bool')) return undefined;
    return tf.tidy(() => {
      const integers = names.map((name) => [name, cast(args.inputs[name] as tf.TensorInfo, 'int32')] as const);
      return tf.cast(run(kernelName, { ...args.inputs, ...Object.fromEntries(integers) }, args.attrs), 'bool');
    });
  };

/** Takes float32: others are cast, and the result is float32 (of a question, bool). */
const inFloats =
  (kernelName: string, ...dtypes: readonly tf.DataType[]): Kernel =>
  (args) => {
    if (!dtypes.includes(dtypeOf(args, 'x'))) return undefined;
    return tf.tidy(() => run(kernelName, { x: cast(args.inputs['x'] as tf.TensorInfo, 'float32') }, args.attrs));
  };

const table = (make: (kernelName: string) => Kernel, ...names: readonly string[]): KernelTable =>
  Object.fromEntries(names.map((kernelName) => [kernelName, make(kernelName)]));

/** What lies at every so many places along each axis, gathered. */
function stridedSlice(x: tf.Tensor, attrs: StridedSliceAttrs): tf.Tensor {
  const { begin, end, strides, finalShape } = stridesOf(x.shape, attrs);
  let out = x;
  for (const [axis, extent] of x.shape.entries()) {
    const [first, last, stride] = [begin[axis] as number, end[axis] as number, strides[axis] as number];
    const length = Math.max(0, Math.ceil((last - first) / stride));
    if (length === 0) return tf.zeros(finalShape, x.dtype);
    if (first === 0 && stride === 1 && length === extent) continue;
    const places = Int32Array.from({ length }, (_, i) => first + i * stride);
    out = tf.gather(out, tf.tensor1d(places, 'int32'), axis);
  }
  return tf.reshape(out, finalShape);
}

/** The different slices along an axis, in the order in which they come, and for each slice which of them it is. Compared on the host. */
function unique(x: tf.Tensor, axis: number): [tf.Tensor, tf.Tensor] {
  const values = x.dataSync();
  const [length, inner] = [x.shape[axis] as number, sizeOf(x.shape.slice(axis + 1))];
  const outer = sizeOf(x.shape.slice(0, axis));
  const seen = new Map<string, number>();
  const first: number[] = [];
  const which = Int32Array.from({ length }, (_, at) => {
    const slices = Array.from({ length: outer }, (__, o) => {
      const start = (o * length + at) * inner;
      return values.subarray(start, start + inner).join();
    });
    const key = slices.join(';');
    const known = seen.get(key) ?? seen.size;
    if (known === seen.size) {
      seen.set(key, known);
      first.push(at);
    }
    return known;
  });
  return [tf.gather(x, tf.tensor1d(first, 'int32'), axis), tf.tensor1d(which, 'int32')];
}

/** For the wasm backend, before its other kernels. */
export const numberTypeKernels: KernelTable = {
  Select: boolsAsIntegers('Select', 't', 'e'),
  Reverse: boolsAsIntegers('Reverse', 'x'),
  StridedSlice: (args) => {
    const dtype = dtypeOf(args, 'x');
    if (dtype === 'float32') return undefined;
    const x = args.inputs['x'] as tf.TensorInfo;
    return tf.tidy(() => tf.cast(stridedSlice(cast(x, 'int32'), args.attrs as StridedSliceAttrs), dtype));
  },
  OneHot: (args) => {
    const attrs = args.attrs as { readonly dtype?: tf.DataType };
    if (attrs.dtype !== 'bool') return undefined;
    return tf.tidy(() => tf.cast(run('OneHot', args.inputs, { ...attrs, dtype: 'int32' }), 'bool'));
  },
  // The stock kernel writes no output at all.
  Unique: ({ inputs, attrs }) => {
    const x = inputs['x'] as tf.TensorInfo;
    if (x.dtype === 'string') return undefined;
    const [axis] = tf.util.parseAxisParam((attrs as { readonly axis: number }).axis, x.shape) as [number];
    return tf.tidy(() => unique(tensorOf(x), axis));
  },
  // The bounds are cut to integers as on the cpu backend, where the result is.
  ClipByValue: (args) => {
    if (dtypeOf(args, 'x') !== 'int32') return undefined;
    const { clipValueMin, clipValueMax } = args.attrs as Readonly<Record<'clipValueMin' | 'clipValueMax', number>>;
    const bound = (value: number): tf.Scalar =>
      tf.scalar(Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(value))), 'int32');
    const x = tensorOf(args.inputs['x'] as tf.TensorInfo);
    return tf.tidy(() => tf.maximum(tf.minimum(x, bound(clipValueMax)), bound(clipValueMin)));
  },
  ...table(
    (kernelName) => inFloats(kernelName, 'int32', 'bool'),
    'Acos',
    'Acosh',
    'Asin',
    'Asinh',
    'Atanh',
    'Log1p',
    'Reciprocal',
    'IsFinite',
    'IsInf',
    'IsNan',
  ),
  ...table(
    (kernelName) => inFloats(kernelName, 'bool'),
    'Atan',
    'Exp',
    'Expm1',
    'Neg',
    'Relu6',
    'Round',
    'Selu',
    'Sinh',
    'Softplus',
  ),
};
