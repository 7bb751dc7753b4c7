/** Kernels of `batchNormTraining` by TensorFlow's fused operations. */
import * as tf from '@tensorflow/tfjs';
import type { Attribute, Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import type { BatchNormAttrs } from '../batchNorm.ts';
import { BATCH_NORM_KERNELS } from '../batchNorm.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import type { KernelTable } from '../kernel.ts';

/** What the operations give: y, mean and variance, mean and biased variance for the gradient, and a place of cuDNN's. */
const OUTPUTS = 6;
/** dx, dscale, doffset, and two that are empty. */
const GRADIENTS = 5;

type Inputs<Names extends string> = Readonly<Record<Names, tf.TensorInfo>>;

/** For a processor's TensorFlow: cuDNN takes no epsilon below 1e-5. */
export function batchNormKernels(tensorflow: Tensorflow): KernelTable {
  const { attribute } = tensorflow;
  const handle = (tensor: tf.TensorInfo): Handle => tensorflow.handle(tensor);
  const attributes = (epsilon: number): readonly Attribute[] => [
    attribute.type('T', TYPES.float32),
    attribute.type('U', TYPES.float32),
    attribute.number('epsilon', epsilon),
    attribute.text('data_format', 'NHWC'),
    attribute.flag('is_training', true),
  ];
  const empty = (): Handle => tensorflow.tensor([0], TYPES.float32, new Float32Array());
  /** As a picture, which the operations want. */
  const picture = (x: tf.TensorInfo, { shape: [channels = 1] }: tf.TensorInfo): tf.Tensor =>
    tf.reshape(tensorOf(x), [1, 1, -1, channels]);
  /** Adopts the first and frees the rest. */
  const take = (
    own: (handle: Handle) => Handle,
    outputs: readonly Handle[],
    shapes: readonly (readonly number[] | undefined)[],
  ): tf.Tensor[] =>
    outputs.flatMap((output, k) => {
      const shape = shapes[k];
      if (shape !== undefined) return [tensorflow.adopt(shape, 'float32', output)];
      own(output);
      return [];
    });

  return {
    [BATCH_NORM_KERNELS.forward]: ({ inputs, attrs }) =>
      tf.tidy(() => {
        const { x, scale, offset, residual } = inputs as Inputs<'x' | 'scale' | 'offset'> & { readonly residual?: tf.TensorInfo }; // prettier-ignore
        const { epsilon, relu } = attrs as BatchNormAttrs;
        const flat = picture(x, scale);
        const [normal, mean, variance] = withOwned(tensorflow, (own) =>
          take(
            own,
            tensorflow.runMany(
              'FusedBatchNormV3',
              [...attributes(epsilon), attribute.number('exponential_avg_factor', 1)],
              OUTPUTS,
              [handle(flat), handle(scale), handle(offset), own(empty()), own(empty())],
            ),
            [flat.shape, undefined, undefined, scale.shape, scale.shape],
          ),
        ) as [tf.Tensor, tf.Tensor, tf.Tensor];
        const shaped = tf.reshape(normal, x.shape);
        const sum = residual === undefined ? shaped : tf.add(shaped, tensorOf(residual));
        return [relu ? tf.relu(sum) : sum, mean, variance];
      }),
    [BATCH_NORM_KERNELS.backward]: ({ inputs, attrs }) =>
      tf.tidy(() => {
        const { dy, x, y, scale, mean, variance } = inputs as Inputs<'dy' | 'x' | 'y' | 'scale' | 'mean' | 'variance'>;
        const { epsilon, relu, residual } = attrs as BatchNormAttrs;
        const dz = relu ? tf.mul(tensorOf(dy), tf.step(tensorOf(y))) : tf.clone(tensorOf(dy));
        const [flat, slope] = [picture(x, scale), picture(dz, scale)];
        const [dx, ...rest] = withOwned(tensorflow, (own) =>
          take(
            own,
            tensorflow.runMany('FusedBatchNormGradV3', attributes(epsilon), GRADIENTS, [
              handle(slope),
              handle(flat),
              ...[scale, mean, variance].map(handle),
              own(empty()),
            ]),
            [flat.shape, scale.shape, scale.shape],
          ),
        ) as [tf.Tensor, ...tf.Tensor[]];
        return [tf.reshape(dx, x.shape), ...rest, ...(residual ? [dz] : [])];
      }),
  };
}
