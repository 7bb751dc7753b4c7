/** Convolutions, pools and pictures. */
import * as tf from '@tensorflow/tfjs';
import type { Nd, Random } from './array.ts';
import { at, atOr, build, each } from './array.ts';
import type { Case, Operation } from './operation.ts';

type Pair = [number, number];

/** How a backend says that it refuses. */
const PIXELS = /takes no dimRoundingMode|TF Backend supports only 'valid' and 'same' padding|larger than the window/;
const WIDE = /larger than the window/;

function one(
  name: string,
  kernel: string | readonly string[],
  make: (random: Random) => Case,
  more: Partial<Operation> = {},
): Operation {
  return { name, kernels: typeof kernel === 'string' ? [kernel] : kernel, make, ...more };
}

/** Along one axis. */
interface Axis {
  readonly length: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly outputs: number;
}

type Mode = 'valid' | 'same' | 'number' | 'explicit';

/** Sizes by TensorFlow's rules: 'same' pads evenly, one more behind. */
function axisOf(
  random: Random,
  mode: Mode,
  given: { taps: number; stride: number; dilation: number; pad: number; rounding?: 'floor' | 'ceil' | 'round' },
): Axis & { readonly after: number } {
  const { taps, stride, dilation, pad, rounding = 'floor' } = given;
  const reach = (taps - 1) * dilation + 1;
  const length = random.int(Math.max(reach, 2), reach + 3);
  if (mode === 'same') {
    const outputs = Math.ceil(length / stride);
    const total = Math.max((outputs - 1) * stride + reach - length, 0);
    return {
      length,
      taps,
      stride,
      dilation,
      before: Math.floor(total / 2),
      after: total - Math.floor(total / 2),
      outputs,
    };
  }
  const before = mode === 'valid' ? 0 : pad;
  const after = mode === 'explicit' ? random.int(0, Math.min(1, taps - 1)) : before;
  const outputs = Math[rounding]((length + before + after - reach) / stride) + 1;
  return { length, taps, stride, dilation, before, after, outputs };
}

interface Window {
  readonly axes: readonly (Axis & { readonly after: number })[];
  readonly mode: Mode;
  readonly pad: 'valid' | 'same' | number | [Pair, Pair, Pair, Pair];
  readonly rounding: 'floor' | 'ceil' | 'round' | undefined;
  readonly what: string;
}

function windowOf(
  random: Random,
  dimensions: number,
  {
    dilated = false,
    roundings = ['floor'] as readonly ('floor' | 'ceil' | 'round')[],
    modes = ['valid', 'same', 'number', 'explicit'] as readonly Mode[],
    first = false,
  } = {},
): Window {
  const mode = random.pick(modes);
  const dilates = dilated && random.bool();
  const taps = random.shape(dimensions, 1, 3);
  const pad = random.int(0, Math.max(0, Math.min(...taps) - 1));
  const rounding = mode === 'number' ? random.pick(roundings) : undefined;
  const axes = taps.map((count) =>
    axisOf(random, mode, {
      taps: count,
      stride: dilates ? 1 : random.int(1, 3),
      dilation: dilates ? random.int(1, 2) : 1,
      pad,
      ...(rounding === undefined ? {} : { rounding }),
    }),
  );
  // An output more than floor gives must still see something.
  const blind = axes.some(({ outputs, stride, before, length }) => (outputs - 1) * stride - before >= length);
  if (blind) return windowOf(random, dimensions, { dilated, roundings, modes, first });
  const sides = axes.map(({ before, after }): Pair => [before, after]);
  const explicit = (first ? [[0, 0], [0, 0], ...sides] : [[0, 0], ...sides, [0, 0]]) as [Pair, Pair, Pair, Pair];
  return {
    axes,
    mode,
    pad: mode === 'explicit' ? explicit : mode === 'number' ? pad : mode,
    rounding,
    what: `taps [${taps}], strides [${axes.map(({ stride }) => stride)}], dilations [${axes.map(({ dilation }) => dilation)}], pad ${mode === 'explicit' ? `[${sides.join('; ')}]` : mode === 'number' ? pad : mode}${rounding === undefined ? '' : ` ${rounding}`}`,
  };
}

