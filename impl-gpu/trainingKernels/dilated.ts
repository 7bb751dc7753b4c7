/**
 * Gradients of dilated convolutions, which tfjs-core refuses on every backend ("dilation rates greater than 1 are not yet
 * supported in gradients"), of `tf.conv2d`, `tf.depthwiseConv2d`, their fused forms and the layers made of them.
 *
 * tfjs allows dilation with stride 1 only. Then dx is the dilated convolution of dy with the filter turned by 180 degrees, and dW at a tap is
 * a product of x, shifted to the tap, with dy.
 */
import * as tf from '@tensorflow/tfjs';
import type { ConvAttrs } from './geometry.ts';
import { geometryOf } from './geometry.ts';
import { explicitPadding } from './pixels.ts';
import { wrapGradient } from './wrapGradient.ts';

type Pair = number | [number, number];

interface Gradients {
  readonly dx: () => tf.Tensor4D;
  readonly dFilter: () => tf.Tensor4D;
}

/** Kernels that a backend may have for these gradients: as the stock ones, with dilation. */
export const DILATED_KERNELS = {
  full: { input: 'DilatedConv2DBackpropInput', filter: 'DilatedConv2DBackpropFilter' },
  depthwise: { input: 'DilatedDepthwiseConv2dBackpropInput', filter: 'DilatedDepthwiseConv2dBackpropFilter' },
} as const;

/** tfjs-core lets null pass. */
function pair(value: Pair | null | undefined): readonly [number, number] {
  if (value === undefined || value === null) return [1, 1];
  return typeof value === 'number' ? [value, value] : value;
}

function isDilated({ dilations }: ConvAttrs): boolean {
  return pair(dilations).some((rate) => rate !== 1);
}

/** x cut (negative) or padded with zeros (positive) at top, bottom, left and right. */
function frame(x: tf.Tensor4D, [top, bottom, left, right]: readonly [number, number, number, number]): tf.Tensor4D {
  const [n, h, w, c] = x.shape;
  const begin = [0, Math.max(0, -top), Math.max(0, -left), 0];
  const height = h + Math.min(0, top) + Math.min(0, bottom);
  const width = w + Math.min(0, left) + Math.min(0, right);
  const cut = height === h && width === w ? x : tf.slice(x, begin, [n, height, width, c]);
  const margins = [top, bottom, left, right].map((margin) => Math.max(0, margin)) as [number, number, number, number];
  if (margins.every((margin) => margin === 0)) return cut;
  return tf.pad(cut, [
    [0, 0],
    [margins[0], margins[1]],
    [margins[2], margins[3]],
    [0, 0],
  ]);
}

