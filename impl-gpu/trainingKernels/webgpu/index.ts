/** What tfjs's webgpu backend computes wrongly. */
import * as tf from '@tensorflow/tfjs';
import { manyAxesKernels } from '../composed/axes.ts';
import { emptyReductionKernels } from '../composed/reductions.ts';
import { cropKernels } from '../composed/crop.ts';
import { composedKernels } from '../composed/index.ts';
import { matMulKernels } from '../composed/matMul.ts';
import { tensorOf, tensorOfOutput } from '../composed/tensorOf.ts';
import type { Kernel, KernelTable } from '../kernel.ts';
import { installTable } from '../kernel.ts';
import { widePools } from '../refused.ts';
import { averageWindows } from '../loops/pool.ts';
import type { ResizeAttrs, Source } from '../loops/resize.ts';
import { linearSources, nearestSources } from '../loops/resize.ts';

interface Cumulative {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** The backend's own counts from the wrong end where a running sum is both exclusive and reversed: turned round, run, turned back. */
const reversed =
  (running: typeof tf.cumsum): Kernel =>
  ({ inputs, attrs }) => {
    const { axis, exclusive, reverse } = attrs as Cumulative;
    if (!reverse) return undefined;
    return tf.tidy(() =>
      tf.reverse(running(tf.reverse(tensorOf(inputs['x'] as tf.TensorInfo), axis), axis, exclusive, false), axis),
    );
  };

/**
 * The gradient of an average that leaves the padding out, from the backend's own, which divides by the whole window: dy is multiplied by
 * how much of each window lies outside.
 */
const averageGradient =
  (kernelName: 'AvgPoolGrad' | 'AvgPool3DGrad', own: tf.KernelFunc): Kernel =>
  ({ inputs, attrs }) => {
    const { dy, input } = inputs as Record<'dy' | 'input', tf.TensorInfo>;
    const { counts, size } = averageWindows(kernelName, input.shape, attrs);
    if (counts.every((count) => count === size)) return undefined;
    return tf.tidy(() => {
      const factors = tf.tensor(
        counts.map((count) => size / Math.max(1, count)),
        [1, ...dy.shape.slice(1, -1), 1],
      );
      const scaled = tf.mul(tensorOf(dy), factors);
      const args = { inputs: { dy: scaled, input }, attrs, backend: tf.backend() };
      return tensorOfOutput(own(args as unknown as Parameters<tf.KernelFunc>[0]) as tf.TensorInfo);
    });
  };

/** What each pixel of a resized line takes from each of the line it is made from: [length, size]. */
function shares(sources: readonly Source[], length: number): tf.Tensor2D {
  const values = new Float32Array(length * sources.length);
  sources.forEach(({ low, high, weight }, i) => {
    for (const [at, part] of [
      [low, 1 - weight],
      [high, weight],
    ] as const) {
      const place = at * sources.length + i;
      values[place] = (values[place] as number) + part;
    }
  });
  return tf.tensor2d(values, [length, sources.length]);
}

/**
 * The gradient of a resized picture as products with what the resized rows and columns take from the picture's. The backend's own looks for them from the
 * other side: it divides by the distance between a picture's corners, which may be 0, and loses pixels to rounding.
 */
const resizeGradient =
  (sourcesOf: typeof linearSources): Kernel =>
  ({ inputs, attrs }) => {
    const { dy, images } = inputs as Record<'dy' | 'images', tf.TensorInfo>;
    const [batch, height, width, channels] = images.shape as [number, number, number, number];
    const [, rows, columns] = dy.shape as [number, number, number, number];
    return tf.tidy(() => {
      const down = shares(sourcesOf(height, rows, attrs as ResizeAttrs), height);
      const across = shares(sourcesOf(width, columns, attrs as ResizeAttrs), width);
      const lines = tf.matMul(down, tf.reshape(tensorOf(dy), [batch, rows, columns * channels]));
      const pixels = tf.matMul(across, tf.reshape(lines, [batch * height, columns, channels]));
      return tf.reshape(pixels, images.shape);
    });
  };

/** Below all that a window sees; the shading language promises nothing for infinities. */
const LOWEST = -3.4028234663852886e38;

type Triple = readonly [number, number, number];
const triple = (sizes: number | Triple): Triple => (typeof sizes === 'number' ? [sizes, sizes, sizes] : sizes);

/**
 * The gradient of the largest value of a window whose height is not its width: that of the largest along the depth, of the largest in each plane. The backend's
 * own numbers a window's places by depth times height squared.
 */
const maxGradient3d: Kernel = ({ inputs, attrs }) => {
  const { dy, input } = inputs as Record<'dy' | 'input', tf.TensorInfo>;
  const { filterSize, strides, pad, dimRoundingMode } = attrs as {
    readonly filterSize: number | Triple;
    readonly strides: number | Triple;
    readonly pad: number | 'valid' | 'same';
    readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  };
  const [taps, steps] = [triple(filterSize), triple(strides)];
  if (taps[0] === 1 || taps[1] === taps[2]) return undefined;
  const shape = input.shape as [number, number, number, number, number];
  const { padInfo } = tf.backend_util.computePool3DInfo(shape, [...taps], [...steps], 1, pad, dimRoundingMode);
  const before = [padInfo.front, padInfo.top, padInfo.left];
  // What the windows see, with the padding in front of it and behind.
  const seen = taps.map((window, axis) => ((dy.shape[axis + 1] as number) - 1) * (steps[axis] as number) + window);
  const missing = seen.map((reach, axis) => reach - (before[axis] as number) - (shape[axis + 1] as number));
  const sides: [number, number][] = [
    [0, 0],
    ...missing.map((lack, axis): [number, number] => [before[axis] as number, Math.max(0, lack)]),
    [0, 0],
  ];
  const gradient = (slopes: tf.Tensor, x: tf.Tensor, filter: Triple, apart: Triple): tf.Tensor => {
    const own = { filterSize: [...filter], strides: [...apart], pad: 'valid' };
    return tf.engine().runKernel('MaxPool3DGrad', { dy: slopes, input: x, output: slopes }, own) as tf.Tensor;
  };
  return tf.tidy(() => {
    const x = tf.slice(tf.pad(tensorOf(input), sides, LOWEST), [0, 0, 0, 0, 0], [-1, ...seen, -1]) as tf.Tensor5D; // prettier-ignore
    const [along, stride]: [Triple, Triple] = [[taps[0], 1, 1], [steps[0], 1, 1]]; // prettier-ignore
    const highest = tf.maxPool3d(x, [...along], [...stride], 'valid');
    const inPlanes = gradient(tensorOf(dy), highest, [1, taps[1], taps[2]], [1, steps[1], steps[2]]);
    const dx = gradient(inPlanes, x, along, stride);
    const behind = missing.map((lack): [number, number] => [0, Math.max(0, -lack)]);
    const whole = tf.pad(dx, [[0, 0], ...behind, [0, 0]]);
    return tf.slice(whole, [0, ...before, 0], [...shape]);
  });
};

function ownKernels(): KernelTable {
  return {
    ResizeBilinearGrad: resizeGradient(linearSources),
    ResizeNearestNeighborGrad: resizeGradient(nearestSources),
    MaxPool3DGrad: maxGradient3d,
    Cumsum: reversed(tf.cumsum),
    Cumprod: reversed(tf.cumprod),
    // The backend's own forgets the axes that should be kept.
    Prod: ({ inputs, attrs }) => {
      const { axis, keepDims } = attrs as { readonly axis: number | number[]; readonly keepDims: boolean };
      const x = inputs['x'] as tf.TensorInfo;
      if (!keepDims) return undefined;
      const axes = tf.util.parseAxisParam(axis, x.shape);
      const shape = x.shape.map((extent, at) => (axes.includes(at) ? 1 : extent));
      return tf.tidy(() => tf.reshape(tf.prod(tensorOf(x), axis), shape));
    },
  };
}

/** Installs all kernels of ours on the webgpu backend, which must be running. Once a process. */
export function installWebGpuKernels(): void {
  const [average, average3d] = (['AvgPoolGrad', 'AvgPool3DGrad'] as const).map((kernelName) =>
    averageGradient(kernelName, tf.getKernel(kernelName, 'webgpu').kernelFunc),
  ) as [Kernel, Kernel];
  const table: KernelTable = {
    ...composedKernels,
    ...matMulKernels,
    ...ownKernels(),
    AvgPoolGrad: average,
    AvgPool3DGrad: average3d,
  };
  installTable('webgpu', () => table);
  installTable('webgpu', () => widePools);
  installTable('webgpu', () => manyAxesKernels);
  installTable('webgpu', () => cropKernels);
  installTable('webgpu', () => emptyReductionKernels);
}
