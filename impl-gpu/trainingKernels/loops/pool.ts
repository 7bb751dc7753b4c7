/**
 * Pools in two and three dimensions, with their gradients. tfjs-wasm's gradient of a maximum goes to the window's
 * first element where none is positive, and what rounds its output's size up, or has windows of one element, is computed wrongly; the gradient
 * of an average that leaves the padding out is that of one that does not, on cpu and wasm.
 */
import * as tf from '@tensorflow/tfjs';
import type { Memory } from './memory.ts';
import type { Kernel, KernelTable } from '../kernel.ts';

interface PoolAttrs {
  readonly filterSize: number | [number, number] | [number, number, number];
  readonly strides: number | [number, number] | [number, number, number];
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly dataFormat?: 'NDHWC' | 'NCDHW';
}

/** Along one axis: what windows see. */
interface Axis {
  readonly length: number;
  readonly outputs: number;
  readonly stride: number;
  readonly taps: number;
  readonly dilation: number;
  readonly before: number;
}

/** Depth, height and width, with images and channels. */
interface Pool {
  readonly images: number;
  readonly channels: number;
  readonly axes: readonly [Axis, Axis, Axis];
  readonly outShape: readonly number[];
}

const SINGLE: Axis = { length: 1, outputs: 1, stride: 1, taps: 1, dilation: 1, before: 0 };

function planar(shape: readonly number[], { filterSize, strides, pad, dimRoundingMode }: PoolAttrs): Pool {
  const info = tf.backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    filterSize as [number, number],
    strides as [number, number],
    1,
    pad,
    dimRoundingMode,
  );
  const [rows, columns]: readonly Axis[] = [
    {
      length: info.inHeight,
      outputs: info.outHeight,
      stride: info.strideHeight,
      taps: info.filterHeight,
      dilation: info.dilationHeight,
      before: info.padInfo.top,
    },
    {
      length: info.inWidth,
      outputs: info.outWidth,
      stride: info.strideWidth,
      taps: info.filterWidth,
      dilation: info.dilationWidth,
      before: info.padInfo.left,
    },
  ];
  return {
    images: info.batchSize,
    channels: info.inChannels,
    axes: [SINGLE, rows as Axis, columns as Axis],
    outShape: info.outShape,
  };
}

function spatial(shape: readonly number[], { filterSize, strides, pad, dimRoundingMode, dataFormat }: PoolAttrs): Pool {
  const info = tf.backend_util.computePool3DInfo(
    shape as [number, number, number, number, number],
    filterSize as [number, number, number],
    strides as [number, number, number],
    1,
    pad as 'valid' | 'same' | number,
    dimRoundingMode,
    dataFormat,
  );
  // With a stride beyond the window tfjs counts negative padding, and shifts the windows.
  const { front, top, left } = info.padInfo;
  return {
    images: info.batchSize,
    channels: info.inChannels,
    axes: [
      {
        length: info.inDepth,
        outputs: info.outDepth,
        stride: info.strideDepth,
        taps: info.filterDepth,
        dilation: info.dilationDepth,
        before: Math.max(0, front),
      },
      {
        length: info.inHeight,
        outputs: info.outHeight,
        stride: info.strideHeight,
        taps: info.filterHeight,
        dilation: info.dilationHeight,
        before: Math.max(0, top),
      },
      {
        length: info.inWidth,
        outputs: info.outWidth,
        stride: info.strideWidth,
        taps: info.filterWidth,
        dilation: info.dilationWidth,
        before: Math.max(0, left),
      },
    ],
    outShape: info.outShape,
  };
}

/** What an output sees along an axis: the first element inside, the first behind, and their distance. */
function seen({ length, stride, taps, dilation, before }: Axis, output: number): readonly [number, number, number] {
  const corner = output * stride - before;
  const skipped = corner < 0 ? Math.ceil(-corner / dilation) : 0;
  return [corner + skipped * dilation, Math.min(length, corner + taps * dilation), dilation];
}

/** Calls `visit` for each window with the place of its output and those of the elements it sees; for the first channel only. */
function eachWindow(
  { images, channels, axes }: Pool,
  visit: (output: number, places: readonly number[]) => void,
): void {
  const [depth, rows, columns] = axes;
  const image = depth.length * rows.length * columns.length * channels;
  let output = 0;
  for (let n = 0; n < images; n++) {
    for (let o = 0; o < depth.outputs; o++) {
      const [d0, d1, dStep] = seen(depth, o);
      for (let p = 0; p < rows.outputs; p++) {
        const [r0, r1, rStep] = seen(rows, p);
        for (let q = 0; q < columns.outputs; q++) {
          const [c0, c1, cStep] = seen(columns, q);
          const places: number[] = [];
          for (let d = d0; d < d1; d += dStep) {
            for (let r = r0; r < r1; r += rStep) {
              for (let c = c0; c < c1; c += cStep) {
                places.push(n * image + ((d * rows.length + r) * columns.length + c) * channels);
              }
            }
          }
          visit(output, places);
          output += channels;
        }
      }
    }
  }
}

