/**
 * Gradients of resized pictures. tfjs's on cpu are wrong from the second picture on, or for pictures that are not square, and loop for ever on
 * a picture of one row; neither they nor wasm's know of half-pixel centres.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Kernel, KernelTable } from '../kernel.ts';
import type { Memory } from './memory.ts';

/** How a picture was resized. */
export interface ResizeAttrs {
  readonly alignCorners: boolean;
  readonly halfPixelCenters: boolean;
}

/** Which pixels of a line a pixel of the resized line is made of, and with what weights. */
export interface Source {
  readonly low: number;
  readonly high: number;
  /** The weight of `high`; that of `low` is 1 less it. */
  readonly weight: number;
}

/** Where each of `size` pixels lies on a line of `length`. */
function positions(length: number, size: number, { alignCorners, halfPixelCenters }: ResizeAttrs): number[] {
  const corners = alignCorners && size > 1;
  const scale = corners ? (length - 1) / (size - 1) : length / size;
  return Array.from({ length: size }, (_, i) => (halfPixelCenters ? (i + 0.5) * scale - 0.5 : i * scale));
}

/** Sources of a line that is interpolated. */
export function linearSources(length: number, size: number, attrs: ResizeAttrs): Source[] {
  return positions(length, size, attrs).map((position) => {
    const low = Math.floor(position);
    const inside = (i: number): number => Math.max(0, Math.min(length - 1, i));
    return { low: inside(low), high: inside(low + 1), weight: position - low };
  });
}

/** Sources of a line whose pixels are the nearest ones. */
export function nearestSources(length: number, size: number, attrs: ResizeAttrs): Source[] {
  const scale = attrs.alignCorners && size > 1 ? (length - 1) / (size - 1) : length / size;
  return Array.from({ length: size }, (_, i) => {
    const position = attrs.halfPixelCenters ? (i + 0.5) * scale : i * scale;
    const at = Math.max(0, Math.min(length - 1, attrs.alignCorners ? Math.round(position) : Math.floor(position)));
    return { low: at, high: at, weight: 0 };
  });
}

export function resizeKernels({ compute }: Memory): KernelTable {
  const gradient =
    (sourcesOf: typeof linearSources): Kernel =>
    ({ inputs, attrs }) => {
      const { dy, images } = inputs as Record<'dy' | 'images', tf.TensorInfo>;
      if (dy.dtype !== 'float32') return undefined;
      const [batch, height, width, channels] = images.shape as [number, number, number, number];
      const [, rows, columns] = dy.shape as [number, number, number, number];
      const down = sourcesOf(height, rows, attrs as ResizeAttrs);
      const across = sourcesOf(width, columns, attrs as ResizeAttrs);
      return compute(images.shape, [dy], (dx, slopes) => {
        dx.fill(0);
        let from = 0;
        for (let n = 0; n < batch; n++) {
          for (const row of down) {
            const top = (n * height + row.low) * width;
            const bottom = (n * height + row.high) * width;
            for (const column of across) {
              const weights = [
                [(top + column.low) * channels, (1 - row.weight) * (1 - column.weight)],
                [(top + column.high) * channels, (1 - row.weight) * column.weight],
                [(bottom + column.low) * channels, row.weight * (1 - column.weight)],
                [(bottom + column.high) * channels, row.weight * column.weight],
              ] as const;
              for (const [at, weight] of weights) {
                if (weight === 0) continue;
                for (let c = 0; c < channels; c++) {
                  dx[at + c] = (dx[at + c] as number) + weight * (slopes[from + c] as number);
                }
              }
              from += channels;
            }
          }
        }
      });
    };
  return { ResizeBilinearGrad: gradient(linearSources), ResizeNearestNeighborGrad: gradient(nearestSources) };
}
