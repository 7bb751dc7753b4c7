/** Batch normalisation in training mode, with what usually follows it, as one operation with a gradient of its own. */
import * as tf from '@tensorflow/tfjs';
import { InvalidArgumentError } from '../validate.ts';

/**
 * Kernels that a backend may have for it; others run core operations.
 *
 * - `forward`: inputs x, scale, offset and maybe residual; outputs y, mean, variance.
 * - `backward`: inputs dy, x, y, scale, offset, mean, variance; outputs dx, dscale, doffset and, with `residual`, dresidual.
 */
export const BATCH_NORM_KERNELS = { forward: 'BatchNormTraining', backward: 'BatchNormTrainingGrad' } as const;

/** What the kernels are told beside tensors. */
export interface BatchNormAttrs {
  readonly epsilon: number;
  readonly relu: boolean;
  readonly residual: boolean;
}

/** How `batchNormTraining` normalizes. */
export interface BatchNormOptions {
  /** Added to the variance below the root. Default 1e-5, PyTorch's. */
  readonly epsilon?: number;
  /** Clamp the result at 0. Default false. */
  readonly relu?: boolean;
  /** Of x's shape: added behind the normalisation, ahead of the clamp. */
  readonly residual?: tf.Tensor;
  /** Hears of the batch's mean and biased variance, [channels] each; they last for the call. No gradient flows through them. */
  readonly observe?: (mean: tf.Tensor1D, variance: tf.Tensor1D) => void;
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

/**
 * y = scale (x - mean) / sqrt(variance + epsilon) + offset [+ residual] [relu], with the mean and the biased variance of the batch, channel by
 * channel. Differentiable in x, scale, offset and residual.
 *
 * x: [..., channels]; scale, offset: [channels]. Throws `InvalidArgumentError` when shapes do not fit, or when a channel has a single value, of
 * which there is no variance.
 */
export function batchNormTraining<T extends tf.Tensor>(
  x: T,
  scale: tf.Tensor1D,
  offset: tf.Tensor1D,
  { epsilon = 1e-5, relu = false, residual, observe }: BatchNormOptions = {},
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
  const attrs: BatchNormAttrs = { epsilon, relu, residual: residual !== undefined };
  const engine = tf.engine();
  const native = tf.getKernel(BATCH_NORM_KERNELS.forward, tf.getBackend()) !== undefined;
  const operation = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const [input, gamma, beta, other] = args as [T, tf.Tensor1D, tf.Tensor1D, tf.Tensor | undefined];
    const [y, mean, variance] = native
      ? engine.runKernel<ReturnType<typeof composedForward>>(
          BATCH_NORM_KERNELS.forward,
          { x: input, scale: gamma, offset: beta, ...(other === undefined ? {} : { residual: other }) },
          { ...attrs },
        )
      : composedForward(input, gamma, beta, other, attrs);
    observe?.(mean, variance);
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
