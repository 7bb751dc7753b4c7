/**
 * tfjs-node 4.22 refuses convolutions and maximum pools whose padding is a number of pixels (PyTorch's), which every residual
 * network has. Here such a call becomes one that it takes: 'same' where that pads alike, else 'valid' on a padded input.
 */
import * as tf from '@tensorflow/tfjs';

type Kernel = NonNullable<ReturnType<typeof tf.getKernel>>;
type KernelFunc = Kernel['kernelFunc'];
type Parameters = Parameters_<KernelFunc>;
type Parameters_<F> = F extends (params: infer P) => unknown ? P : never;
type Pair = readonly [number, number];

const BACKEND = 'tensorflow';

const pair = (value: unknown): Pair =>
  Array.isArray(value) ? (value as unknown as Pair) : [(value ?? 1) as number, (value ?? 1) as number];

/** What a window does along height and width. */
interface Window {
  /** Height and width of the input. */
  readonly input: Pair;
  readonly size: Pair;
  readonly strides: unknown;
  readonly dilations: unknown;
}

/** Pixels before and after, along height and along width. */
type Sides = readonly [Pair, Pair];

/** Padding in pixels; undefined for 'same' and 'valid'. */
function sidesOf(pad: unknown, axes: Pair): Sides | undefined {
  if (typeof pad === 'number') {
    return [
      [pad, pad],
      [pad, pad],
    ];
  }
  // tfjs's explicit padding is a pair for each of the four axes.
  return Array.isArray(pad) ? [pad[axes[0]] as Pair, pad[axes[1]] as Pair] : undefined;
}

/** Whether TensorFlow's 'same' pads alike, and gives as many outputs. */
export function padsLikeSame(sides: Sides, { input, size, strides, dilations }: Window): boolean {
  return sides.every(([before, after], axis) => {
    const [length, taps] = [input[axis] as number, size[axis] as number];
    const stride = pair(strides)[axis] as number;
    const reach = (taps - 1) * (pair(dilations)[axis] as number) + 1;
    const outputs = Math.ceil(length / stride);
    const total = Math.max((outputs - 1) * stride + reach - length, 0);
    const given = Math.floor((length + before + after - reach) / stride) + 1;
    return given === outputs && before === Math.floor(total / 2) && after === total - before;
  });
}

/** Whether windows leave elements between them out: TensorFlow reads wrong ones then, where it pads itself. */
const isWide = ({ size, strides }: Window): boolean =>
  size.some((taps, axis) => (pair(strides)[axis] as number) > taps);

/** What 'same' pads, by TensorFlow's rule. */
function sameSides({ input, size, strides, dilations }: Window): Sides {
  return input.map((length, axis): Pair => {
    const stride = pair(strides)[axis] as number;
    const reach = ((size[axis] as number) - 1) * (pair(dilations)[axis] as number) + 1;
    const total = Math.max((Math.ceil(length / stride) - 1) * stride + reach - length, 0);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  }) as unknown as Sides;
}

/**
 * Padding with which rounding down gives as many outputs as there are, or as tfjs's rounding mode asks for: a window more may reach beyond
 * the end. Gradients are not told the mode; they have the outputs' gradient.
 */
function roundedSides(sides: Sides, { input, size, strides, dilations }: Window, mode: unknown, outputs?: Pair): Sides {
  return sides.map(([before, after], axis): Pair => {
    const [length, stride] = [input[axis] as number, pair(strides)[axis] as number];
    const reach = ((size[axis] as number) - 1) * (pair(dilations)[axis] as number) + 1;
    const steps = (length + before + after - reach) / stride;
    const rounded = mode === 'ceil' || mode === 'round' ? Math[mode](steps) : Math.floor(steps);
    const count = outputs?.[axis] ?? rounded + 1;
    return [before, Math.max(after, (count - 1) * stride + reach - length - before)];
  }) as unknown as Sides;
}

