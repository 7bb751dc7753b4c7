/** 3 x 3 convolutions with stride 1 by Winograd's F(2 x 2, 3 x 3), with both gradients: `assembly/parts/winograd.ts` over several threads. */
import type { Geometry } from '../geometry.ts';
import { WINOGRAD_MULTIPLICATIONS, suitsWinograd, winogradTiles } from '../geometry.ts';
import type { Runtime } from './runtime.ts';
import { Layout, dispatch } from './runtime.ts';
import type { Share } from './team.ts';

/** Pointers are byte addresses of dense NHWC tensors on the heap. */
export interface Winograd {
  readonly forward: (info: Geometry, x: number, filter: number, y: number, bias: number, relu: boolean) => void;
  readonly input: (info: Geometry, dy: number, filter: number, dx: number) => void;
  readonly filter: (info: Geometry, x: number, dy: number, df: number) => void;
}

const TAPS = 9;

/** Tiles below which transforming the filter costs more than it saves. */
const FEW_TILES = 16;

const WIDTH = 8;

/** Whether a convolution is of this kind and gains by it. */
export const takesWinograd = (info: Geometry): boolean => suitsWinograd(info, WIDTH, FEW_TILES);

/** One convolution x [images, height, width, inputs] to y [images, outHeight, outWidth, outputs]. */
interface Task {
  readonly x: number;
  readonly filter: number;
  readonly y: number;
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly pad: number;
  /** The filter is [3, 3, outputs, inputs], to be turned. */
  readonly turned: boolean;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly tiles: number;
  readonly bias: number;
  readonly relu: boolean;
}

/** Where a part's arrays lie in its own memory, in bytes. */
type Inside = Readonly<Record<'x' | 'filter' | 'bias' | 'y' | 'scratch', number>>;

/** Copies `rows` rows of `columns` floats, `fromLead` and `toLead` floats apart; places are float indices. */
function copyRows(
  [from, fromAt, fromLead]: readonly [Float32Array, number, number],
  [to, toAt, toLead]: readonly [Float32Array, number, number],
  rows: number,
  columns: number,
): void {
  for (let row = 0; row < rows; row++) {
    const at = fromAt + row * fromLead;
    to.set(from.subarray(at, at + columns), toAt + row * toLead);
  }
}

