/**
 * Convolution kernels for tfjs-wasm: the gradients that it lacks (`Conv2DBackpropFilter`, both of the depthwise convolution) or runs in
 * a scalar loop (`Conv2DBackpropInput`), and a forward pass over several threads.
 */
import * as tf from '@tensorflow/tfjs';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import { DILATED_KERNELS } from '../dilated.ts';
import type { Convolutions } from './convolution.ts';
import type { Finish } from '../composed/fused.ts';
import { finish, isPlain } from '../composed/fused.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import { forwardKernel, gradientKernel } from '../convolutionKernels.ts';
import type { ConvolutionAttrs, Geometry } from '../geometry.ts';
import { geometryOf, isUsable } from '../geometry.ts';
import type { Kernel, KernelTable } from '../kernel.ts';

export function convolutionKernels(heap: WasmHeap, convolutions: Convolutions): KernelTable {
  const at = (tensor: tf.TensorInfo): number => heap.input(tensor);

  const gradient = (
    names: readonly ['x' | 'dy', 'dy' | 'filter'],
    depthwise: boolean,
    run: (info: Geometry, first: number, second: number, out: number) => void,
  ): Kernel =>
    gradientKernel(names, depthwise, (info, first, second) => {
      const out = heap.makeOutput(names[0] === 'x' ? info.filterShape : info.inShape);
      run(info, at(first), at(second), at(out));
      return out;
    });
  const full = {
    input: gradient(['dy', 'filter'], false, convolutions.input),
    filter: gradient(['x', 'dy'], false, convolutions.filter),
  };
  const depthwise = {
    input: gradient(['dy', 'filter'], true, convolutions.depthwiseInput),
    filter: gradient(['x', 'dy'], true, convolutions.depthwiseFilter),
  };
  const forward = forwardKernel((info, x, filter, bias, relu) => {
    if (info.outShape.some((extent) => extent < 1)) {
      throw new Error(
        `a convolution of [${x.shape}] with a filter of [${filter.shape}] would be empty: [${info.outShape}]`,
      );
    }
    const out = heap.makeOutput(info.outShape);
    convolutions.forward(info, at(x), at(filter), at(out), bias === undefined ? 0 : at(bias), relu);
    return out;
  });
  // A filter of one pixel: tfjs-wasm's kernel clamps such products to the range of numbers, and NaN to its lower end.
  const isProduct = (info: Geometry): boolean =>
    info.filterHeight * info.filterWidth * info.strideHeight * info.strideWidth === 1 &&
    info.inChannels === info.outChannels &&
    tf.util.arraysEqual(info.inShape, info.outShape);
  const depthwiseProduct: Kernel = ({ inputs, attrs: given }) => {
    const attrs = given as ConvolutionAttrs;
    const { x, filter } = inputs as Readonly<Record<'x' | 'filter', tf.TensorInfo>>;
    if (!isUsable(attrs, x, filter)) return undefined;
    const info = geometryOf(attrs, x.shape, filter.shape, true);
    if (!isProduct(info)) return undefined;
    return tf.tidy(() => tf.mul(tensorOf(x), tf.reshape(tensorOf(filter), [info.outChannels])));
  };
  // tfjs-wasm's own kernel, with what follows it put on after: it takes no bias but a vector.
  const depthwiseForward: Kernel = ({ inputs, attrs: given }) => {
    const attrs = given as ConvolutionAttrs & Finish;
    const { x, filter, bias, preluActivationWeights } = inputs as Record<string, tf.TensorInfo | undefined>;
    if (x === undefined || filter === undefined || !isUsable(attrs, x, filter)) return undefined;
    const rest: Finish = { ...attrs, bias: bias ?? null, preluActivationWeights: preluActivationWeights ?? null };
    const info = geometryOf(attrs, x.shape, filter.shape, true);
    if (isPlain(rest, info.outChannels) && !isProduct(info)) return undefined;
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
    DepthwiseConv2dNative: depthwiseProduct,
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