/** How a kernel's inputs and output change for a padded input. */
interface Recipe {
  readonly kernel: string;
  readonly window: (params: Parameters) => Window;
  /** The same call with 'valid' padding on a padded input; its output is cut back where it is of the input's shape. */
  readonly padded: (
    params: Parameters,
    pad: (x: tf.TensorInfo) => tf.Tensor,
    padShape: (shape: number[]) => number[],
  ) => Parameters;
  /** What lies around the input. */
  readonly border: number;
  readonly cutsBack: boolean;
}

const tensorOf = ({ inputs }: Parameters, name: string): tf.TensorInfo => inputs[name] as tf.TensorInfo;
const attribute = ({ attrs }: Parameters, name: string): unknown => (attrs as unknown as Record<string, unknown>)[name];
/** Which axes of an image are its height and its width. */
const axesOf = (params: Parameters): Pair => (attribute(params, 'dataFormat') === 'NCHW' ? [2, 3] : [1, 2]);
const heightAndWidth = (params: Parameters, shape: readonly number[]): Pair => {
  const [height, width] = axesOf(params);
  return [shape[height] as number, shape[width] as number];
};
const valid = (
  params: Parameters,
  inputs: tf.NamedTensorInfoMap,
  attrs: Readonly<Record<string, string | number[]>> = {},
): Parameters => ({
  ...params,
  inputs: { ...params.inputs, ...inputs },
  attrs: { ...params.attrs, pad: 'valid', ...attrs },
});

function convolution(kernel: string, input: 'x' | 'shape', filter: 'filter' | 'shape'): Recipe {
  return {
    kernel,
    border: 0,
    cutsBack: input === 'shape',
    window: (params) => ({
      input: heightAndWidth(
        params,
        input === 'x' ? tensorOf(params, 'x').shape : (attribute(params, 'inputShape') as number[]),
      ),
      size:
        filter === 'filter'
          ? (tensorOf(params, 'filter').shape.slice(0, 2) as unknown as Pair)
          : ((attribute(params, 'filterShape') as number[]).slice(0, 2) as unknown as Pair),
      strides: attribute(params, 'strides'),
      dilations: attribute(params, 'dilations'),
    }),
    padded: (params, pad, padShape) =>
      input === 'x'
        ? valid(params, { x: pad(tensorOf(params, 'x')) })
        : valid(params, {}, { inputShape: padShape(attribute(params, 'inputShape') as number[]) }),
  };
}

const RECIPES: readonly Recipe[] = [
  convolution('Conv2D', 'x', 'filter'),
  convolution('FusedConv2D', 'x', 'filter'),
  convolution('FusedDepthwiseConv2D', 'x', 'filter'),
  convolution('Conv2DBackpropInput', 'shape', 'filter'),
  convolution('Conv2DBackpropFilter', 'x', 'shape'),
  convolution('DepthwiseConv2dNative', 'x', 'filter'),
  convolution('DepthwiseConv2dNativeBackpropInput', 'shape', 'filter'),
  convolution('DepthwiseConv2dNativeBackpropFilter', 'x', 'shape'),
  {
    kernel: 'MaxPool',
    border: -Infinity,
    cutsBack: false,
    window: (params) => ({
      input: heightAndWidth(params, tensorOf(params, 'x').shape),
      size: pair(attribute(params, 'filterSize')),
      strides: attribute(params, 'strides'),
      dilations: 1,
    }),
    padded: (params, pad) => valid(params, { x: pad(tensorOf(params, 'x')) }),
  },
  {
    kernel: 'MaxPoolGrad',
    border: -Infinity,
    cutsBack: true,
    window: (params) => ({
      input: heightAndWidth(params, tensorOf(params, 'input').shape),
      size: pair(attribute(params, 'filterSize')),
      strides: attribute(params, 'strides'),
      dilations: 1,
    }),
    padded: (params, pad) => valid(params, { input: pad(tensorOf(params, 'input')) }),
  },
];

/**
 * The call without the rows and columns at the end that no window sees. TensorFlow reads wrong ones for a batch of pictures of one channel
 * where a single window fits into a row that is longer, or a stride is longer than the row: where there is one window, there is no stride.
 */
