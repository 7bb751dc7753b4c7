/**
 * Padding by a number of pixels. tfjs-core takes the height's window and stride for the width too when it counts the outputs, and its gradients
 * are not told how their operation rounded: both change the shape, silently. Here each such call becomes one with the padding of each side
 * written out, which all kernels take.
 */
import * as tf from '@tensorflow/tfjs';

type Pair = readonly [number, number];
type Rounding = 'floor' | 'round' | 'ceil' | null | undefined;

/** A window over a picture. */
export interface PixelWindow {
  /** Height and width of the picture, of the window, and so on. */
  readonly input: Pair;
  readonly taps: Pair;
  readonly strides: Pair;
  readonly dilations: Pair;
  readonly channelsFirst: boolean;
}

/**
 * Padding of `pad` pixels around, and behind as many more as the last window needs: with `outputs` windows, or as many as the
 * rounding mode gives.
 */
export function explicitPadding(
  pad: number,
  rounding: Rounding,
  { input, taps, strides, dilations, channelsFirst }: PixelWindow,
  outputs?: Pair,
): tf.backend_util.ExplicitPadding {
  const sides = ([0, 1] as const).map((axis): [number, number] => {
    const reach = (taps[axis] - 1) * dilations[axis] + 1;
    const steps = (input[axis] + 2 * pad - reach) / strides[axis];
    const count = outputs?.[axis] ?? (rounding ? Math[rounding](steps) : Math.trunc(steps)) + 1;
    return [pad, Math.max(pad, (count - 1) * strides[axis] + reach - input[axis] - pad)];
  });
  const none: [number, number] = [0, 0];
  return (channelsFirst ? [none, none, ...sides] : [none, ...sides, none]) as tf.backend_util.ExplicitPadding;
}

/** What 'same' pads, by TensorFlow's rule. */
function samePadding({ input, taps, strides, dilations, channelsFirst }: PixelWindow): tf.backend_util.ExplicitPadding {
  const sides = ([0, 1] as const).map((axis): [number, number] => {
    const reach = (taps[axis] - 1) * dilations[axis] + 1;
    const total = Math.max(0, (Math.ceil(input[axis] / strides[axis]) - 1) * strides[axis] + reach - input[axis]);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  });
  const none: [number, number] = [0, 0];
  return (channelsFirst ? [none, none, ...sides] : [none, ...sides, none]) as tf.backend_util.ExplicitPadding;
}

interface Attrs {
  readonly pad: unknown;
  readonly strides?: number | Pair;
  readonly dilations?: number | Pair;
  readonly filterSize?: number | Pair;
  readonly inputShape?: readonly number[];
  readonly filterShape?: readonly number[];
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dimRoundingMode?: Rounding;
}

const pair = (value: number | Pair | null | undefined): Pair =>
  Array.isArray(value)
    ? (value as unknown as Pair)
    : [(value as number | null | undefined) ?? 1, (value as number | null | undefined) ?? 1];

type Inputs = Readonly<Record<string, tf.TensorInfo | undefined>>;

/** How a kernel says what it sees: the picture's shape, and the window's. Gradients have dy, of the outputs' shape. */
interface Places {
  readonly picture: (inputs: Inputs, attrs: Attrs) => readonly number[] | undefined;
  readonly window: (inputs: Inputs, attrs: Attrs) => readonly number[] | undefined;
}

const input =
  (name: string) =>
  (inputs: Inputs): readonly number[] | undefined =>
    inputs[name]?.shape;
const attribute =
  (name: 'inputShape' | 'filterShape') =>
  (_: Inputs, attrs: Attrs): readonly number[] | undefined =>
    attrs[name];
const size = (_: Inputs, { filterSize }: Attrs): Pair => pair(filterSize);

const forward: Places = { picture: input('x'), window: input('filter') };
const toInput: Places = { picture: attribute('inputShape'), window: input('filter') };
const toFilter: Places = { picture: input('x'), window: attribute('filterShape') };
const pool: Places = { picture: input('x'), window: size };
const poolGradient: Places = { picture: input('input'), window: size };

const KERNELS: Readonly<Record<string, Places>> = {
  Conv2D: forward,
  FusedConv2D: forward,
  DepthwiseConv2dNative: forward,
  FusedDepthwiseConv2D: forward,
  Conv2DBackpropInput: toInput,
  Conv2DBackpropFilter: toFilter,
  DepthwiseConv2dNativeBackpropInput: toInput,
  DepthwiseConv2dNativeBackpropFilter: toFilter,
  MaxPool: pool,
  AvgPool: pool,
  MaxPoolGrad: poolGradient,
  AvgPoolGrad: poolGradient,
};

/** The attributes with their padding written out, where tfjs would count wrongly; else as they are. */
function written(inputs: Inputs, attrs: Attrs, { picture, window }: Places, same: boolean): Attrs {
  const [shape, windowShape] = [picture(inputs, attrs), window(inputs, attrs)];
  if (shape?.length !== 4 || windowShape === undefined) return attrs;
  if (typeof attrs.pad !== 'number' && !(same && attrs.pad === 'same')) return attrs;
  const channelsFirst = attrs.dataFormat === 'NCHW';
  const across = (of: readonly number[]): Pair =>
    channelsFirst ? [of[2] as number, of[3] as number] : [of[1] as number, of[2] as number];
  const taps: Pair = [windowShape[0] as number, windowShape[1] as number];
  const strides = pair(attrs.strides);
  const dilations = pair(attrs.dilations);
  if (attrs.pad === 'same') {
    return { ...attrs, pad: samePadding({ input: across(shape), taps, strides, dilations, channelsFirst }) };
  }
  const dy = inputs['dy'];
  const square = taps[0] === taps[1] && strides[0] === strides[1] && dilations[0] === dilations[1];
  const floors = !attrs.dimRoundingMode || attrs.dimRoundingMode === 'floor';
  if (square && floors && dy === undefined) return attrs;
  const pad = explicitPadding(
    attrs.pad,
    attrs.dimRoundingMode,
    { input: across(shape), taps, strides, dilations, channelsFirst },
    dy === undefined ? undefined : across(dy.shape),
  );
  return { ...attrs, pad, dimRoundingMode: null };
}

/**
 * Wraps a backend's kernels of windows over pictures, whatever they are by now. For the kernels of `same` the padding 'same' is written out
 * too: XNNPACK, which tfjs-wasm gives both, leaves the output unwritten where they do not agree.
 */
export function installPixelPadding(backendName: string, same: readonly string[] = []): void {
  for (const [kernelName, places] of Object.entries(KERNELS)) {
    const kernel = tf.getKernel(kernelName, backendName) as tf.KernelConfig | undefined;
    if (kernel === undefined) continue;
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      ...kernel,
      kernelFunc: (args) => {
        const attrs = written(args.inputs, args.attrs as unknown as Attrs, places, same.includes(kernelName));
        return kernel.kernelFunc({ ...args, attrs: attrs as unknown as tf.NamedAttrMap });
      },
    });
  }
}
