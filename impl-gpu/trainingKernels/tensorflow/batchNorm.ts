/** Kernels of `batchNormTraining` by TensorFlow's fused operations. */
import * as tf from '@tensorflow/tfjs';
import type { Attribute, Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import type { BatchNormAttrs } from '../batchNorm.ts';
import { BATCH_NORM_KERNELS } from '../batchNorm.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import type { KernelTable } from '../kernel.ts';
import { activationPasses } from './passes.ts';

/** What the operations give: y, running mean and variance, mean and biased variance of the batch, and a place of cuDNN's. */
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
  const passes = activationPasses(tensorflow);
  /** What follows the normal values, which nobody reads again. */
  const finish = (normal: tf.Tensor, residual: tf.TensorInfo | undefined, relu: boolean): tf.Tensor => {
    if (residual === undefined) return relu ? tf.relu(normal) : normal;
    return tensorflow.adopt(normal.shape, 'float32', passes.addInPlace(handle(normal), handle(residual), relu));
  };
  /** Stands for what there is none of, as long as the backend lives. */
  const empty = tensorflow.tensor([0], TYPES.float32, new Float32Array());
  /** As pictures, which the operations want. */
  const PICTURE = 4;
  const picture = (x: tf.TensorInfo, { shape: [channels = 1] }: tf.TensorInfo): tf.TensorInfo =>
    x.shape.length === PICTURE ? x : tf.reshape(tensorOf(x), [1, 1, -1, channels]);
  const asBefore = (y: tf.Tensor, { shape }: tf.TensorInfo): tf.Tensor =>
    shape.length === PICTURE ? y : tf.reshape(y, shape);
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
        const { x, scale, offset, residual, runningMean, runningVariance } = inputs as Inputs<
          'x' | 'scale' | 'offset'
        > &
          Partial<Inputs<'residual' | 'runningMean' | 'runningVariance'>>;
        const { epsilon, relu, momentum } = attrs as BatchNormAttrs;
        const flat = picture(x, scale);
        const runs = runningMean !== undefined && runningVariance !== undefined;
        // What moves all the way has nothing to move from.
        const blend = runs && momentum < 1;
        const [normal, ...rest] = withOwned(tensorflow, (own) => {
          const from = blend ? [runningMean, runningVariance].map(handle) : [empty, empty];
          return take(
            own,
            tensorflow.runMany(
              'FusedBatchNormV3',
              [...attributes(epsilon), attribute.number('exponential_avg_factor', blend ? momentum : 1)],
              OUTPUTS,
              [handle(flat), handle(scale), handle(offset), ...from],
            ),
            [flat.shape, ...[runs, runs, true, true].map((wanted) => (wanted ? scale.shape : undefined))],
          );
        }) as [tf.Tensor, ...tf.Tensor[]];
        return [finish(asBefore(normal, x), residual, relu), ...rest.slice(-2), ...rest.slice(0, -2)];
      }),
    [BATCH_NORM_KERNELS.backward]: ({ inputs, attrs }) =>
      tf.tidy(() => {
        const { dy, x, y, scale, mean, variance } = inputs as Inputs<'dy' | 'x' | 'y' | 'scale' | 'mean' | 'variance'>;
        const { epsilon, relu, residual } = attrs as BatchNormAttrs;
        const dz = relu
          ? tensorflow.adopt(y.shape, 'float32', passes.slope(handle(dy), handle(y)))
          : tf.clone(tensorOf(dy));
        const [flat, slope] = [picture(x, scale), picture(dz, scale)];
        const [dx, ...rest] = withOwned(tensorflow, (own) =>
          take(
            own,
            tensorflow.runMany('FusedBatchNormGradV3', attributes(epsilon), GRADIENTS, [
              handle(slope),
              handle(flat),
              ...[scale, mean, variance].map(handle),
              empty,
            ]),
            [flat.shape, scale.shape, scale.shape],
          ),
        ) as [tf.Tensor, ...tf.Tensor[]];
        return [asBefore(dx, x), ...rest, ...(residual ? [dz] : [])];
      }),
  };
}