/** Calls `visit` with each tap's index and the input's position that output `place` sees through it. */
function eachTap(
  axes: readonly Axis[],
  place: readonly number[],
  visit: (tap: readonly number[], position: readonly number[]) => void,
): void {
  each(
    axes.map(({ taps }) => taps),
    (tap) => {
      visit(
        tap,
        tap.map((t, axis) => {
          const { stride, dilation, before } = axes[axis] as Axis;
          return (place[axis] as number) * stride - before + t * dilation;
        }),
      );
    },
  );
}

/** Channels last. */
function convolve(x: Nd, filter: Nd, axes: readonly Axis[], depthwise = false): Nd {
  const [batch] = x.shape as readonly [number];
  const channels = x.shape.at(-1) as number;
  const multiplier = filter.shape.at(-1) as number;
  const outputs = depthwise ? channels * multiplier : multiplier;
  return build([batch, ...axes.map((axis) => axis.outputs), outputs], (index) => {
    const place = index.slice(1, -1);
    const o = index.at(-1) as number;
    let sum = 0;
    eachTap(axes, place, (tap, position) => {
      if (depthwise) {
        const c = Math.floor(o / multiplier);
        // What lies outside is not there: it takes no part, not even with an infinite filter.
        const inside = position.every((p, axis) => p >= 0 && p < (x.shape[axis + 1] as number));
        if (inside) sum += at(x, [index[0] as number, ...position, c]) * at(filter, [...tap, c, o % multiplier]);
        return;
      }
      for (let c = 0; c < channels; c++) {
        const inside = position.every((p, axis) => p >= 0 && p < (x.shape[axis + 1] as number));
        if (inside) sum += at(x, [index[0] as number, ...position, c]) * at(filter, [...tap, c, o]);
      }
    });
    return sum;
  });
}

/** Channels to the end, or back to the front. */
function moveChannels(x: Nd, toLast: boolean): Nd {
  const rank = x.shape.length;
  const order = toLast
    ? [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]
    : [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)];
  return build(
    order.map((axis) => x.shape[axis] as number),
    (index) =>
      at(
        x,
        x.shape.map((_, axis) => index[order.indexOf(axis)] as number),
      ),
  );
}

const lengths = (axes: readonly Axis[]): number[] => axes.map(({ length }) => length);
const pairOf = (axes: readonly Axis[], of: (axis: Axis) => number): Pair => axes.map(of) as Pair;
const tripleOf = (axes: readonly Axis[], of: (axis: Axis) => number): [number, number, number] =>
  axes.map(of) as [number, number, number];

function conv2d(depthwise: boolean): Operation {
  return one(
    depthwise ? 'depthwiseConv2d' : 'conv2d',
    depthwise ? 'DepthwiseConv2dNative' : 'Conv2D',
    (random) => {
      const first = random.uniform() < 0.3 && !depthwise;
      const window = windowOf(random, 2, { dilated: true, first });
      const [channels, outputs] = random.shape(2, 1, 3) as Pair;
      const x = [random.int(1, 2), ...lengths(window.axes), channels];
      const shape = first ? [x[0] as number, channels, ...lengths(window.axes)] : x;
      const strides = pairOf(window.axes, ({ stride }) => stride);
      const dilations = pairOf(window.axes, ({ dilation }) => dilation);
      const run = depthwise ? tf.depthwiseConv2d : tf.conv2d;
      return {
        what: `${depthwise ? 'depthwiseConv2d' : 'conv2d'} ${first ? 'NCHW' : 'NHWC'}, ${window.what}`,
        inputs: [random.array(shape), random.array([...window.axes.map(({ taps }) => taps), channels, outputs])],
        run: (image, filter) =>
          run(
            image as tf.Tensor4D,
            filter as tf.Tensor4D,
            strides,
            window.pad as 'same',
            first ? 'NCHW' : 'NHWC',
            dilations,
            window.rounding,
          ),
        reference: (image, filter) => {
          const y = convolve(first ? moveChannels(image, true) : image, filter, window.axes, depthwise);
          return first ? moveChannels(y, false) : y;
        },
      };
    },
    { hostile: 'pixels' },
  );
}

