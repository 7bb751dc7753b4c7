/**
 * Convolutions in three dimensions as sums of convolutions over planes, one for each tap of the depth. tfjs-wasm's own are wrong for
 * filters that are not cubes, and all backends shift the windows where a stride is larger than its filter and padding is 'same'.
 */
import * as tf from '@tensorflow/tfjs';
import type { KernelArgs, KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

type Shape5D = [number, number, number, number, number];
type Triple = [number, number, number];

interface Conv3DAttrs {
  readonly strides: number | Triple;
  readonly pad: 'valid' | 'same' | number;
  readonly dilations?: number | Triple;
  readonly inputShape?: Shape5D;
  readonly filterShape?: Shape5D;
}

interface Geometry {
  readonly batch: number;
  /** Of the input, depth, height and width. */
  readonly input: Triple;
  readonly output: Triple;
  readonly taps: Triple;
  readonly strides: Triple;
  readonly dilations: Triple;
  readonly before: Triple;
  readonly behind: Triple;
  readonly channels: number;
  readonly outputs: number;
}

function geometry(
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations = 1 }: Conv3DAttrs,
): Geometry {
  const info = tf.backend_util.computeConv3DInfo(
    [...xShape] as Shape5D,
    [...filterShape] as Shape5D,
    strides,
    dilations,
    pad,
  );
  const input: Triple = [info.inDepth, info.inHeight, info.inWidth];
  const output: Triple = [info.outDepth, info.outHeight, info.outWidth];
  const taps: Triple = [info.filterDepth, info.filterHeight, info.filterWidth];
  const steps: Triple = [info.strideDepth, info.strideHeight, info.strideWidth];
  const rates: Triple = [info.dilationDepth, info.dilationHeight, info.dilationWidth];
  const { front, top, left } = info.padInfo;
  const before = [front, top, left].map((side) => Math.max(0, side)) as Triple;
  const behind = before.map((side, axis) => {
    const reach = ((taps[axis] as number) - 1) * (rates[axis] as number) + 1;
    return Math.max(
      0,
      ((output[axis] as number) - 1) * (steps[axis] as number) + reach - (input[axis] as number) - side,
    );
  }) as Triple;
  const [channels, outputs] = filterShape.slice(3) as [number, number];
  return {
    batch: info.batchSize,
    input,
    output,
    taps,
    strides: steps,
    dilations: rates,
    before,
    behind,
    channels,
    outputs,
  };
}

/** A convolution over planes with the sizes of a geometry. */
function planes(g: Geometry): tf.NamedAttrMap {
  const sides = [1, 2].map((axis): [number, number] => [g.before[axis] as number, g.behind[axis] as number]);
  return {
    strides: g.strides.slice(1),
    dilations: g.dilations.slice(1),
    pad: [[0, 0], ...sides, [0, 0]],
    dataFormat: 'NHWC',
    dimRoundingMode: null,
  } as unknown as tf.NamedAttrMap;
}

const run = (kernel: string, inputs: Record<string, tf.Tensor>, attrs: tf.NamedAttrMap): tf.Tensor =>
  tf.engine().runKernel(kernel, inputs, attrs) as tf.Tensor;

/** The planes of x, one for each output's depth, that tap `tap` sees: [batch * outputs, height, width, channels]. */
function seen(x: tf.Tensor, g: Geometry, tap: number): tf.Tensor {
  const [, height, width] = g.input;
  const plane = height * width * g.channels;
  const [depth, count, step] = [g.input[0], g.output[0], g.strides[0]];
  // Enough behind for a whole number of strides after each tap.
  const first = tap * g.dilations[0];
  const room = Math.max(0, first + count * step - depth - g.before[0]);
  const flat = tf.pad(tf.reshape(x, [g.batch, depth, plane]), [
    [0, 0],
    [g.before[0], room],
    [0, 0],
  ]);
  const part = tf.reshape(tf.slice(flat, [0, first, 0], [-1, count * step, -1]), [g.batch, count, step, plane]);
  return tf.reshape(tf.slice(part, [0, 0, 0, 0], [-1, -1, 1, -1]), [g.batch * count, height, width, g.channels]);
}

/** Puts planes back where `seen` took them, with zeros between. */
function placed(parts: tf.Tensor, g: Geometry, tap: number): tf.Tensor {
  const [, height, width] = g.input;
  const plane = height * width * g.channels;
  const [depth, count, step] = [g.input[0], g.output[0], g.strides[0]];
  const apart = tf.pad(tf.reshape(parts, [g.batch, count, 1, plane]), [
    [0, 0],
    [0, 0],
    [0, step - 1],
    [0, 0],
  ]);
  const first = tap * g.dilations[0];
  const room = Math.max(0, depth + g.before[0] - first - count * step);
  const padded = tf.pad(tf.reshape(apart, [g.batch, count * step, plane]), [
    [0, 0],
    [first, room],
    [0, 0],
  ]);
  return tf.slice(padded, [0, g.before[0], 0], [-1, depth, -1]);
}