function withoutRest(params: Parameters, window: Recipe['window']): Parameters {
  const { input, size, strides } = window(params);
  const axes = axesOf(params);
  const x = tensorOf(params, 'x');
  const extents = x.shape.map((extent, axis) => {
    const which = axes.indexOf(axis);
    if (which < 0) return extent;
    const stride = pair(strides)[which] as number;
    return extent - (((input[which] as number) - (size[which] as number)) % stride);
  });
  const steps = axes.map((axis, which) => (extents[axis] === size[which] ? 1 : (pair(strides)[which] as number)));
  const whole = extents.every((extent, axis) => extent === x.shape[axis]);
  if (whole && steps.every((step, which) => step === pair(strides)[which])) return params;
  const cut = whole ? x : tf.slice(tf.reshape(x as tf.Tensor, x.shape), [0, 0, 0, 0], extents);
  return { ...params, inputs: { ...params.inputs, x: cut }, attrs: { ...params.attrs, strides: steps } };
}

/** The names of the kernels that see a picture through a filter. */
const FORWARD: readonly string[] = ['Conv2D', 'FusedConv2D', 'DepthwiseConv2dNative', 'FusedDepthwiseConv2D'];

/** A kernel's function that takes numbers of pixels too. */
function withPadding(stock: KernelFunc, { kernel, window, padded, border, cutsBack }: Recipe): KernelFunc {
  const original: KernelFunc = (params) => {
    const dilated = pair(attribute(params, 'dilations')).some((rate) => rate !== 1);
    if (attribute(params, 'pad') !== 'valid' || dilated || !FORWARD.includes(kernel)) return stock(params);
    return tf.tidy(() => stock(withoutRest(params, window)) as tf.Tensor);
  };
  return (params) => {
    const axes = axesOf(params);
    const { input, ...rest } = window(params);
    const wide = isWide({ input, ...rest });
    const written = wide && attribute(params, 'pad') === 'same' ? sameSides({ input, ...rest }) : undefined;
    const given = written ?? sidesOf(attribute(params, 'pad'), axes);
    if (given === undefined) return original(params);
    const dy = params.inputs['dy'];
    const outputs = dy === undefined ? undefined : heightAndWidth(params, dy.shape);
    const sides = roundedSides(given, { input, ...rest }, attribute(params, 'dimRoundingMode'), outputs);
    if (sides.flat().every((pixels) => pixels === 0)) {
      return original({ ...params, attrs: { ...params.attrs, pad: 'valid' } });
    }
    if (!wide && padsLikeSame(sides, { input, ...rest })) {
      return original({ ...params, attrs: { ...params.attrs, pad: 'same' } });
    }
    const [rows, columns] = sides;
    const around = [0, 1, 2, 3].map((axis): [number, number] => {
      if (axis === axes[0]) return [...rows];
      return axis === axes[1] ? [...columns] : [0, 0];
    });
    const grown = (shape: number[]): number[] =>
      shape.map((extent, axis) => extent + (around[axis]?.[0] ?? 0) + (around[axis]?.[1] ?? 0));
    return tf.tidy(() => {
      // A kernel's inputs may be records; `reshape` makes a tensor of either.
      const surround = (x: tf.TensorInfo): tf.Tensor => tf.pad(tf.reshape(x as tf.Tensor, x.shape), around, border);
      const output = original(padded(params, surround, grown)) as tf.Tensor;
      if (!cutsBack) return output;
      const [begin, size] = [around.map(([before]) => before), [...output.shape]];
      axes.forEach((axis, i) => (size[axis] = input[i] as number));
      return tf.slice(output, begin, size);
    });
  };
}

/** Installs the wrapped kernels on the tensorflow backend. */
export function installPadding(): void {
  for (const recipe of RECIPES) {
    const kernel = tf.getKernel(recipe.kernel, BACKEND);
    if (kernel === undefined) throw new Error(`the tensorflow backend has no ${recipe.kernel}`);
    tf.unregisterKernel(recipe.kernel, BACKEND);
    tf.registerKernel({ ...kernel, kernelFunc: withPadding(kernel.kernelFunc, recipe) });
  }
}
