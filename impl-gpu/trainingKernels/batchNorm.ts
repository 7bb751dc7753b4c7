/** Batch normalisation in training mode, with what usually follows it, as one operation with a gradient of its own. */
import * as tf from '@tensorflow/tfjs';
import { InvalidArgumentError, show } from '../validate.ts';

/**
 * Kernels that a backend may have for it; others run core operations.
 *
 * - `forward`: inputs x, scale, offset and maybe residual, runningMean and runningVariance; outputs y, mean, variance, and those two moved on where the kernel does it.
 * - `backward`: inputs dy, x, y, scale, offset, mean, variance; outputs dx, dscale, doffset and, with `residual`, dresidual.
 */
export const BATCH_NORM_KERNELS = { forward: 'BatchNormTraining', backward: 'BatchNormTrainingGrad' } as const;

/** What the kernels are told beside tensors. */
export interface BatchNormAttrs {
  readonly epsilon: number;
  readonly relu: boolean;
  readonly residual: boolean;
  /** Of the running statistics; 1 where there are none. */
  readonly momentum: number;
}

/** Averages over the steps of what a batch's channels are, in evaluation used in its place. */
export interface RunningStatistics {
  /** [channels]. */
  readonly mean: tf.Variable<tf.Rank.R1>;
  /** [channels]. */
  readonly variance: tf.Variable<tf.Rank.R1>;
  /** How far they move, above 0 and at most 1. Default .1, PyTorch's. */
  readonly momentum?: number;
}

/** How `batchNormTraining` normalizes. */
export interface BatchNormOptions {
  /** Added to the variance below the root. Default 1e-5, PyTorch's. */
  readonly epsilon?: number;
  /** Clamp the result at 0. Default false. */
  readonly relu?: boolean;
  /** Of x's shape: added behind the normalisation, ahead of the clamp. */
  readonly residual?: tf.Tensor;
  /** Variables that move towards the batch's mean and unbiased variance, as PyTorch's do. No gradient flows through them. */
  readonly running?: RunningStatistics;
}

type SavedTensors = [
  x: tf.Tensor,
  y: tf.Tensor,
  scale: tf.Tensor,
  offset: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
];

function composedForward(
  x: tf.Tensor,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  residual: tf.Tensor | undefined,
  { epsilon, relu }: BatchNormAttrs,
): [y: tf.Tensor, mean: tf.Tensor1D, variance: tf.Tensor1D] {
  const flat: tf.Tensor2D = tf.reshape(x, [-1, scale.size]);
  const mean = tf.mean<tf.Tensor1D>(flat, 0);
  // In two passes: E[x^2] - E[x]^2 would cancel.
  const variance = tf.mean<tf.Tensor1D>(tf.squaredDifference(flat, mean), 0);
  const normal = tf.reshape(tf.batchNorm2d(flat, mean, variance, offset, scale, epsilon), x.shape);
  const sum = residual === undefined ? normal : tf.add(normal, residual);
  return [relu ? tf.relu(sum) : sum, mean, variance];
}

/** Ioffe and Szegedy 2015, section 3: with n values a channel, dx = scale / sigma (dz - mean(dz) - xhat mean(dz xhat)). */
function composedBackward(
  dy: tf.Tensor,
  [x, y, scale, , mean, variance]: SavedTensors,
  { epsilon, relu, residual }: BatchNormAttrs,
): tf.Tensor[] {
  const dz = relu ? tf.mul(dy, tf.step(y)) : dy;
  const flat: tf.Tensor2D = tf.reshape(dz, [-1, scale.size]);
  const [rows] = flat.shape;
  const centred = tf.sub(tf.reshape(x, flat.shape), mean);
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  const dOffset = tf.sum(flat, 0);
  const dScale = tf.mul(tf.sum(tf.mul(flat, centred), 0), inverse);
  const factor = tf.mul(scale, inverse);
  // By channel first: the large tensors are then met by two products and two sums only.
  const slope = tf.mul(tf.mul(factor, inverse), tf.div(dScale, rows));
  const level = tf.mul(factor, tf.div(dOffset, rows));
  const dx = tf.sub(tf.sub(tf.mul(flat, factor), tf.mul(centred, slope)), level);
  return [tf.reshape(dx, x.shape), dScale, dOffset, ...(residual ? [dz] : [])];
}

const MOMENTUM = 0.1;

