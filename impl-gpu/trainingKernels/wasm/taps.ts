/** Where a convolution's taps see what: the tables of `assembly/gemm.ts`. */
import type { Geometry } from '../geometry.ts';

/** For tap t and pixel q, at t * pixels + q: the byte offset within an image of what the tap sees there; -1 outside. */
export interface Table {
  readonly taps: number;
  readonly pixels: number;
  readonly entries: Int32Array;
}

/** The taps of output pixels, as offsets into images of x. */
export function forwardTable(info: Geometry): Table {
  const { filterHeight, filterWidth, outHeight, outWidth, inHeight, inWidth, inChannels } = info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  const [taps, pixels] = [filterHeight * filterWidth, outHeight * outWidth];
  const entries = new Int32Array(taps * pixels);
  let at = 0;
  for (let i = 0; i < filterHeight; i++) {
    for (let j = 0; j < filterWidth; j++) {
      for (let p = 0; p < outHeight; p++) {
        const row = p * strideHeight - padInfo.top + i * dilationHeight;
        for (let q = 0; q < outWidth; q++) {
          const column = q * strideWidth - padInfo.left + j * dilationWidth;
          const inside = row >= 0 && row < inHeight && column >= 0 && column < inWidth;
          entries[at++] = inside ? 4 * inChannels * (row * inWidth + column) : -1;
        }
      }
    }
  }
  return { taps, pixels, entries };
}

/**
 * Input pixels that see the same taps: those of equal remainder of (row, column) modulo the strides. With stride 1 there is one such phase, of
 * all pixels and taps.
 */
export interface Phase extends Table {
  /** The filter's place of each tap. */
  readonly order: Int32Array;
  /** Byte offset within an image of x of each pixel. */
  readonly rows: Int32Array;
}

/** The output pixel that sees input `at` through tap `tap`, or -1. */
function source(at: number, tap: number, pad: number, stride: number, dilation: number, extent: number): number {
  const numerator = at + pad - tap * dilation;
  const output = numerator / stride;
  return Number.isInteger(output) && output >= 0 && output < extent ? output : -1;
}

function range(first: number, end: number, step: number): number[] {
  return Array.from({ length: Math.max(0, Math.ceil((end - first) / step)) }, (_, i) => first + i * step);
}

/** The output pixels that input pixels contribute to, as offsets into images of dy of `channels` channels. */
export function inputPhases(info: Geometry, channels: number): Phase[] {
  const { filterHeight, filterWidth, outHeight, outWidth, inHeight, inWidth, inChannels } = info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  const phases: Phase[] = [];
  for (let a = 0; a < Math.min(strideHeight, inHeight); a++) {
    const rowsOfPhase = range(a, inHeight, strideHeight);
    const rowTaps = range(0, filterHeight, 1).filter(
      (i) => (a + padInfo.top - i * dilationHeight) % strideHeight === 0,
    );
    for (let b = 0; b < Math.min(strideWidth, inWidth); b++) {
      const columns = range(b, inWidth, strideWidth);
      const columnTaps = range(0, filterWidth, 1).filter(
        (j) => (b + padInfo.left - j * dilationWidth) % strideWidth === 0,
      );
      const order = Int32Array.from(rowTaps.flatMap((i) => columnTaps.map((j) => i * filterWidth + j)));
      const pixels = rowsOfPhase.length * columns.length;
      const entries = new Int32Array(order.length * pixels);
      let at = 0;
      for (const i of rowTaps) {
        for (const j of columnTaps) {
          const outColumns = columns.map((w) => source(w, j, padInfo.left, strideWidth, dilationWidth, outWidth));
          for (const h of rowsOfPhase) {
            const row = source(h, i, padInfo.top, strideHeight, dilationHeight, outHeight);
            for (const column of outColumns) {
              entries[at++] = row < 0 || column < 0 ? -1 : 4 * channels * (row * outWidth + column);
            }
          }
        }
      }
      const rows = Int32Array.from(rowsOfPhase.flatMap((h) => columns.map((w) => 4 * inChannels * (h * inWidth + w))));
      phases.push({ taps: order.length, pixels, entries, order, rows });
    }
  }
  return phases;
}

/** As one phase of all pixels and taps, for any strides: most entries are -1 when a stride is large. */
export function inputTable(info: Geometry, channels: number): Table {
  const { filterHeight, filterWidth, outHeight, outWidth, inHeight, inWidth, padInfo } = info;
  const { strideHeight, strideWidth, dilationHeight, dilationWidth } = info;
  const [taps, pixels] = [filterHeight * filterWidth, inHeight * inWidth];
  const entries = new Int32Array(taps * pixels);
  let at = 0;
  for (let i = 0; i < filterHeight; i++) {
    for (let j = 0; j < filterWidth; j++) {
      for (let h = 0; h < inHeight; h++) {
        const row = source(h, i, padInfo.top, strideHeight, dilationHeight, outHeight);
        for (let w = 0; w < inWidth; w++) {
          const column = source(w, j, padInfo.left, strideWidth, dilationWidth, outWidth);
          entries[at++] = row < 0 || column < 0 ? -1 : 4 * channels * (row * outWidth + column);
        }
      }
    }
  }
  return { taps, pixels, entries };
}