/** y: the largest element of each window but for NaN, which tfjs passes over; -Infinity for a window that sees none. */
function maximum(pool: Pool, x: Float32Array, y: Float32Array): void {
  eachWindow(pool, (output, places) => {
    for (let c = 0; c < pool.channels; c++) {
      let largest = -Infinity;
      for (const place of places) {
        const value = x[place + c] as number;
        if (value > largest) largest = value;
      }
      y[output + c] = largest;
    }
  });
}

/** dx: dy goes to the first of the largest elements. */
function maximumGradient(pool: Pool, x: Float32Array, dy: Float32Array, dx: Float32Array): void {
  eachWindow(pool, (output, places) => {
    for (let c = 0; c < pool.channels; c++) {
      let at = -1;
      let largest = -Infinity;
      for (const place of places) {
        const value = x[place + c] as number;
        if (Number.isNaN(value) || (at >= 0 && value <= largest)) continue;
        at = place + c;
        largest = value;
      }
      if (at >= 0) dx[at] = (dx[at] as number) + (dy[output + c] as number);
    }
  });
}

/** y: the mean of what each window sees, the padding left out; 0 for a window that sees nothing. */
function average(pool: Pool, x: Float32Array, y: Float32Array): void {
  eachWindow(pool, (output, places) => {
    for (let c = 0; c < pool.channels; c++) {
      let sum = 0;
      for (const place of places) sum += x[place + c] as number;
      y[output + c] = places.length === 0 ? 0 : sum / places.length;
    }
  });
}

function averageGradient(pool: Pool, dy: Float32Array, dx: Float32Array): void {
  eachWindow(pool, (output, places) => {
    for (let c = 0; c < pool.channels; c++) {
      const part = (dy[output + c] as number) / places.length;
      for (const place of places) dx[place + c] = (dx[place + c] as number) + part;
    }
  });
}

/** Whether XNNPACK computes a pool as tfjs defines it: windows of more than one element, and sizes rounded down. */
function suitsStock({ axes: [, rows, columns] }: Pool, attrs: PoolAttrs): boolean {
  const rounded = typeof attrs.pad !== 'string' && attrs.dimRoundingMode !== 'floor';
  const covers = ({ length, outputs, stride, taps, before }: Axis): boolean =>
    before < taps && (outputs - 1) * stride - before < length;
  return rows.taps * columns.taps > 1 && !rounded && covers(rows) && covers(columns);
}

function isTrivial({ axes }: Pool): boolean {
  return axes.every(({ taps }) => taps === 1);
}

/** `stock`: a backend's own maximum and average over a plane are right in the cases that `suitsStock` tells. */
export function poolKernels({ compute }: Memory, stock: boolean): KernelTable {
  type Infer = (shape: readonly number[], attrs: PoolAttrs) => Pool;
  const forward =
    (infer: Infer, loop: typeof average, mayDecline: boolean): Kernel =>
    ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      const pool = infer(x.shape, attrs as PoolAttrs);
      if (x.dtype !== 'float32' || (mayDecline && suitsStock(pool, attrs as PoolAttrs))) return undefined;
      return compute(pool.outShape, [x], (to, from) => {
        // tfjs returns the input itself, even where strides and padding would move it.
        if (isTrivial(pool) && tf.util.arraysEqual(x.shape, [...pool.outShape])) to.set(from);
        else loop(pool, from, to);
      });
    };
  const backward =
    (infer: Infer, loop: (pool: Pool, x: Float32Array, dy: Float32Array, dx: Float32Array) => void): Kernel =>
    ({ inputs, attrs }) => {
      const { dy, input } = inputs as Record<'dy' | 'input', tf.TensorInfo>;
      if (dy.dtype !== 'float32' || input.dtype !== 'float32') return undefined;
      return compute(input.shape, [input, dy], (dx, x, slopes) => {
        dx.fill(0);
        loop(infer(input.shape, attrs as PoolAttrs), x, slopes, dx);
      });
    };
  const averageBackward = (pool: Pool, _: Float32Array, dy: Float32Array, dx: Float32Array): void =>
    averageGradient(pool, dy, dx);
  return {
    MaxPool: forward(planar, maximum, stock),
    AvgPool: forward(planar, average, stock),
    MaxPool3D: forward(spatial, maximum, false),
    AvgPool3D: forward(spatial, average, false),
    MaxPoolGrad: backward(planar, maximumGradient),
    AvgPoolGrad: backward(planar, averageBackward),
    MaxPool3DGrad: backward(spatial, maximumGradient),
    AvgPool3DGrad: backward(spatial, averageBackward),
  };
}

/** How many elements each window of an average sees, without images and channels, and how many it would without padding. */
export function averageWindows(
  kernelName: 'AvgPoolGrad' | 'AvgPool3DGrad',
  shape: readonly number[],
  attrs: unknown,
): { readonly counts: number[]; readonly size: number } {
  const pool = (kernelName === 'AvgPoolGrad' ? planar : spatial)(shape, attrs as PoolAttrs);
  const counts: number[] = [];
  eachWindow({ ...pool, images: 1, channels: 1 }, (_, places) => counts.push(places.length));
  return { counts, size: pool.axes.reduce((product, { taps }) => product * taps, 1) };
}