function checkRunning({ mean, variance, momentum = MOMENTUM }: RunningStatistics, channels: number): void {
  for (const [name, variable] of [
    ['mean', mean],
    ['variance', variance],
  ] as const) {
    if (variable instanceof tf.Variable && variable.shape.join() === `${channels}` && variable.dtype === 'float32') {
      continue;
    }
    throw new InvalidArgumentError(
      `running.${name} must be a float32 variable of shape [${channels}], got ${show(variable)}`,
    );
  }
  if (typeof momentum !== 'number' || !(momentum > 0 && momentum <= 1)) {
    throw new InvalidArgumentError(`running.momentum must be above 0 and at most 1, got ${show(momentum)}`);
  }
}

/** The running statistics of a batch of `rows` values a channel, moved on. */
function movedOn(
  { mean, variance }: RunningStatistics,
  { momentum }: BatchNormAttrs,
  batch: readonly [mean: tf.Tensor1D, variance: tf.Tensor1D],
  rows: number,
): [mean: tf.Tensor1D, variance: tf.Tensor1D] {
  const move = (from: tf.Tensor1D, to: tf.Tensor1D, factor: number): tf.Tensor1D =>
    tf.add(tf.mul(from, 1 - momentum), tf.mul(to, momentum * factor));
  return [move(mean, batch[0], 1), move(variance, batch[1], rows / (rows - 1))];
}

/**
 * y = scale (x - mean) / sqrt(variance + epsilon) + offset [+ residual] [relu], with the mean and the biased variance of the batch, channel by
 * channel. Differentiable in x, scale, offset and residual.
 *
 * x: [..., channels]; scale, offset: [channels]. Throws `InvalidArgumentError` when shapes do not fit, or when a channel has a single value, of
 * which there is no variance, or a running statistic is none.
 */
export function batchNormTraining<T extends tf.Tensor>(
  x: T,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  { epsilon = 1e-5, relu = false, residual, running }: BatchNormOptions = {},
): T {
  const channels = x.shape.at(-1);
  if (scale.size !== channels || offset.size !== channels) {
    throw new InvalidArgumentError(
      `scale and offset must have the ${channels} channels of x, got ${scale.size} and ${offset.size}`,
    );
  }
  if (x.size / channels < 2) {
    throw new InvalidArgumentError(`x must have more than one value a channel in training, got shape [${x.shape}]`);
  }
  if (residual !== undefined && !tf.util.arraysEqual(residual.shape, x.shape)) {
    throw new InvalidArgumentError(`residual must be of x's shape [${x.shape}], got [${residual.shape}]`);
  }
  if (running !== undefined) checkRunning(running, channels);
  const attrs: BatchNormAttrs = {
    epsilon,
    relu,
    residual: residual !== undefined,
    momentum: running === undefined ? 1 : (running.momentum ?? MOMENTUM),
  };
  const engine = tf.engine();
  const native = tf.getKernel(BATCH_NORM_KERNELS.forward, tf.getBackend()) !== undefined;
  const operation = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [input, gamma, beta, other] = args as [T, tf.Tensor1D, tf.Tensor1D, tf.Tensor | undefined];
    const [y, mean, variance, ...moved] = native
      ? engine.runKernel<[...ReturnType<typeof composedForward>, ...moved: tf.Tensor1D[]]>(
          BATCH_NORM_KERNELS.forward,
          {
            x: input,
            scale: gamma,
            offset: beta,
            ...(other === undefined ? {} : { residual: other }),
            ...(running === undefined ? {} : { runningMean: running.mean, runningVariance: running.variance }),
          },
          { ...attrs },
        )
      : composedForward(input, gamma, beta, other, attrs);
    if (running !== undefined) {
      const [first, second] = moved.length > 0 ? moved : movedOn(running, attrs, [mean, variance], x.size / channels);
      running.mean.assign(first as tf.Tensor1D);
      running.variance.assign(second as tf.Tensor1D);
    }
    save([input, y, gamma, beta, mean, variance]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const kept = saved as SavedTensors;
      if (!native) return composedBackward(dy, kept, attrs);
      const [savedX, savedY, savedScale, savedOffset, savedMean, savedVariance] = kept;
      const inputs = {
        dy,
        x: savedX,
        y: savedY,
        scale: savedScale,
        offset: savedOffset,
        mean: savedMean,
        variance: savedVariance,
      };
      return engine.runKernel(BATCH_NORM_KERNELS.backward, inputs, { ...attrs }) as tf.Tensor[];
    };
    return { value: y, gradFunc };
  });
  return operation(x, scale, offset, ...(residual === undefined ? [] : [residual])) as T;
}
