/** The layers that the papers' networks are made of, NHWC, with PyTorch's names, padding and defaults. */
import * as tf from '@tensorflow/tfjs';
import { batchNormTraining, denseTraining, groupedConv2d } from 'learning-rate-dropout';
import { JobError } from '../errors.ts';
import type { Initial, NetBuilder, Pass } from './builder.ts';

/** [batch, height, width, channels] in and out. */
export type Layer = (x: tf.Tensor4D, pass: Pass) => tf.Tensor4D;

/** How convolutions start. */
export type ConvolutionInitial = (filter: readonly [number, number, number, number]) => Initial;

/** PyTorch's default for convolutions and linear layers: uniform in +-1/sqrt(fan in). */
export const pytorchInitial: ConvolutionInitial = ([height, width, inputs]) => ({
  kind: 'uniform',
  bound: 1 / Math.sqrt(height * width * inputs),
});

/** He et al. 2015, equation (10): normal of variance 2 / fan in. */
export const heFanIn: ConvolutionInitial = ([height, width, inputs]) => ({
  kind: 'normal',
  deviation: Math.sqrt(2 / (height * width * inputs)),
});

/** He et al. 2015, equation (14), as torchvision's ResNets start: normal of variance 2 / fan out. */
export const heFanOut: ConvolutionInitial = ([height, width, , outputs]) => ({
  kind: 'normal',
  deviation: Math.sqrt(2 / (height * width * outputs)),
});

export interface ConvolutionOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Height and width of the filter. */
  readonly size: number;
  readonly stride?: number;
  /** With one group only. */
  readonly dilation?: number;
  readonly groups?: number;
  /** Default: "same" for an odd size and stride 1, as networks have it: dilation (size - 1) / 2. */
  readonly padding?: number;
  /** Default false: a normalisation follows. */
  readonly bias?: boolean;
  readonly initial: ConvolutionInitial;
}

/** `weight` [size, size, inputs / groups, outputs] and maybe `bias` [outputs]. */
export function convolution(builder: NetBuilder, name: string, options: ConvolutionOptions): Layer {
  const { inputs, outputs, size, stride = 1, dilation = 1, groups = 1, bias = false, initial } = options;
  const padding = options.padding ?? (dilation * (size - 1)) / 2;
  const shape: [number, number, number, number] = [size, size, inputs / groups, outputs];
  const filter = builder.parameter<tf.Rank.R4>(`${name}/weight`, shape, initial(shape));
  const offset = bias ? builder.parameter<tf.Rank.R1>(`${name}/bias`, [outputs], pytorchInitial(shape)) : undefined;
  return (x) => {
    const y: tf.Tensor4D =
      groups === 1
        ? tf.conv2d(x, filter, stride, padding, 'NHWC', dilation, 'floor')
        : groupedConv2d(x, filter, stride, padding, groups);
    return offset === undefined ? y : tf.add(y, offset);
  };
}

const MOMENTUM = 0.1;
const EPSILON = 1e-5;

export interface NormOptions {
  /** Clamp the result at 0. Default false. */
  readonly relu?: boolean;
  /** Added ahead of the clamp. */
  readonly residual?: tf.Tensor4D;
}

/** Batch normalisation, with what follows it in one operation. */
export type Norm = (x: tf.Tensor4D, pass: Pass, options?: NormOptions) => tf.Tensor4D;

/**
 * PyTorch's `BatchNorm2d`: `weight` and `bias` [channels], epsilon 1e-5; `running_mean` and `running_var` move by .1 towards the batch's mean and
 * unbiased variance. In evaluation mode these take the place of the batch's.
 */
export function batchNorm(builder: NetBuilder, name: string, channels: number): Norm {
  const scale = builder.parameter<tf.Rank.R1>(`${name}/weight`, [channels], { kind: 'constant', value: 1 });
  const offset = builder.parameter<tf.Rank.R1>(`${name}/bias`, [channels], { kind: 'constant', value: 0 });
  const mean = builder.statistic<tf.Rank.R1>(`${name}/running_mean`, [channels], 0);
  const variance = builder.statistic<tf.Rank.R1>(`${name}/running_var`, [channels], 1);
  return (x, { training }, options = {}) => {
    if (training) {
      const count = x.size / channels;
      if (count < 2) {
        throw new JobError(
          `${name}: a batch must give more than one value a channel in training, got shape [${x.shape}]; larger images or batches do`,
        );
      }
      return batchNormTraining(x, scale, offset, {
        ...options,
        epsilon: EPSILON,
        running: { mean, variance, momentum: MOMENTUM },
      });
    }
    const { relu = false, residual } = options;
    const normal = tf.batchNorm4d(x, mean, variance, offset, scale, EPSILON);
    const sum = residual === undefined ? normal : tf.add<tf.Tensor4D>(normal, residual);
    return relu ? tf.relu(sum) : sum;
  };
}

/** PyTorch's `Linear` behind a mean over the image: logits [batch, outputs]. */
export function classifier(
  builder: NetBuilder,
  name: string,
  inputs: number,
  outputs: number,
): (x: tf.Tensor4D) => tf.Tensor2D {
  const initial = pytorchInitial([1, 1, inputs, outputs]);
  const weight = builder.parameter<tf.Rank.R2>(`${name}/weight`, [inputs, outputs], initial);
  const bias = builder.parameter<tf.Rank.R1>(`${name}/bias`, [outputs], initial);
  return (x) => denseTraining(tf.mean<tf.Tensor2D>(x, [1, 2]), weight, bias);
}

/** PyTorch's `MaxPool2d(3, 2, 1)`, of a ResNet's stem for large images. */
export const stemPool: Layer = (x) => tf.maxPool(x, 3, 2, 1, 'floor');