/** From core operations, for any backend. NHWC, stride 1. */
function composed(
  dy: tf.Tensor4D,
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  attrs: ConvAttrs,
  depthwise: boolean,
): Gradients {
  const info = geometryOf(attrs, x.shape, filter.shape, depthwise);
  const { filterHeight, filterWidth, outHeight, outWidth, inHeight, inWidth, inChannels, batchSize, padInfo } = info;
  const { dilationHeight, dilationWidth } = info;
  const [spanHeight, spanWidth] = [dilationHeight * (filterHeight - 1), dilationWidth * (filterWidth - 1)];
  // The last rows and columns of x that no window reaches count as negative padding.
  const bottom = outHeight + spanHeight - inHeight - padInfo.top;
  const right = outWidth + spanWidth - inWidth - padInfo.left;
  const taps = Array.from({ length: filterHeight * filterWidth }, (_, t) => {
    const [i, j] = [Math.floor(t / filterWidth), t % filterWidth] as [number, number];
    return { i, j, row: i * dilationHeight, column: j * dilationWidth };
  });
  const seen = (padded: tf.Tensor4D, row: number, column: number): tf.Tensor4D =>
    tf.slice(padded, [0, row, column, 0], [batchSize, outHeight, outWidth, inChannels]);
  const margins = [padInfo.top, bottom, padInfo.left, right] as const;

  if (!depthwise) {
    const rows = batchSize * outHeight * outWidth;
    return {
      dx: () =>
        tf.tidy(() => {
          const turned = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
          const around = [
            spanHeight - padInfo.top,
            spanHeight - bottom,
            spanWidth - padInfo.left,
            spanWidth - right,
          ] as const;
          return tf.conv2d(frame(dy, around), turned, 1, 'valid', 'NHWC', [dilationHeight, dilationWidth]);
        }),
      dFilter: () =>
        tf.tidy(() => {
          const padded = frame(x, margins);
          const flat = tf.reshape(dy, [rows, info.outChannels]);
          const products = taps.map(({ row, column }) =>
            tf.matMul(tf.reshape(seen(padded, row, column), [rows, inChannels]), flat, true, false),
          );
          return tf.reshape(tf.stack(products), filter.shape);
        }),
    };
  }
  const multiplier = info.outChannels / inChannels;
  const perChannel = [batchSize, outHeight, outWidth, inChannels, multiplier];
  return {
    dx: () =>
      tf.tidy(() => {
        const wide = tf.reshape(dy, perChannel);
        const [paddedHeight, paddedWidth] = [outHeight + spanHeight, outWidth + spanWidth];
        const parts = taps.map(({ i, j, row, column }) => {
          const tap = tf.reshape(tf.slice(filter, [i, j, 0, 0], [1, 1, -1, -1]), [inChannels, multiplier]);
          const part = tf.sum(tf.mul(wide, tap), -1) as tf.Tensor4D;
          return frame(part, [row, paddedHeight - outHeight - row, column, paddedWidth - outWidth - column]);
        });
        return frame(tf.addN(parts), [-padInfo.top, -bottom, -padInfo.left, -right]);
      }),
    dFilter: () =>
      tf.tidy(() => {
        const padded = frame(x, margins);
        const wide = tf.reshape(dy, perChannel);
        const parts = taps.map(({ row, column }) =>
          tf.sum(tf.mul(tf.expandDims(seen(padded, row, column), -1), wide), [0, 1, 2]),
        );
        return tf.reshape(tf.stack(parts), filter.shape);
      }),
  };
}

/** The gradients of a dilated convolution: the backend's kernels where it has them, else composed. */
function gradients(
  dy: tf.Tensor4D,
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  attrs: ConvAttrs,
  depthwise: boolean,
): Gradients {
  const { dataFormat = 'NHWC', pad } = attrs;
  if (typeof pad === 'number') {
    const channelsFirst = dataFormat === 'NCHW';
    const across = ({ shape }: tf.Tensor4D): [number, number] =>
      channelsFirst ? [shape[2], shape[3]] : [shape[1], shape[2]];
    const [strides, dilations] = [pair(attrs.strides), pair(attrs.dilations)];
    const window = {
      input: across(x),
      taps: [filter.shape[0], filter.shape[1]] as const,
      strides,
      dilations,
      channelsFirst,
    };
    const { dimRoundingMode, ...rest } = attrs;
    const written = { ...rest, pad: explicitPadding(pad, dimRoundingMode, window, across(dy)) };
    return gradients(dy, x, filter, written, depthwise);
  }
  if (dataFormat === 'NCHW') {
    const last = (t: tf.Tensor4D): tf.Tensor4D => tf.transpose(t, [0, 2, 3, 1]);
    const inner = { ...attrs, dataFormat: 'NHWC' as const };
    if (Array.isArray(attrs.pad)) {
      const [batch, channels, height, width] = attrs.pad;
      Object.assign(inner, { pad: [batch, height, width, channels] });
    }
    const of = (): Gradients => gradients(last(dy), last(x), filter, inner, depthwise);
    return {
      dx: () => tf.tidy(() => tf.transpose(of().dx(), [0, 3, 1, 2])),
      dFilter: () => tf.tidy(() => of().dFilter()),
    };
  }
  const names = DILATED_KERNELS[depthwise ? 'depthwise' : 'full'];
  const own = composed(dy, x, filter, attrs, depthwise);
  if (tf.getKernel(names.input, tf.getBackend()) === undefined) return own;
  const run = (name: string, inputs: tf.NamedTensorMap, more: object): tf.Tensor4D =>
    tf.engine().runKernel(name, inputs, { ...attrs, ...more }) as tf.Tensor4D;
  return {
    dx: () => run(names.input, { dy, filter }, { inputShape: x.shape }),
    dFilter: () => run(names.filter, { x, dy }, { filterShape: filter.shape }),
  };
}

