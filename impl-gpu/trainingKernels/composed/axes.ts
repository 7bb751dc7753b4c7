/** Kernels along axes, made of the same kernels on tensors of three axes: [what is before an axis, the axis, what is behind it]. */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { Kernel, KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

/** A tensor as seen from one of its axes. */
export function aroundAxis(x: tf.Tensor, axis: number): tf.Tensor3D {
  const { shape } = x;
  return tf.reshape(x, [sizeOf(shape.slice(0, axis)), shape[axis] as number, sizeOf(shape.slice(axis + 1))]);
}

/** Changes a tensor along one axis, whose length may change. */
function changed(x: tf.Tensor, axis: number, change: (x: tf.Tensor3D) => tf.Tensor): tf.Tensor {
  const out = change(aroundAxis(x, axis));
  return tf.reshape(out, x.shape.with(axis, out.shape[1] as number));
}

interface Cumulative {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const cumulative =
  (running: typeof tf.cumsum, axes: number): Kernel =>
  ({ inputs, attrs }) => {
    const { axis, exclusive, reverse } = attrs as Cumulative;
    const { shape } = inputs['x'] as tf.TensorInfo;
    if (axis >= 0 && shape.length <= axes) return undefined;
    const [at] = tf.util.parseAxisParam(axis, shape) as [number];
    return tf.tidy(() => changed(tensorOf(inputs['x'] as tf.TensorInfo), at, (x) => running(x, 1, exclusive, reverse)));
  };

/**
 * Running sums and products along an axis that is counted from the end: tfjs's kernels take it for one in front of the first, and write beside their
 * output.
 *
 * @param axes - as many axes as the backend's own know
 */
export const cumulativeKernels = (axes = Infinity): KernelTable => ({
  Cumsum: cumulative(tf.cumsum, axes),
  Cumprod: cumulative(tf.cumprod, axes),
});

/** Padding axis by axis. */
const padded =
  (axes: number, pad: (x: tf.Tensor3D, around: [number, number], attrs: unknown) => tf.Tensor): Kernel =>
  ({ inputs, attrs }) => {
    const x = inputs['x'] as tf.TensorInfo;
    if (x.shape.length <= axes) return undefined;
    const { paddings } = attrs as { readonly paddings: readonly [number, number][] };
    return tf.tidy(() =>
      paddings.reduce<tf.Tensor>(
        (whole, around, axis) =>
          around[0] === 0 && around[1] === 0 ? whole : changed(whole, axis, (part) => pad(part, around, attrs)),
        tensorOf(x),
      ),
    );
  };

const threeAxes = (around: [number, number]): [[number, number], [number, number], [number, number]] => [
  [0, 0],
  around,
  [0, 0],
];

/** A vector beside a tensor of more than four axes, as rows of the tensor's last axis. */
const beside =
  (kernelName: string): Kernel =>
  ({ inputs, attrs }) => {
    const [[nameA, a], [nameB, b]] = Object.entries(inputs) as [[string, tf.TensorInfo], [string, tf.TensorInfo]];
    if (Math.min(a.shape.length, b.shape.length) !== 1 || Math.max(a.shape.length, b.shape.length) <= 4)
      return undefined;
    const rows = (x: tf.TensorInfo): tf.Tensor =>
      x.shape.length === 1 ? tensorOf(x) : tf.reshape(tensorOf(x), [-1, x.shape.at(-1) ?? 1]);
    if (sizeOf(a.shape) === 0 || sizeOf(b.shape) === 0) return undefined;
    return tf.tidy(() => {
      const out = tf.engine().runKernel(kernelName, { [nameA]: rows(a), [nameB]: rows(b) }, attrs as tf.NamedAttrMap);
      return tf.reshape(out as tf.Tensor, tf.backend_util.assertAndGetBroadcastShape(a.shape, b.shape));
    });
  };

/** Kernels of two tensors that are broadcast to each other. */
const BROADCAST = ['Add', 'Atan2', 'Equal', 'FloorDiv', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'LogicalAnd', 'LogicalOr', 'Maximum', 'Minimum', 'Mod', 'Multiply', 'NotEqual', 'Pow', 'Prelu', 'RealDiv', 'SquaredDifference', 'Sub']; // prettier-ignore

/** Kernels of tensors of more than four axes, which the webgpu backend has for up to four: others it refuses, or leaves the output unwritten. */
export const manyAxesKernels: KernelTable = {
  ...cumulativeKernels(4),
  ...Object.fromEntries(BROADCAST.map((kernelName) => [kernelName, beside(kernelName)])),
  Select: ({ inputs }) => {
    const { condition, t, e } = inputs as Record<'condition' | 't' | 'e', tf.TensorInfo>;
    if (t.shape.length <= 4) return undefined;
    return tf.tidy(() => {
      const [where, one, other] = [condition, t, e].map((info) => tf.reshape(tensorOf(info), [-1])) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      // One truth value for each part along the first axis, where it is not one for each element.
      const whole = where.size === one.size ? where : tf.reshape(tf.tile(tf.reshape(where, [-1, 1]), [1, one.size / where.size]), [-1]); // prettier-ignore
      return tf.reshape(tf.where(whole, one, other), t.shape);
    });
  },
  PadV2: padded(4, (x, around, attrs) =>
    tf.pad(x, threeAxes(around), (attrs as { readonly constantValue: number }).constantValue),
  ),
  MirrorPad: padded(4, (x, around, attrs) =>
    tf.mirrorPad(x, threeAxes(around), (attrs as { readonly mode: 'reflect' | 'symmetric' }).mode),
  ),
  Reverse: ({ inputs, attrs }) => {
    const x = inputs['x'] as tf.TensorInfo;
    if (x.shape.length <= 4) return undefined;
    const axes = tf.util.parseAxisParam((attrs as { readonly dims: number | number[] }).dims, x.shape);
    return tf.tidy(() =>
      axes.reduce<tf.Tensor>(
        (whole, axis) => changed(whole, axis, (part) => tf.reverse(part, 1)),
        tf.clone(tensorOf(x)),
      ),
    );
  },
  ScatterNd: ({ inputs, attrs }) => {
    const { indices, updates } = inputs as Record<'indices' | 'updates', tf.TensorInfo>;
    const { shape } = attrs as { readonly shape: number[] };
    const depth = indices.shape.at(-1) ?? 0;
    if (depth <= 4 || sizeOf(indices.shape) === 0) return undefined;
    return tf.tidy(() => {
      // One index in place of several.
      const strides = shape.slice(0, depth).map((_, axis) => sizeOf(shape.slice(axis + 1, depth)));
      const places = tf.sum(tf.mul(tf.reshape(tensorOf(indices), [-1, depth]), tf.tensor1d(strides, 'int32')), 1, true);
      const inner = sizeOf(shape.slice(depth));
      const rows = tf.reshape(tensorOf(updates), [places.size, inner]);
      const sums = tf.scatterND(tf.cast(places, 'int32'), rows, [sizeOf(shape.slice(0, depth)), inner]);
      return tf.reshape(sums, shape);
    });
  },
};