function transposed(x: Nd, filter: Nd, axes: readonly Axis[]): Nd {
  // The gradient of a convolution: outputs of it are this one's inputs.
  const channels = filter.shape.at(-2) as number;
  const inputs = filter.shape.at(-1) as number;
  const out = build([x.shape[0] as number, ...lengths(axes), channels], () => 0);
  const shape = out.shape;
  each(x.shape.slice(0, -1), (index) => {
    eachTap(axes, index.slice(1), (tap, position) => {
      if (position.some((p, axis) => p < 0 || p >= (shape[axis + 1] as number))) return;
      for (let c = 0; c < channels; c++) {
        let place = index[0] as number;
        position.forEach((p, axis) => (place = place * (shape[axis + 1] as number) + p));
        place = place * channels + c;
        for (let o = 0; o < inputs; o++)
          out.data[place] = (out.data[place] as number) + at(x, [...index, o]) * at(filter, [...tap, c, o]);
      }
    });
  });
  return out;
}

function pool(x: Nd, axes: readonly Axis[], kind: 'max' | 'avg'): Nd {
  return build([x.shape[0] as number, ...axes.map(({ outputs }) => outputs), x.shape.at(-1) as number], (index) => {
    const seen: number[] = [];
    eachTap(axes, index.slice(1, -1), (_, position) => {
      if (position.every((p, axis) => p >= 0 && p < (x.shape[axis + 1] as number)))
        seen.push(at(x, [index[0] as number, ...position, index.at(-1) as number]));
    });
    return kind === 'max' ? Math.max(...seen) : seen.reduce((a, b) => a + b, 0) / seen.length;
  });
}

function pool2d(kind: 'max' | 'avg', roundings: readonly ('floor' | 'ceil' | 'round')[]): Operation {
  const name = `${kind}Pool`;
  return one(
    name,
    kind === 'max' ? 'MaxPool' : 'AvgPool',
    (random) => {
      const window = windowOf(random, 2, { roundings });
      const shape = [random.int(1, 3), ...lengths(window.axes), random.int(1, 3)];
      const [size, strides] = [pairOf(window.axes, ({ taps }) => taps), pairOf(window.axes, ({ stride }) => stride)];
      const run = kind === 'max' ? tf.maxPool : tf.avgPool;
      return {
        what: `${name}, ${window.what}`,
        inputs: [random.distinct(shape)],
        run: (x) => run(x as tf.Tensor4D, size, strides, window.pad as 'same', window.rounding),
        reference: (x) => pool(x, window.axes, kind),
      };
    },
    { missing: { tensorflow: PIXELS, webgpu: WIDE } },
  );
}

function pool3d(kind: 'max' | 'avg'): Operation {
  const name = `${kind}Pool3d`;
  return one(
    name,
    kind === 'max' ? 'MaxPool3D' : 'AvgPool3D',
    (random) => {
      const window = windowOf(random, 3, { modes: ['valid', 'same', 'number'] });
      const shape = [random.int(1, 2), ...lengths(window.axes), random.int(1, 2)];
      const [size, strides] = [
        tripleOf(window.axes, ({ taps }) => taps),
        tripleOf(window.axes, ({ stride }) => stride),
      ];
      const run = kind === 'max' ? tf.maxPool3d : tf.avgPool3d;
      return {
        what: `${name}, ${window.what}`,
        inputs: [random.distinct(shape)],
        run: (x) => run(x as tf.Tensor5D, size, strides, window.pad as 'same', window.rounding),
        reference: (x) => pool(x, window.axes, kind),
      };
    },
    { missing: { tensorflow: PIXELS, webgpu: WIDE } },
  );
}

/** Where a resized picture's pixel lies in the picture. */
function source(i: number, length: number, size: number, alignCorners: boolean, halfPixel: boolean): number {
  if (alignCorners && size > 1) return (i * (length - 1)) / (size - 1);
  const scale = length / size;
  return halfPixel ? (i + 0.5) * scale - 0.5 : i * scale;
}