/** Replaces a registered gradient by one that knows dilation; all else goes to the old one. */
function replaceGradient(kernelName: 'Conv2D' | 'DepthwiseConv2dNative', depthwise: boolean): void {
  wrapGradient(kernelName, (stock) => (dy, saved, attrs) => {
    const convolution = attrs as unknown as ConvAttrs;
    if (!isDilated(convolution)) return stock(dy, saved, attrs);
    const [x, filter] = saved as [tf.Tensor4D, tf.Tensor4D];
    const { dx, dFilter } = gradients(dy as tf.Tensor4D, x, filter, convolution, depthwise);
    return { x: dx, filter: dFilter };
  });
}

type CustomGrad = ReturnType<typeof tf.engine>['customGrad'];
type Custom = Parameters<CustomGrad>[0];

/** The gradient of a fused convolution without activation: saved are [filter, x, y] and, with a bias, the bias. */
function fusedGradient(attrs: ConvAttrs, depthwise: boolean): (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[] {
  return (dy, saved) => {
    const [filter, x, y, bias] = saved as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D, tf.Tensor | undefined];
    // The fused operation of a single image returns it without the batch's axis.
    const dy4D: tf.Tensor4D = tf.reshape(dy, y.shape);
    const { dx, dFilter } = gradients(dy4D, x, filter, attrs, depthwise);
    if (bias === undefined) return [dx(), dFilter()];
    const axes = tf.broadcast_util.getReductionAxes(bias.shape, dy4D.shape);
    const dBias = tf.reshape(axes.length > 0 ? tf.sum(dy4D, axes) : dy4D, bias.shape);
    return [dx(), dFilter(), dBias];
  };
}

/**
 * The fused convolutions, which `tf.layers.conv2d` uses, bring their gradient along as a custom one that refuses dilation before any registered
 * gradient is asked, so there is no public place to put another. This wraps `customGrad` of tfjs's engine: an operation that runs a dilated
 * fused convolution gets the gradient above instead.
 */
function replaceFusedGradients(): void {
  const engine = tf.engine();
  const stock: CustomGrad = engine.customGrad.bind(engine);
  const run: typeof engine.runKernel = engine.runKernel.bind(engine);
  let watch: ((name: string, attrs: unknown) => void) | undefined;
  engine.runKernel = (name, inputs, attrs) => {
    watch?.(name, attrs);
    return run(name, inputs, attrs);
  };
  const wrap =
    (operation: Custom): Custom =>
    (...args) => {
      let convolution: { readonly attrs: ConvAttrs; readonly depthwise: boolean } | undefined;
      // An operation may run within another one.
      const outer = watch;
      watch = (name, attrs) => {
        if (name === 'FusedConv2D' || name === 'FusedDepthwiseConv2D') {
          convolution = { attrs: attrs as ConvAttrs, depthwise: name === 'FusedDepthwiseConv2D' };
        }
      };
      try {
        const result = operation(...args);
        if (convolution === undefined || !isDilated(convolution.attrs)) return result;
        const { attrs, depthwise } = convolution;
        if ((attrs.activation ?? 'linear') !== 'linear') return result;
        return { ...result, gradFunc: fusedGradient(attrs, depthwise) };
      } finally {
        watch = outer;
      }
    };
  engine.customGrad = ((operation: Custom) => stock(wrap(operation))) as CustomGrad;
}

/** Gives dilated convolutions their gradients, on every backend. Must be called once a process. */
export function installDilatedGradients(): void {
  replaceGradient('Conv2D', false);
  replaceGradient('DepthwiseConv2dNative', true);
  replaceFusedGradients();
}
