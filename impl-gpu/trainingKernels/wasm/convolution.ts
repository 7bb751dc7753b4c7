/** Convolutions and their gradients on tfjs-wasm's heap, as matrix products; large ones over several threads. */
import type { Gemm } from './gemm.ts';
import type { Geometry } from '../geometry.ts';
import type { Phase, Table } from './taps.ts';
import { forwardTable, inputPhases, inputTable } from './taps.ts';
import type { ConvolveArguments, ConvolveFilterArguments, Runtime } from './runtime.ts';
import { Layout, dispatch } from './runtime.ts';
import type { Share } from './team.ts';
import { createWinograd, takesWinograd } from './winograd.ts';

/** All pointers are byte addresses of dense NHWC tensors on the heap. */
export interface Convolutions {
  /** y = x * filter [+ bias] [relu]; `bias` 0 for none. */
  readonly forward: (info: Geometry, x: number, filter: number, y: number, bias: number, relu: boolean) => void;
  /** dx of the same. */
  readonly input: (info: Geometry, dy: number, filter: number, dx: number) => void;
  /** dfilter of the same. */
  readonly filter: (info: Geometry, x: number, dy: number, df: number) => void;
  readonly depthwiseInput: (info: Geometry, dy: number, filter: number, dx: number) => void;
  readonly depthwiseFilter: (info: Geometry, x: number, dy: number, df: number) => void;
}

/** One product of the image's implicit matrix [rows, taps * channels] with the filter's [taps * channels, n]. */
interface Task {
  readonly x: number;
  /** Floats of an image of x. */
  readonly xImage: number;
  readonly channels: number;
  readonly filter: number;
  readonly filterFloats: number;
  readonly y: number;
  /** Floats of an image of y. */
  readonly yImage: number;
  readonly n: number;
  readonly images: number;
  readonly table: Table;
  /** For gradients: the filter's place of each tap, and where pixels lie in an image of y when not one after the other. */
  readonly order?: Int32Array;
  readonly rows?: Int32Array;
  readonly bias: number;
  readonly relu: boolean;
}

/** A convolution with a 1 x 1 filter at every pixel is a plain product. */
function isPointwise(info: Geometry): boolean {
  const { filterHeight, filterWidth, strideHeight, strideWidth, inHeight, inWidth, outHeight, outWidth } = info;
  const single = filterHeight * filterWidth * strideHeight * strideWidth === 1;
  return single && inHeight === outHeight && inWidth === outWidth;
}

