import * as tf from '@tensorflow/tfjs';
import type { SegmentationLogits } from '../../nets/pspnet.ts';
import { VOID } from './metrics.ts';
import { resizeAligned } from '../../nets/resample.ts';

/** Weight of the auxiliary loss (Zhao et al. 2017, section 3.3). */
export const AUXILIARY_WEIGHT = 0.4;

/** Labels of a batch as tensors. Dispose of both. */
export interface LabelBatch {
  /** [batch, height, width], int32; void is 0. */
  readonly classes: tf.Tensor3D;
  /** [batch, height, width]: 1/pixels for those that count, 0 for void. */
  readonly weights: tf.Tensor3D;
  /** Pixels that count. */
  readonly pixels: number;
}

export function labelBatch(labels: Uint8Array, shape: readonly [number, number, number]): LabelBatch {
  const pixels = labels.reduce((count, label) => count + (label === VOID ? 0 : 1), 0);
  return {
    classes: tf.tensor3d(
      Int32Array.from(labels, (label) => (label === VOID ? 0 : label)),
      [...shape],
      'int32',
    ),
    weights: tf.tensor3d(
      Float32Array.from(labels, (label) => (label === VOID ? 0 : 1 / pixels)),
      [...shape],
    ),
    pixels,
  };
}

/**
 * Mean cross-entropy over the pixels that are not void, from logits at the labels' size; 0 where all are void. As one operation with its gradient,
 * since logits of 16 crops of 473 x 473 with 21 classes are 300 MB: it holds on to nothing else of that size.
 */
export function pixelCrossEntropy(logits: tf.Tensor4D, { classes, weights }: LabelBatch): tf.Scalar {
  const depth = logits.shape[3];
  const oneHot = (): tf.Tensor => tf.cast(tf.oneHot(classes, depth), 'float32');
  const operation = tf.customGrad((scores, save) => {
    const x = scores as tf.Tensor4D;
    (save as tf.GradSaveFunc)([x]);
    const surprise = tf.sub(tf.logSumExp(x, -1), tf.sum(tf.mul(x, oneHot()), -1));
    return {
      value: tf.sum(tf.mul(surprise, weights)),
      gradFunc: (dy, saved) => {
        const error = tf.sub(tf.softmax(saved[0] as tf.Tensor), oneHot());
        return tf.mul(error, tf.expandDims(tf.mul(weights, dy), -1));
      },
    };
  });
  return operation(logits) as tf.Scalar;
}

/** PSPNet's loss: that of the main output plus .4 times that of the auxiliary one, both brought to the labels' size. */
export function segmentationLoss({ main, auxiliary }: SegmentationLogits, labels: LabelBatch): tf.Scalar {
  const [, height, width] = labels.classes.shape;
  const loss = pixelCrossEntropy(resizeAligned(main, height, width), labels);
  if (auxiliary === undefined) return loss;
  return tf.add(loss, tf.mul(AUXILIARY_WEIGHT, pixelCrossEntropy(resizeAligned(auxiliary, height, width), labels)));
}