const filterOf = (filter: tf.Tensor, g: Geometry, tap: number): tf.Tensor =>
  tf.reshape(tf.slice(filter, [tap, 0, 0, 0, 0], [1, -1, -1, -1, -1]), [g.taps[1], g.taps[2], g.channels, g.outputs]);

const eachTap = <T>(g: Geometry, make: (tap: number) => T): T[] =>
  Array.from({ length: g.taps[0] }, (_, tap) => make(tap));

export const conv3dKernels: KernelTable = {
  Conv3D: ({ inputs, attrs }) => {
    const { x, filter } = inputs as Record<'x' | 'filter', tf.TensorInfo>;
    const g = geometry(x.shape, filter.shape, attrs as Conv3DAttrs);
    return tf.tidy(() => {
      const [from, weights] = [tensorOf(x), tensorOf(filter)];
      const parts = eachTap(g, (tap) =>
        run('Conv2D', { x: seen(from, g, tap), filter: filterOf(weights, g, tap) }, planes(g)),
      );
      return tf.reshape(tf.addN(parts), [g.batch, ...g.output, g.outputs]);
    });
  },
  Conv3DBackpropInputV2: ({ inputs, attrs }) => {
    const { dy, filter } = inputs as Record<'dy' | 'filter', tf.TensorInfo>;
    const { inputShape, ...rest } = attrs as Conv3DAttrs & { readonly inputShape: Shape5D };
    const g = geometry(inputShape, filter.shape, rest);
    return tf.tidy(() => {
      const [from, weights] = [
        tf.reshape(tensorOf(dy), [g.batch * g.output[0], g.output[1], g.output[2], g.outputs]),
        tensorOf(filter),
      ];
      const inner = { ...planes(g), inputShape: [g.batch * g.output[0], g.input[1], g.input[2], g.channels] };
      const parts = eachTap(g, (tap) =>
        placed(run('Conv2DBackpropInput', { dy: from, filter: filterOf(weights, g, tap) }, inner), g, tap),
      );
      return tf.reshape(tf.addN(parts), [...inputShape]);
    });
  },
  Conv3DBackpropFilterV2: ({ inputs, attrs }) => {
    const { x, dy } = inputs as Record<'x' | 'dy', tf.TensorInfo>;
    const { filterShape, ...rest } = attrs as Conv3DAttrs & { readonly filterShape: Shape5D };
    const g = geometry(x.shape, filterShape, rest);
    return tf.tidy(() => {
      const [from, slopes] = [
        tensorOf(x),
        tf.reshape(tensorOf(dy), [g.batch * g.output[0], g.output[1], g.output[2], g.outputs]),
      ];
      const inner = { ...planes(g), filterShape: [g.taps[1], g.taps[2], g.channels, g.outputs] };
      const parts = eachTap(g, (tap) => run('Conv2DBackpropFilter', { x: seen(from, g, tap), dy: slopes }, inner));
      return tf.reshape(tf.stack(parts), [...filterShape]);
    });
  },
};

const triple = (sizes: number | Triple): Triple => (typeof sizes === 'number' ? [sizes, sizes, sizes] : sizes);

/**
 * The call without what no window sees, at the end of each axis, and without the stride of a single window: TensorFlow reads wrong elements of pictures of
 * one channel then. Undefined where there is neither.
 */
function withoutRest({ inputs, attrs }: KernelArgs): tf.Tensor | undefined {
  const { strides: given, pad, dilations = 1 } = attrs as Conv3DAttrs;
  const { x, filter } = inputs as Record<'x' | 'filter', tf.TensorInfo>;
  if (pad !== 'valid') return undefined;
  const strides = triple(given);
  const reaches = strides.map(
    (_, axis) => ((filter.shape[axis] as number) - 1) * (triple(dilations)[axis] as number) + 1,
  );
  const extents = strides.map((step, axis) => {
    const extent = x.shape[axis + 1] as number;
    return extent - ((extent - (reaches[axis] as number)) % step);
  });
  const steps = strides.map((step, axis) => (extents[axis] === reaches[axis] ? 1 : step));
  const whole = extents.every((extent, axis) => extent === x.shape[axis + 1]);
  if (whole && steps.every((step, axis) => step === strides[axis])) return undefined;
  return tf.tidy(() => {
    const seen = whole ? tensorOf(x) : tf.slice(tensorOf(x), [0, 0, 0, 0, 0], [-1, ...extents, -1]);
    return run('Conv3D', { x: seen, filter: tensorOf(filter) }, { ...(attrs as tf.NamedAttrMap), strides: steps });
  });
}

/** The same for a backend whose own are right but where a stride is larger than its filter: TensorFlow reads wrong elements then. */
export const widelyStridedConv3dKernels: KernelTable = Object.fromEntries(
  Object.entries(conv3dKernels).map(([kernelName, kernel]) => [
    kernelName,
    (args: KernelArgs) => {
      const { strides, filterShape } = args.attrs as Conv3DAttrs;
      const taps = filterShape ?? (args.inputs['filter'] as tf.TensorInfo).shape;
      if (triple(strides).some((step, axis) => step > (taps[axis] as number))) return kernel(args);
      return kernelName === 'Conv3D' ? withoutRest(args) : undefined;
    },
  ]),
);