export function createConvolutions(runtime: Runtime, { multiply }: Gemm): Convolutions {
  const { heap, kernels, scratch } = runtime;
  const winograd = createWinograd(runtime);
  const ints = (): Int32Array => new Int32Array(heap.memory.buffer);
  const floats = (): Float32Array => new Float32Array(heap.memory.buffer);

  /** Puts tables on the heap, one after the other; returns their addresses. May grow the heap. */
  const place = (...tables: readonly Int32Array[]): number[] => {
    const layout = new Layout();
    const offsets = tables.map((table) => layout.take(table.length));
    const at = scratch('tables', layout.bytes);
    tables.forEach((table, i) => ints().set(table, (at + (offsets[i] as number)) / 4));
    return offsets.map((offset) => at + offset);
  };

  const convolve = (task: Task): void => {
    const { x, xImage, channels, filter, filterFloats, y, yImage, n, images, table, order, rows, bias, relu } = task;
    const { taps, pixels, entries } = table;
    const k = taps * channels;
    const scratchFloats = (m: number): number => kernels.scratchFloats(m, n, k) + channels;
    const at = scratch('scratch', 4 * scratchFloats(images * pixels));
    const none = new Int32Array(0);
    const [tableAt, orderAt, rowsAt] = place(entries, order ?? none, rows ?? none) as [number, number, number];

    const own = (first: number, last: number): void => {
      const values: ConvolveArguments = [
        x,
        filter,
        rows === undefined ? y + 4 * first * n : y,
        first,
        last - first,
        n,
        taps,
        channels,
        pixels,
        tableAt,
        4 * xImage,
        order === undefined ? 0 : orderAt,
        rows === undefined ? 0 : rowsAt,
        4 * yImage,
        bias,
        Number(relu),
        at,
      ];
      kernels.convolve(...values);
    };

    const share = (first: number, last: number): Share => {
      const m = last - first;
      const firstImage = Math.floor(first / pixels);
      const count = Math.ceil(last / pixels) - firstImage;
      const layout = new Layout();
      // What all parts use comes first: it must lie at the same place for each.
      const inside = {
        filter: layout.take(filterFloats),
        table: layout.take(entries.length),
        order: layout.take(order?.length ?? 0),
        bias: layout.take(n),
        y: layout.take(m * n),
        x: layout.take(count * xImage),
        scratch: layout.take(scratchFloats(m)),
      };
      const values: ConvolveArguments = [
        inside.x,
        inside.filter,
        inside.y,
        first - firstImage * pixels,
        m,
        n,
        taps,
        channels,
        pixels,
        inside.table,
        4 * xImage,
        order === undefined ? 0 : inside.order,
        0,
        0,
        bias === 0 ? 0 : inside.bias,
        Number(relu),
        inside.scratch,
      ];
      return {
        bytes: layout.bytes,
        call: 'convolve',
        values,
        load: (memory, again) => {
          const from = floats();
          if (!again) {
            memory.set(from.subarray(filter / 4, filter / 4 + filterFloats), inside.filter / 4);
            const words = new Int32Array(memory.buffer);
            words.set(entries, inside.table / 4);
            if (order !== undefined) words.set(order, inside.order / 4);
            if (bias !== 0) memory.set(from.subarray(bias / 4, bias / 4 + n), inside.bias / 4);
          }
          const start = x / 4 + firstImage * xImage;
          memory.set(from.subarray(start, start + count * xImage), inside.x / 4);
        },
        store: (memory) => {
          const to = floats();
          if (rows === undefined) {
            to.set(memory.subarray(inside.y / 4, inside.y / 4 + m * n), y / 4 + first * n);
            return;
          }
          for (let row = first; row < last; row++) {
            const from = inside.y / 4 + (row - first) * n;
            const target = y / 4 + Math.floor(row / pixels) * yImage + (rows[row % pixels] as number) / 4;
            to.set(memory.subarray(from, from + n), target);
          }
        },
      };
    };
    dispatch(
      runtime,
      { multiplications: images * pixels * n * k, extent: images * pixels, unit: kernels.tileRows() },
      own,
      share,
    );
  };

  const convolveFilter = (info: Geometry, x: number, dy: number, df: number): void => {
    const { batchSize: images, inChannels: channels, outChannels: n } = info;
    const { taps, pixels, entries } = forwardTable(info);
    const xImage = info.inHeight * info.inWidth * channels;
    const [m, k] = [taps * channels, images * pixels];
    const at = scratch('scratch', 4 * kernels.scratchFloats(m, n, k));
    const [tableAt] = place(entries) as [number];
    const own = (first: number, last: number): void => {
      const values: ConvolveFilterArguments = [
        x,
        dy,
        df + 4 * first * n,
        first,
        last - first,
        n,
        channels,
        images,
        pixels,
        tableAt,
        4 * xImage,
        at,
      ];
      kernels.convolveFilter(...values);
    };
    const share = (first: number, last: number): Share => {
      const layout = new Layout();
      const inside = {
        x: layout.take(images * xImage),
        dy: layout.take(k * n),
        table: layout.take(entries.length),
        df: layout.take((last - first) * n),
        scratch: layout.take(kernels.scratchFloats(last - first, n, k)),
      };
      const values: ConvolveFilterArguments = [
        inside.x,
        inside.dy,
        inside.df,
        first,
        last - first,
        n,
        channels,
        images,
        pixels,
        inside.table,
        4 * xImage,
        inside.scratch,
      ];
      return {
        bytes: layout.bytes,
        call: 'convolveFilter',
        values,
        load: (memory, again) => {
          if (again) return;
          const from = floats();
          memory.set(from.subarray(x / 4, x / 4 + images * xImage), inside.x / 4);
          memory.set(from.subarray(dy / 4, dy / 4 + k * n), inside.dy / 4);
          new Int32Array(memory.buffer).set(entries, inside.table / 4);
        },
        store: (memory) =>
          floats().set(memory.subarray(inside.df / 4, inside.df / 4 + (last - first) * n), df / 4 + first * n),
      };
    };
    dispatch(runtime, { multiplications: m * n * k, extent: m, unit: kernels.tileRows() }, own, share);
  };

  /**
   * Whether all results are finite. Winograd's sums and differences make NaN of an infinite element where plain sums stay infinite: what is
   * not finite is computed again by the definition.
   */
  const finite = (at: number, length: number): boolean => {
    const values = new Float32Array(heap.memory.buffer, at, length);
    // What is not finite is NaN less itself, and NaN stays in a sum.
    let sum = 0;
    for (let i = 0; i < length; i++) {
      const value = values[i] as number;
      sum += value - value;
    }
    return sum === 0;
  };

  const pointwise = { bias: 0, relu: false, transposeA: false, transposeB: false };
  return {
    forward: (info, x, filter, y, bias, relu) => {
      const { batchSize: images, inChannels: channels, outChannels: n, inHeight, inWidth, outHeight, outWidth } = info;
      if (isPointwise(info)) {
        multiply({ ...pointwise, a: x, b: filter, c: y, m: images * inHeight * inWidth, n, k: channels, bias, relu });
        return;
      }
      if (takesWinograd(info)) {
        winograd.forward(info, x, filter, y, bias, relu);
        // A clamp keeps NaN, and -Infinity is 0 either way.
        if (finite(y, images * outHeight * outWidth * n)) return;
      }
      convolve({
        x,
        xImage: inHeight * inWidth * channels,
        channels,
        filter,
        filterFloats: info.filterHeight * info.filterWidth * channels * n,
        y,
        yImage: outHeight * outWidth * n,
        n,
        images,
        table: forwardTable(info),
        bias,
        relu,
      });
    },
    input: (info, dy, filter, dx) => {
      const { batchSize: images, inChannels: n, outChannels: channels, inHeight, inWidth, outHeight, outWidth } = info;
      const pixels = inHeight * inWidth;
      if (isPointwise(info)) {
        multiply({ ...pointwise, a: dy, b: filter, c: dx, m: images * pixels, n, k: channels, transposeB: true });
        return;
      }
      if (takesWinograd(info)) {
        winograd.input(info, dy, filter, dx);
        if (finite(dx, images * pixels * n)) return;
      }
      const phases: readonly Phase[] = inputPhases(info, channels);
      // Pixels that no output sees have no taps, and are not written.
      if (phases.some(({ taps }) => taps === 0)) floats().fill(0, dx / 4, dx / 4 + images * pixels * n);
      for (const { order, rows, ...table } of phases) {
        if (table.taps === 0) continue;
        convolve({
          x: dy,
          xImage: outHeight * outWidth * channels,
          channels,
          filter,
          filterFloats: info.filterHeight * info.filterWidth * channels * n,
          y: dx,
          yImage: pixels * n,
          n,
          images,
          table,
          order,
          ...(phases.length > 1 ? { rows } : {}),
          bias: 0,
          relu: false,
        });
      }
    },
    filter: (info, x, dy, df) => {
      const { batchSize, inHeight, inWidth, inChannels, outChannels } = info;
      if (takesWinograd(info)) {
        winograd.filter(info, x, dy, df);
        if (finite(df, info.filterHeight * info.filterWidth * inChannels * outChannels)) return;
      }
      if (!isPointwise(info)) {
        convolveFilter(info, x, dy, df);
        return;
      }
      const k = batchSize * inHeight * inWidth;
      multiply({ ...pointwise, a: x, b: dy, c: df, m: inChannels, n: outChannels, k, transposeA: true });
    },
    depthwiseInput: (info, dy, filter, dx) => {
      const { batchSize, inChannels, outChannels, outHeight, outWidth } = info;
      const { taps, pixels, entries } = inputTable(info, outChannels);
      const [table] = place(entries) as [number];
      const image = 4 * outHeight * outWidth * outChannels;
      const multiplier = outChannels / inChannels;
      kernels.depthwiseInput(dy, filter, dx, batchSize, pixels, taps, inChannels, multiplier, table, image);
    },
    depthwiseFilter: (info, x, dy, df) => {
      const { batchSize, inChannels, outChannels, inHeight, inWidth } = info;
      const { taps, pixels, entries } = forwardTable(info);
      const [table] = place(entries) as [number];
      const image = 4 * inHeight * inWidth * inChannels;
      const multiplier = outChannels / inChannels;
      kernels.depthwiseFilter(x, dy, df, batchSize, pixels, taps, inChannels, multiplier, table, image);
    },
  };
}
