/**
 * Convolution kernels for tfjs-wasm: the gradients that it lacks (`Conv2DBackpropFilter`, both of the depthwise convolution) or runs in
 * a scalar loop (`Conv2DBackpropInput`), and a forward pass over several threads.
 */
import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { ConvAttrs } from '../dilated.ts';
import { DILATED_KERNELS } from '../dilated.ts';
import type { Convolutions } from './convolution.ts';
import type { Finish } from '../composed/fused.ts';
import { finish, isPlain } from '../composed/fused.ts';
import { tensorOf, tensorOfOutput } from '../composed/tensorOf.ts';
import type { Geometry } from './geometry.ts';
import type { Kernel, KernelTable } from '../kernel.ts';

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

/** Dense, float32, not empty, and channels last. */
function usable({ dataFormat = 'NHWC' }: Attrs, ...tensors: readonly tf.TensorInfo[]): boolean {
  return dataFormat === 'NHWC' && tensors.every(({ dtype, shape }) => dtype === 'float32' && !shape.includes(0));
}

export function convolutionKernels(heap: WasmHeap, convolutions: Convolutions): KernelTable {
  const at = (tensor: tf.TensorInfo): number => heap.input(tensor);

  const gradient =
    (
      [first, second]: readonly ['x' | 'dy', 'dy' | 'filter'],
      depthwise: boolean,
      run: (info: Geometry, first: number, second: number, out: number) => void,
    ): Kernel =>
    ({ inputs, attrs: given }) => {
      const attrs = given as Attrs;
      const [a, b] = [inputs[first], inputs[second]] as [tf.TensorInfo, tf.TensorInfo];
      if (!usable(attrs, a, b)) return undefined;
      const inputShape = first === 'x' ? a.shape : (attrs.inputShape as Shape4D);
      const filterShape = second === 'filter' ? b.shape : (attrs.filterShape as Shape4D);
      const info = geometry(attrs, inputShape, filterShape, depthwise);
      // A transposed convolution may be asked for an output that its input does not fit: tfjs computes something then.
      const dy = first === 'dy' ? a : b;
      if (!tf.util.arraysEqual(dy.shape, info.outShape)) return undefined;
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
  const forward: Kernel = ({ inputs, attrs: given }) => {
    const attrs = given as Attrs & Finish;
    const { x, filter, bias, preluActivationWeights } = inputs as Record<string, tf.TensorInfo | undefined>;
    if (x === undefined || filter === undefined || !usable(attrs, x, filter)) return undefined;
    const info = geometry(attrs, x.shape, filter.shape, false);
    if (info.outShape.some((extent) => extent < 1)) {
      throw new Error(
        `a convolution of [${x.shape}] with a filter of [${filter.shape}] would be empty: [${info.outShape}]`,
      );
    }
    const rest: Finish = { ...attrs, bias: bias ?? null, preluActivationWeights: preluActivationWeights ?? null };
    const plain = isPlain(rest, info.outChannels);
    const out = heap.makeOutput(info.outShape);
    const biasAt = plain && bias ? at(bias) : 0;
    convolutions.forward(info, at(x), at(filter), at(out), biasAt, plain && attrs.activation === 'relu');
    return plain ? out : tf.tidy(() => finish(tensorOfOutput(out), rest));
  };
  // tfjs-wasm's own kernel, with what follows it put on after: it takes no bias but a vector.
  const depthwiseForward: Kernel = ({ inputs, attrs: given }) => {
    const attrs = given as Attrs & Finish;
    const { x, filter, bias, preluActivationWeights } = inputs as Record<string, tf.TensorInfo | undefined>;
    if (x === undefined || filter === undefined || !usable(attrs, x, filter)) return undefined;
    const rest: Finish = { ...attrs, bias: bias ?? null, preluActivationWeights: preluActivationWeights ?? null };
    if (isPlain(rest, geometry(attrs, x.shape, filter.shape, true).outChannels)) return undefined;
    return tf.tidy(() => {
      const y = tf.engine().runKernel('DepthwiseConv2dNative', { x: tensorOf(x), filter: tensorOf(filter) }, {
        ...attrs,
      } as unknown as tf.NamedAttrMap) as tf.Tensor;
      return tensorOf(finish(y, rest));
    });
  };
  return {
    Conv2D: forward,
    FusedConv2D: forward,
    FusedDepthwiseConv2D: depthwiseForward,
    Conv2DBackpropInput: full.input,
    Conv2DBackpropFilter: full.filter,
    DepthwiseConv2dNativeBackpropInput: depthwise.input,
    DepthwiseConv2dNativeBackpropFilter: depthwise.filter,
    // Under names of their own: tfjs-core's gradients of the stock kernels know no dilation.
    [DILATED_KERNELS.full.input]: full.input,
    [DILATED_KERNELS.full.filter]: full.filter,
    [DILATED_KERNELS.depthwise.input]: depthwise.input,
    [DILATED_KERNELS.depthwise.filter]: depthwise.filter,
  };
}
