/** What tfjs's webgpu backend computes wrongly. */
import * as tf from '@tensorflow/tfjs';
import { aroundAxis, manyAxesKernels } from '../composed/axes.ts';
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
 * The gradient of a largest value whose strides are longer than its window: what lies between the windows is left out, the gradient is that of windows side
 * by side, and has zeros put back between. The backend's own loses windows.
 */
const widelyStridedMaxGradient: Kernel = ({ inputs, attrs }) => {
  const { dy, input } = inputs as Record<'dy' | 'input', tf.TensorInfo>;
  const { filterSize, strides, pad, dimRoundingMode } = attrs as {
    readonly filterSize: number | Triple;
    readonly strides: number | Triple;
    readonly pad: number | 'valid' | 'same';
    readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  };
  const [taps, steps] = [triple(filterSize), triple(strides)];
  if (steps.every((step, axis) => step <= (taps[axis] as number))) return undefined;
  const shape = input.shape as [number, number, number, number, number];
  const { padInfo } = tf.backend_util.computePool3DInfo(shape, [...taps], [...steps], 1, pad, dimRoundingMode);
  const lines = ([0, 1, 2] as const).map((axis) => {
    const [length, count] = [shape[axis + 1] as number, dy.shape[axis + 1] as number];
    const [window, step] = [taps[axis], Math.max(steps[axis], taps[axis])];
    const front = [padInfo.front, padInfo.top, padInfo.left][axis] as number;
    const wide = steps[axis] > window;
    // Windows with what lies behind them, or windows that overlap.
    const reach = wide ? count * step : (count - 1) * steps[axis] + window;
    return { at: axis + 1, length, count, window, step, front, wide, reach, next: wide ? window : steps[axis] };
  });
  return tf.tidy(() => {
    let x = tensorOf(input);
    for (const { at, length, count, window, step, front, wide, reach } of lines) {
      const line = tf.pad(
        aroundAxis(x, at),
        [
          [0, 0],
          [front, Math.max(0, reach - front - length)],
          [0, 0],
        ],
        LOWEST,
      );
      const seen = tf.slice(line, [0, 0, 0], [-1, reach, -1]);
      const [outer, , inner] = seen.shape;
      const kept = wide
        ? tf.slice(tf.reshape(seen, [outer, count, step, inner]), [0, 0, 0, 0], [-1, -1, window, -1])
        : seen;
      x = tf.reshape(kept, x.shape.with(at, wide ? count * window : reach));
    }
    const inner = { filterSize: [...taps], strides: lines.map(({ next }) => next), pad: 'valid' };
    let dx = tf
      .engine()
      .runKernel('MaxPool3DGrad', { dy: tensorOf(dy), input: x, output: tensorOf(dy) }, inner) as tf.Tensor;
    for (const { at, length, count, window, step, front, wide, reach } of lines) {
      const line = aroundAxis(dx, at);
      const [outer, , channels] = line.shape;
      const apart = wide
        ? tf.reshape(
            tf.pad(tf.reshape(line, [outer, count, window, channels]), [
              [0, 0],
              [0, 0],
              [0, step - window],
              [0, 0],
            ]),
            [outer, reach, channels],
          )
        : line;
      const whole = tf.pad(apart, [
        [0, 0],
        [0, Math.max(0, front + length - reach)],
        [0, 0],
      ]);
      dx = tf.reshape(tf.slice(whole, [0, front, 0], [-1, length, -1]), dx.shape.with(at, length));
    }
    return dx;
  });
};

function ownKernels(): KernelTable {
  return {
    ResizeBilinearGrad: resizeGradient(linearSources),
    ResizeNearestNeighborGrad: resizeGradient(nearestSources),
    MaxPool3DGrad: widelyStridedMaxGradient,
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
}