export function createWinograd(runtime: Runtime): Winograd {
  const { heap, kernels, scratch } = runtime;
  const floats = (): Float32Array => new Float32Array(heap.memory.buffer);

  const convolve = (task: Task): void => {
    const { x, filter, y, images, height, width, inputs, outputs, pad, turned, outHeight, outWidth, bias } = task;
    const at = scratch('scratch', kernels.winogradScratch(inputs, outputs));
    const xImage = height * width * inputs;
    const yImage = outHeight * outWidth * outputs;
    const flags = [Number(turned), Number(task.relu)] as const;
    const multiplications = WINOGRAD_MULTIPLICATIONS * task.tiles * inputs * outputs;

    /** A part on a memory of its own: `part` channels of `count` images, with nothing between them. */
    const valuesOf = (inside: Inside, count: number, part: number): readonly number[] => [
      inside.x, inside.filter, inside.y, count, height, width, inputs, part, pad, flags[0],
      0, part, part, bias === 0 ? 0 : inside.bias, flags[1], inside.scratch,
    ]; // prettier-ignore

    const imagesOwn = (from: number, to: number): void =>
      kernels.winograd(
        x + 4 * from * xImage, filter, y + 4 * from * yImage, to - from, height, width, inputs, outputs, pad, flags[0],
        0, outputs, outputs, bias, flags[1], at,
      ); // prettier-ignore
    const imagesShare = (from: number, to: number): Share => {
      const count = to - from;
      const filterFloats = TAPS * inputs * outputs;
      const layout = new Layout();
      // What all parts use comes first: it must lie at the same place for each.
      const inside = {
        filter: layout.take(filterFloats),
        bias: layout.take(outputs),
        x: layout.take(count * xImage),
        y: layout.take(count * yImage),
        scratch: layout.take(kernels.winogradScratch(inputs, outputs) / 4),
      };
      return {
        bytes: layout.bytes,
        call: 'winograd',
        values: valuesOf(inside, count, outputs),
        load: (memory, again) => {
          const all = floats();
          if (!again) {
            memory.set(all.subarray(filter / 4, filter / 4 + filterFloats), inside.filter / 4);
            if (bias !== 0) memory.set(all.subarray(bias / 4, bias / 4 + outputs), inside.bias / 4);
          }
          const start = x / 4 + from * xImage;
          memory.set(all.subarray(start, start + count * xImage), inside.x / 4);
        },
        store: (memory) =>
          floats().set(memory.subarray(inside.y / 4, inside.y / 4 + count * yImage), y / 4 + from * yImage),
      };
    };

    const channelsOwn = (first: number, last: number): void =>
      kernels.winograd(
        x, filter, y + 4 * first, images, height, width, inputs, outputs, pad, flags[0],
        first, last, outputs, bias === 0 ? 0 : bias + 4 * first, flags[1], at,
      ); // prettier-ignore
    const channelsShare = (first: number, last: number): Share => {
      const part = last - first;
      const rows = images * outHeight * outWidth;
      const layout = new Layout();
      const inside = {
        x: layout.take(images * xImage),
        filter: layout.take(TAPS * inputs * part),
        bias: layout.take(part),
        y: layout.take(rows * part),
        scratch: layout.take(kernels.winogradScratch(inputs, part) / 4),
      };
      return {
        bytes: layout.bytes,
        call: 'winograd',
        values: valuesOf(inside, images, part),
        load: (memory, again) => {
          const all = floats();
          if (!again) memory.set(all.subarray(x / 4, x / 4 + images * xImage), inside.x / 4);
          // Turned, the part's channels are rows of each tap's matrix, else columns.
          if (turned) {
            const matrix = inputs * outputs;
            copyRows([all, filter / 4 + first * inputs, matrix], [memory, inside.filter / 4, part * inputs], TAPS, part * inputs); // prettier-ignore
          } else {
            copyRows([all, filter / 4 + first, outputs], [memory, inside.filter / 4, part], TAPS * inputs, part);
          }
          if (bias !== 0) memory.set(all.subarray(bias / 4 + first, bias / 4 + last), inside.bias / 4);
        },
        store: (memory) => copyRows([memory, inside.y / 4, part], [floats(), y / 4 + first, outputs], rows, part),
      };
    };

    // Parts by images transform the filter each, parts by channels the images.
    if (task.tiles >= inputs && images > 1) {
      dispatch(runtime, { multiplications, extent: images, unit: 1 }, imagesOwn, imagesShare);
    } else {
      dispatch(runtime, { multiplications, extent: outputs, unit: WIDTH }, channelsOwn, channelsShare);
    }
  };

  return {
    forward: (info, x, filter, y, bias, relu) => {
      const { batchSize: images, inHeight: height, inWidth: width, inChannels: inputs, outChannels: outputs } = info;
      const { outHeight, outWidth, padInfo } = info;
      const sizes = { images, height, width, inputs, outputs, pad: padInfo.top, outHeight, outWidth };
      convolve({ x, filter, y, ...sizes, turned: false, tiles: winogradTiles(info), bias, relu });
    },
    input: (info, dy, filter, dx) => {
      const { batchSize: images, inHeight, inWidth, inChannels, outChannels, outHeight, outWidth, padInfo } = info;
      const sizes = {
        images,
        height: outHeight,
        width: outWidth,
        inputs: outChannels,
        outputs: inChannels,
        pad: 2 - padInfo.top,
        outHeight: inHeight,
        outWidth: inWidth,
      };
      const tiles = images * Math.ceil(inHeight / 2) * Math.ceil(inWidth / 2);
      convolve({ x: dy, filter, y: dx, ...sizes, turned: true, tiles, bias: 0, relu: false });
    },
    filter: (info, x, dy, df) => {
      const { batchSize: images, inHeight: height, inWidth: width, inChannels: inputs, outChannels: outputs } = info;
      const { outHeight, outWidth, padInfo } = info;
      const pad = padInfo.top;
      const at = scratch(
        'scratch',
        kernels.winogradGradientScratch(inputs, inputs, outputs) + 4 * TAPS * inputs * outputs,
      );
      const own = (first: number, last: number): void => {
        const part = last - first;
        const whole = part === inputs;
        // A part comes dense, its taps one after the other: they are put in place behind.
        const room = kernels.winogradGradientScratch(inputs, part, outputs);
        const target = whole ? df : at + room;
        kernels.winogradFilterGradient(x, dy, target, images, height, width, inputs, outputs, pad, first, part, at);
        if (whole) return;
        const all = floats();
        copyRows([all, target / 4, part * outputs], [all, df / 4 + first * outputs, inputs * outputs], TAPS, part * outputs); // prettier-ignore
      };
      const share = (first: number, last: number): Share => {
        const part = last - first;
        const layout = new Layout();
        const inside = {
          x: layout.take(images * height * width * inputs),
          dy: layout.take(images * outHeight * outWidth * outputs),
          df: layout.take(TAPS * part * outputs),
          scratch: layout.take(kernels.winogradGradientScratch(inputs, part, outputs) / 4),
        };
        return {
          bytes: layout.bytes,
          call: 'winogradFilterGradient',
          values: [
            inside.x, inside.dy, inside.df, images, height, width, inputs, outputs, pad, first, part, inside.scratch,
          ], // prettier-ignore
          load: (memory, again) => {
            if (again) return;
            const all = floats();
            memory.set(all.subarray(x / 4, x / 4 + images * height * width * inputs), inside.x / 4);
            memory.set(all.subarray(dy / 4, dy / 4 + images * outHeight * outWidth * outputs), inside.dy / 4);
          },
          store: (memory) =>
            copyRows([memory, inside.df / 4, part * outputs], [floats(), df / 4 + first * outputs, inputs * outputs], TAPS, part * outputs), // prettier-ignore
        };
      };
      const multiplications = WINOGRAD_MULTIPLICATIONS * winogradTiles(info) * inputs * outputs;
      dispatch(runtime, { multiplications, extent: inputs, unit: WIDTH }, own, share);
    },
  };
}
