/**
 * tfjs's kernels of 2-D convolutions and of their gradients, from functions on dense NHWC tensors of float32, none of them empty. A function gives undefined for
 * what is not a case of its own.
 */
import * as tf from '@tensorflow/tfjs';
import type { Finish } from './composed/fused.ts';
import { finish, isPlain } from './composed/fused.ts';
import { tensorOfOutput } from './composed/tensorOf.ts';
import type { ConvolutionAttrs, Geometry, Shape4D } from './geometry.ts';
import { geometryOf, isUsable } from './geometry.ts';
import type { Kernel } from './kernel.ts';

/** The gradient by an input or a filter. */
export function gradientKernel(
  [first, second]: readonly ['x' | 'dy', 'dy' | 'filter'],
  depthwise: boolean,
  run: (info: Geometry, first: tf.TensorInfo, second: tf.TensorInfo) => tf.TensorInfo | undefined,
): Kernel {
  return ({ inputs, attrs: given }) => {
    const attrs = given as ConvolutionAttrs;
    const [a, b] = [inputs[first], inputs[second]] as [tf.TensorInfo, tf.TensorInfo];
    if (!isUsable(attrs, a, b)) return undefined;
    const inputShape = first === 'x' ? a.shape : (attrs.inputShape as Shape4D);
    const filterShape = second === 'filter' ? b.shape : (attrs.filterShape as Shape4D);
    const info = geometryOf(attrs, inputShape, filterShape, depthwise);
    // A transposed convolution may be asked for an output that its input does not fit: tfjs computes something then.
    const dy = first === 'dy' ? a : b;
    return tf.util.arraysEqual(dy.shape, info.outShape) ? run(info, a, b) : undefined;
  };
}

/** A convolution and what follows it. `run` takes a bias that is a vector of the outputs. */
export function forwardKernel(
  run: (
    info: Geometry,
    x: tf.TensorInfo,
    filter: tf.TensorInfo,
    bias: tf.TensorInfo | undefined,
    relu: boolean,
  ) => tf.TensorInfo | undefined,
): Kernel {
  return ({ inputs, attrs: given }) => {
    const attrs = given as ConvolutionAttrs & Finish;
    const { x, filter, bias, preluActivationWeights } = inputs as Record<string, tf.TensorInfo | null | undefined>;
    if (!x || !filter || !isUsable(attrs, x, filter)) return undefined;
    const info = geometryOf(attrs, x.shape, filter.shape, false);
    const rest: Finish = { ...attrs, bias: bias ?? null, preluActivationWeights: preluActivationWeights ?? null };
    const plain = isPlain(rest, info.outChannels);
    if (plain) return run(info, x, filter, bias ?? undefined, attrs.activation === 'relu');
    // What is run within is freed within; nothing made is nothing given back.
    return tf.tidy((): tf.Tensor => {
      const out = run(info, x, filter, undefined, false);
      if (out === undefined) return undefined as unknown as tf.Tensor;
      return finish(out instanceof tf.Tensor ? out : tensorOfOutput(out), rest);
    });
  };
}