function resize(kind: 'bilinear' | 'nearest'): Operation {
  const name = kind === 'bilinear' ? 'resizeBilinear' : 'resizeNearestNeighbor';
  return one(name, kind === 'bilinear' ? 'ResizeBilinear' : 'ResizeNearestNeighbor', (random) => {
    const shape = random.shape(4, 1, 5).with(0, random.int(1, 3)).with(3, random.int(1, 2));
    const size = random.shape(2, 1, 7) as Pair;
    const [alignCorners, halfPixel] = random.pick([
      [false, false],
      [true, false],
      [false, true],
    ] as const);
    const [, height, width] = shape as [number, number, number, number];
    const rounded = (position: number, length: number): number => {
      const i = alignCorners ? Math.floor(position + 0.5) : Math.floor(halfPixel ? position + 0.5 : position);
      return Math.min(length - 1, Math.max(0, i));
    };
    return {
      what: `${name} to [${size}], alignCorners ${alignCorners}, halfPixelCenters ${halfPixel}`,
      inputs: [random.array(shape)],
      run: (x) => tf.image[name](x as tf.Tensor4D, size, alignCorners, halfPixel),
      reference: (x) =>
        build([shape[0] as number, ...size, shape[3] as number], ([n, i, j, c]) => {
          const row = source(i as number, height, size[0], alignCorners, halfPixel);
          const column = source(j as number, width, size[1], alignCorners, halfPixel);
          const pixel = (r: number, q: number): number =>
            at(x, [
              n as number,
              Math.min(height - 1, Math.max(0, r)),
              Math.min(width - 1, Math.max(0, q)),
              c as number,
            ]);
          if (kind === 'nearest') return pixel(rounded(row, height), rounded(column, width));
          const [top, left] = [Math.floor(row), Math.floor(column)];
          const [down, right] = [row - top, column - left];
          return (
            (1 - down) * ((1 - right) * pixel(top, left) + right * pixel(top, left + 1)) +
            down * ((1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1))
          );
        }),
    };
  });
}

