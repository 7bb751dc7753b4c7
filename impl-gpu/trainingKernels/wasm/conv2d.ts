/**
 * Convolution kernels for tfjs-wasm: the gradients that it lacks (`Conv2DBackpropFilter`, both of the depthwise convolution) or runs in
 * a scalar loop (`Conv2DBackpropInput`), and a forward pass over several threads.
 */
import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { ConvAttrs } from '../dilated.ts';
import { DILATED_KERNELS } from '../dilated.ts';
import type { Convolutions } from './convolution.ts';
import type { Geometry } from './geometry.ts';

type Shape4D = [number, number, number, number];

/** Those, and what the gradient kernels carry beside them. */
interface Attrs extends ConvAttrs {
  readonly inputShape?: Shape4D;
  readonly filterShape?: Shape4D;
}

function geometry(
  attrs: Attrs,
  inputShape: readonly number[],
  filterShape: readonly number[],
  depthwise: boolean,
): Geometry {
  const { strides, pad, dimRoundingMode, dilations = 1 } = attrs;
  return tf.backend_util.computeConv2DInfo(
    inputShape as Shape4D,
    filterShape as Shape4D,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
    'channelsLast',
  );
}

interface Args {
  readonly inputs: tf.NamedTensorInfoMap;
  readonly attrs: Attrs;
}

/** Undefined: not a case of ours. */
type Kernel = (args: Args) => tf.TensorInfo | undefined;

function replace(kernelName: string, kernel: Kernel): void {
  const stock = tf.getKernel(kernelName, 'wasm') as tf.KernelConfig | undefined;
  if (stock) tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel({
    kernelName,
    backendName: 'wasm',
    kernelFunc: (args) => {
      const out = kernel(args as unknown as Args);
      if (out !== undefined) return out;
      if (stock) return stock.kernelFunc(args);
      throw new Error(`${kernelName} on the wasm backend takes float32 tensors in NHWC layout, none of them empty`);
    },
  });
}

/** Dense, float32, not empty, and channels last. */
function usable({ dataFormat = 'NHWC' }: Attrs, ...tensors: readonly tf.TensorInfo[]): boolean {
  const regular = ({ dtype, shape }: tf.TensorInfo): boolean => dtype === 'float32' && !shape.includes(0);
  return dataFormat === 'NHWC' && tensors.every(regular);
}

export function registerConvolutions(heap: WasmHeap, convolutions: Convolutions): void {
  const at = (tensor: tf.TensorInfo): number => heap.input(tensor);

  const gradient =
    (
      [first, second]: readonly ['x' | 'dy', 'dy' | 'filter'],
      depthwise: boolean,
      run: (info: Geometry, first: number, second: number, out: number) => void,
    ): Kernel =>
    ({ inputs, attrs }) => {
      const [a, b] = [inputs[first], inputs[second]] as [tf.TensorInfo, tf.TensorInfo];
      if (!usable(attrs, a, b)) return undefined;
      const inputShape = first === 'x' ? a.shape : (attrs.inputShape as Shape4D);
      const filterShape = second === 'filter' ? b.shape : (attrs.filterShape as Shape4D);
      const info = geometry(attrs, inputShape, filterShape, depthwise);
      const out = heap.makeOutput(first === 'x' ? filterShape : inputShape);
      run(info, at(a), at(b), at(out));
      return out;
    };
  const full = {
    input: gradient(['dy', 'filter'], false, convolutions.input),
    filter: gradient(['x', 'dy'], false, convolutions.filter),
  };
  const depthwise = {
    input: gradient(['dy', 'filter'], true, convolutions.depthwiseInput),
    filter: gradient(['x', 'dy'], true, convolutions.depthwiseFilter),
  };
  replace('Conv2DBackpropInput', full.input);
  replace('Conv2DBackpropFilter', full.filter);
  replace('DepthwiseConv2dNativeBackpropInput', depthwise.input);
  replace('DepthwiseConv2dNativeBackpropFilter', depthwise.filter);
  // Under names of their own: tfjs-core's gradients of the stock kernels know no dilation.
  replace(DILATED_KERNELS.full.input, full.input);
  replace(DILATED_KERNELS.full.filter, full.filter);
  replace(DILATED_KERNELS.depthwise.input, depthwise.input);
  replace(DILATED_KERNELS.depthwise.filter, depthwise.filter);

  const forward: Kernel = ({ inputs, attrs }) => {
    const { x, filter, bias, preluActivationWeights } = inputs as Record<string, tf.TensorInfo | undefined>;
    const { activation = 'linear' } = attrs;
    if (x === undefined || filter === undefined || preluActivationWeights) return undefined;
    if (!usable(attrs, x, filter) || !['linear', 'relu'].includes(activation)) return undefined;
    const info = geometry(attrs, x.shape, filter.shape, false);
    if (bias && tf.util.sizeFromShape(bias.shape) !== info.outChannels) return undefined;
    if (info.outShape.some((extent) => extent < 1)) {
      throw new Error(
        `a convolution of [${x.shape}] with a filter of [${filter.shape}] would be empty: [${info.outShape}]`,
      );
    }
    const out = heap.makeOutput(info.outShape);
    convolutions.forward(info, at(x), at(filter), at(out), bias ? at(bias) : 0, activation === 'relu');
    return out;
  };
  replace('Conv2D', forward);
  replace('FusedConv2D', forward);
}
