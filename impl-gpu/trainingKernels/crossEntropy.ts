/** A classifier's loss in training, as one operation with a gradient of its own. */
import * as tf from '@tensorflow/tfjs';
import { tensorOf } from './composed/tensorOf.ts';
import { InvalidArgumentError } from '../validate.ts';

/**
 * Kernels that a backend may have for it; others are given such of core operations. Inputs logits [rows, classes] and labels [rows].
 *
 * - `forward`: the mean cross-entropy.
 * - `slope`: its gradient by the logits.
 */
export const CROSS_ENTROPY_KERNELS = { forward: 'CrossEntropyTraining', slope: 'CrossEntropyTrainingSlope' } as const;

type Inputs = readonly [logits: tf.Tensor2D, labels: tf.Tensor1D];

/** Rows of 0 with a 1 at the label; tfjs makes none of one class. */
const oneHot = ([logits, labels]: Inputs): tf.Tensor2D =>
  logits.shape[1] === 1 ? tf.onesLike(logits) : (tf.cast(tf.oneHot(labels, logits.shape[1]), 'float32') as tf.Tensor2D);

const slope = ([logits, labels]: Inputs): tf.Tensor2D =>
  tf.engine().runKernel(CROSS_ENTROPY_KERNELS.slope, { logits, labels });

/** The kernels by operations that every backend has. */
const composed = {
  [CROSS_ENTROPY_KERNELS.forward]: (inputs: Inputs): tf.Tensor =>
    tf.div(tf.neg(tf.sum(tf.mul(oneHot(inputs), tf.logSoftmax(inputs[0])))), inputs[0].shape[0]),
  [CROSS_ENTROPY_KERNELS.slope]: (inputs: Inputs): tf.Tensor =>
    tf.div(tf.sub(tf.softmax(inputs[0]), oneHot(inputs)), inputs[0].shape[0]),
};

/** Gives a backend that has no kernels of its own the composed ones. */
function registerKernels(backendName: string): void {
  for (const [kernelName, kernel] of Object.entries(composed)) {
    if (tf.getKernel(kernelName, backendName) !== undefined) continue;
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs }) =>
        tf.tidy(() =>
          kernel([inputs['logits'], inputs['labels']].map((x) => tensorOf(x as tf.TensorInfo)) as unknown as Inputs),
        ),
    });
  }
}

function registerGradients(): void {
  if (tf.getGradient(CROSS_ENTROPY_KERNELS.forward) !== undefined) return;
  tf.registerGradient({
    kernelName: CROSS_ENTROPY_KERNELS.forward,
    inputsToSave: ['logits', 'labels'],
    gradFunc: (dy, saved) => {
      const inputs = saved as unknown as Inputs;
      return { logits: () => tf.mul(slope(inputs), dy as tf.Scalar), labels: () => tf.zerosLike(inputs[1]) };
    },
  });
  tf.registerGradient({
    kernelName: CROSS_ENTROPY_KERNELS.slope,
    inputsToSave: ['logits', 'labels'],
    gradFunc: (dy, saved) => {
      const [logits, labels] = saved as unknown as Inputs;
      // (softmax - one-hot) / rows by the logits.
      const byLogits = (): tf.Tensor2D => {
        const shares = tf.softmax(logits);
        const moved = tf.mul(shares, dy as tf.Tensor2D);
        return tf.div(tf.sub(moved, tf.mul(shares, tf.sum(moved, 1, true))), logits.shape[0]);
      };
      return { logits: byLogits, labels: () => tf.zerosLike(labels) };
    },
  });
}

/**
 * Mean softmax cross-entropy of logits and the classes that are right, in nats. Differentiable in the logits, any number of times. Of operations of tfjs it is ten, and its
 * gradient as many; after `enableTraining()` on TensorFlow it is two, and two.
 *
 * logits: [rows, classes], float32, with a row at least; labels: [rows], int32, each from 0 up to the classes, which are not read to be checked. Throws `InvalidArgumentError` when shapes
 * or types do not fit.
 */
export function crossEntropyTraining(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  if (logits.rank !== 2 || logits.dtype !== 'float32' || logits.size === 0) {
    throw new InvalidArgumentError(
      `logits must be float32 of rank 2 with at least one row and one class, got ${logits.dtype} of shape [${logits.shape}]`,
    );
  }
  if (labels.rank !== 1 || labels.dtype !== 'int32' || labels.shape[0] !== logits.shape[0]) {
    throw new InvalidArgumentError(
      `labels must be int32, one for each of the ${logits.shape[0]} rows of logits, got ${labels.dtype} of shape [${labels.shape}]`,
    );
  }
  registerKernels(tf.getBackend());
  registerGradients();
  return tf.engine().runKernel(CROSS_ENTROPY_KERNELS.forward, { logits, labels });
}