export const WINDOWS: readonly Operation[] = [
  conv2d(false),
  conv2d(true),
  one(
    'conv2d that suits Winograd',
    'Conv2D',
    (random) => {
      const [height, width] = random.shape(2, 6, 9) as Pair;
      const pad = random.int(0, 2);
      const axes = [height, width].map((length): Axis => ({
        length,
        taps: 3,
        stride: 1,
        dilation: 1,
        before: pad,
        outputs: length + 2 * pad - 2,
      }));
      return {
        what: `conv2d 3 x 3 of 8 channels, pad ${pad}`,
        inputs: [random.array([2, height, width, 8]), random.array([3, 3, 8, 8])],
        run: (x, filter) => tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, pad, 'NHWC', 1, 'floor'),
        reference: (x, filter) => convolve(x, filter, axes),
      };
    },
    { hostile: 'pixels' },
  ),
  one('conv1d', ['Conv2D', 'Reshape'], (random) => {
    const window = windowOf(random, 1, { modes: ['valid', 'same'] });
    const [channels, outputs] = random.shape(2, 1, 3) as Pair;
    const axis = window.axes[0] as Axis;
    return {
      what: `conv1d, ${window.what}`,
      inputs: [random.array([random.int(1, 2), axis.length, channels]), random.array([axis.taps, channels, outputs])],
      run: (x, filter) => tf.conv1d(x as tf.Tensor3D, filter as tf.Tensor3D, axis.stride, window.pad),
      reference: (x, filter) => convolve(x, filter, window.axes),
    };
  }),
  one('separableConv2d', ['DepthwiseConv2dNative', 'Conv2D'], (random) => {
    const window = windowOf(random, 2, { modes: ['valid', 'same'] });
    const [channels, multiplier, outputs] = random.shape(3, 1, 2) as [number, number, number];
    const single: Axis = { length: 0, taps: 1, stride: 1, dilation: 1, before: 0, outputs: 0 };
    return {
      what: `separableConv2d, ${window.what}`,
      inputs: [
        random.array([2, ...lengths(window.axes), channels]),
        random.array([...window.axes.map(({ taps }) => taps), channels, multiplier]),
        random.array([1, 1, channels * multiplier, outputs]),
      ],
      run: (x, depth, point) =>
        tf.separableConv2d(
          x as tf.Tensor4D,
          depth as tf.Tensor4D,
          point as tf.Tensor4D,
          pairOf(window.axes, ({ stride }) => stride),
          window.pad as 'same',
        ),
      reference: (x, depth, point) => {
        const y = convolve(x, depth, window.axes, true);
        return convolve(
          y,
          point,
          window.axes.map(({ outputs: n }) => ({ ...single, length: n, outputs: n })),
        );
      },
    };
  }),
  one('fused conv2d', 'Conv2D', (random) => {
    const window = windowOf(random, 2, { dilated: true, modes: ['valid', 'same', 'number'] });
    const [channels, outputs] = random.shape(2, 1, 3) as Pair;
    const activation = random.pick(['linear', 'relu', 'elu'] as const);
    const biasShape = random.pick([[outputs], []]);
    const f = {
      linear: (x: number) => x,
      relu: (x: number) => Math.max(x, 0),
      elu: (x: number) => (x > 0 ? x : Math.expm1(x)),
    }[activation];
    return {
      what: `fused conv2d, ${activation}, bias [${biasShape}], ${window.what}`,
      inputs: [
        random.array([2, ...lengths(window.axes), channels]),
        random.array([...window.axes.map(({ taps }) => taps), channels, outputs]),
        random.array(biasShape),
      ],
      run: (x, filter, bias) =>
        tf.fused.conv2d({
          x: x as tf.Tensor4D,
          filter: filter as tf.Tensor4D,
          strides: pairOf(window.axes, ({ stride }) => stride),
          dilations: pairOf(window.axes, ({ dilation }) => dilation),
          pad: window.pad,
          bias: bias,
          activation,
          ...(window.rounding === undefined ? {} : { dimRoundingMode: window.rounding }),
        }),
      reference: (x, filter, bias) => {
        const y = convolve(x, filter, window.axes);
        return build(y.shape, (index) => f(at(y, index) + at(bias, index)));
      },
    };
  }),
  one('fused depthwiseConv2d', 'DepthwiseConv2dNative', (random) => {
    const window = windowOf(random, 2, { modes: ['valid', 'same'] });
    const channels = random.int(1, 3);
    return {
      what: `fused depthwiseConv2d, ${window.what}`,
      inputs: [
        random.array([2, ...lengths(window.axes), channels]),
        random.array([...window.axes.map(({ taps }) => taps), channels, 1]),
        random.array([channels]),
      ],
      run: (x, filter, bias) =>
        tf.fused.depthwiseConv2d({
          x: x as tf.Tensor4D,
          filter: filter as tf.Tensor4D,
          strides: pairOf(window.axes, ({ stride }) => stride),
          pad: window.pad as 'same',
          bias: bias,
          activation: 'relu',
        }),
      reference: (x, filter, bias) => {
        const y = convolve(x, filter, window.axes, true);
        return build(y.shape, (index) => Math.max(0, at(y, index) + at(bias, index)));
      },
    };
  }),
  one('conv2dTranspose', 'Conv2DBackpropInput', (random) => {
    const window = windowOf(random, 2, { modes: ['valid', 'same', 'number'] });
    const [channels, inputs] = random.shape(2, 1, 3) as Pair;
    const batch = random.int(1, 2);
    return {
      what: `conv2dTranspose, ${window.what}`,
      inputs: [
        random.array([batch, ...window.axes.map(({ outputs }) => outputs), inputs]),
        random.array([...window.axes.map(({ taps }) => taps), channels, inputs]),
      ],
      run: (x, filter) =>
        tf.conv2dTranspose(
          x as tf.Tensor4D,
          filter as tf.Tensor4D,
          [batch, ...lengths(window.axes), channels] as [number, number, number, number],
          pairOf(window.axes, ({ stride }) => stride),
          window.pad,
          window.rounding,
        ),
      reference: (x, filter) => transposed(x, filter, window.axes),
    };
  }),
  one('conv3d', 'Conv3D', (random) => {
    const window = windowOf(random, 3, { modes: ['valid', 'same'] });
    const [channels, outputs] = random.shape(2, 1, 2) as Pair;
    return {
      what: `conv3d, ${window.what}`,
      inputs: [
        random.array([random.int(1, 2), ...lengths(window.axes), channels]),
        random.array([...window.axes.map(({ taps }) => taps), channels, outputs]),
      ],
      run: (x, filter) =>
        tf.conv3d(
          x as tf.Tensor5D,
          filter as tf.Tensor5D,
          tripleOf(window.axes, ({ stride }) => stride),
          window.pad as 'same',
        ),
      reference: (x, filter) => convolve(x, filter, window.axes),
    };
  }),
  one('conv3dTranspose', 'Conv3DBackpropInputV2', (random) => {
    const window = windowOf(random, 3, { modes: ['valid', 'same'] });
    const [channels, inputs] = random.shape(2, 1, 2) as Pair;
    return {
      what: `conv3dTranspose, ${window.what}`,
      inputs: [
        random.array([1, ...window.axes.map(({ outputs }) => outputs), inputs]),
        random.array([...window.axes.map(({ taps }) => taps), channels, inputs]),
      ],
      run: (x, filter) =>
        tf.conv3dTranspose(
          x as tf.Tensor5D,
          filter as tf.Tensor5D,
          [1, ...lengths(window.axes), channels] as [number, number, number, number, number],
          tripleOf(window.axes, ({ stride }) => stride),
          window.pad as 'same',
        ),
      reference: (x, filter) => transposed(x, filter, window.axes),
    };
  }),
  one('dilation2d', 'Dilation2D', (random) => {
    const window = windowOf(random, 2, { modes: ['valid', 'same'] });
    const channels = random.int(1, 2);
    return {
      what: `dilation2d, ${window.what}`,
      inputs: [
        random.distinct([random.int(1, 2), ...lengths(window.axes), channels]),
        random.array([...window.axes.map(({ taps }) => taps), channels], -0.05, 0.05),
      ],
      run: (x, filter) =>
        tf.dilation2d(
          x as tf.Tensor4D,
          filter as tf.Tensor3D,
          pairOf(window.axes, ({ stride }) => stride),
          window.pad as 'same',
        ),
      reference: (x, filter) =>
        build([x.shape[0] as number, ...window.axes.map(({ outputs }) => outputs), channels], (index) => {
          let largest = -Infinity;
          eachTap(window.axes, index.slice(1, -1), (tap, position) => {
            const value = atOr(x, [index[0] as number, ...position, index[3] as number], -Infinity);
            largest = Math.max(largest, value + at(filter, [...tap, index[3] as number]));
          });
          return largest;
        }),
    };
  }),
  pool2d('max', ['floor', 'ceil', 'round']),
  pool2d('avg', ['floor', 'ceil', 'round']),
  pool3d('max'),
  pool3d('avg'),
  one('pool with dilations', ['MaxPool', 'AvgPool', 'SpaceToBatchND', 'BatchToSpaceND'], (random) => {
    const dilation = random.int(2, 3);
    const kind = random.pick(['max', 'avg'] as const);
    const axes = random.shape(2, 1, 2).map((taps): Axis => {
      const reach = (taps - 1) * dilation + 1;
      const length = random.int(reach + 1, reach + 3);
      return { length, taps, stride: 1, dilation, before: 0, outputs: length - reach + 1 };
    });
    return {
      what: `pool ${kind}, taps [${axes.map(({ taps }) => taps)}], dilation ${dilation}`,
      inputs: [random.distinct([2, ...lengths(axes), 2])],
      run: (x) =>
        tf.pool(
          x as tf.Tensor4D,
          pairOf(axes, ({ taps }) => taps),
          kind,
          'valid',
          [dilation, dilation],
          [1, 1],
        ),
      reference: (x) => pool(x, axes, kind),
    };
  }),
  one('localResponseNormalization', 'LRN', (random) => {
    const shape = random.shape(4, 1, 4);
    const radius = random.int(0, 2);
    return {
      what: `localResponseNormalization, radius ${radius}`,
      inputs: [random.array(shape)],
      run: (x) => tf.localResponseNormalization(x as tf.Tensor4D, radius, 1.1, 0.4, 0.75),
      reference: (x) =>
        build(shape, (index) => {
          let squares = 0;
          for (let c = (index[3] as number) - radius; c <= (index[3] as number) + radius; c++)
            squares += atOr(x, index.with(3, c), 0) ** 2;
          return at(x, index) / (1.1 + 0.4 * squares) ** 0.75;
        }),
    };
  }),
  resize('bilinear'),
  resize('nearest'),
];
