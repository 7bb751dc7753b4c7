import * as tf from '@tensorflow/tfjs';
import type { Predictions } from '../../nets/ssd300.ts';
import type { Targets } from './targets.ts';

/** Negatives for each positive (SSD section 2.2, "Hard negative mining"). */
export const NEGATIVES_PER_POSITIVE = 3;

/** Targets of a batch as tensors. Dispose with `disposeTargets`. */
export interface TargetBatch {
  /** `[batch, boxes, 4]` */
  readonly offsets: tf.Tensor3D;
  /** `[batch, boxes]`, int32 */
  readonly labels: tf.Tensor2D;
  /** `[batch, boxes]`: 1 where an object is matched. */
  readonly positive: tf.Tensor2D;
  /** Of each picture. */
  readonly positives: readonly number[];
  /** Of the whole batch. */
  readonly matches: number;
}

export function targetBatch(targets: readonly Targets[]): TargetBatch {
  const batch = targets.length;
  const boxes = targets[0]?.labels.length ?? 0;
  const offsets = new Float32Array(batch * boxes * 4);
  const labels = new Int32Array(batch * boxes);
  targets.forEach((target, i) => {
    offsets.set(target.offsets, i * boxes * 4);
    labels.set(target.labels, i * boxes);
  });
  const positives = targets.map((target) => target.positives);
  return {
    offsets: tf.tensor3d(offsets, [batch, boxes, 4]),
    labels: tf.tensor2d(labels, [batch, boxes], 'int32'),
    positive: tf.tensor2d(
      Float32Array.from(labels, (label) => (label === 0 ? 0 : 1)),
      [batch, boxes],
    ),
    positives,
    matches: positives.reduce((sum, count) => sum + count, 0),
  };
}

export function disposeTargets({ offsets, labels, positive }: TargetBatch): void {
  tf.dispose([offsets, labels, positive]);
}

/** Smooth L1: x^2 / 2 for |x| below 1, else |x| - 1/2. Without a comparison, of which tfjs has no gradient. */
export function smoothL1(x: tf.Tensor): tf.Tensor {
  const size = tf.abs(x);
  const small = tf.minimum(size, 1);
  return tf.add(tf.mul(0.5, tf.square(small)), tf.sub(size, small));
}

/** Below any negative's score: those are at least 0. */
const NEVER = -1;

/**
 * Ones, `[batch, boxes]`, at the background boxes of each picture that the network is most wrong about, three for each positive, else 0.
 * Exactly so many even where losses are equal, as in the even margin of an expanded picture. No gradient flows through the choice.
 */
export function hardNegatives(logits: tf.Tensor3D, { positive, positives }: TargetBatch): tf.Tensor2D {
  const [batch, boxes, classes] = logits.shape;
  const wanted = positives.map((count) => Math.min(NEGATIVES_PER_POSITIVE * count, boxes - count));
  const most = Math.max(0, ...wanted);
  if (most === 0) return tf.zeros([batch, boxes]);
  const choose = tf.customGrad((scores) => {
    const background = tf.reshape(tf.slice(scores as tf.Tensor3D, [0, 0, 0], [batch, boxes, 1]), [batch, boxes]);
    const loss = tf.relu(tf.sub(tf.logSumExp(scores as tf.Tensor, -1), background));
    const ranked = tf.where(tf.cast(positive, 'bool'), tf.fill([batch, boxes], NEVER), loss);
    const { indices } = tf.topk(ranked, most);
    const rows = tf.tensor2d(
      Int32Array.from({ length: batch }, (_, i) => i * boxes),
      [batch, 1],
      'int32',
    );
    const taken = Float32Array.from({ length: batch * most }, (_, i) =>
      i % most < (wanted[Math.floor(i / most)] as number) ? 1 : 0,
    );
    const flat = tf.scatterND(tf.reshape(tf.add(indices, rows), [batch * most, 1]), tf.tensor1d(taken), [
      batch * boxes,
    ]);
    return {
      value: tf.reshape(flat, [batch, boxes]),
      gradFunc: () => tf.zeros([batch, boxes, classes]),
    };
  });
  return choose(logits) as tf.Tensor2D;
}

/** The two terms of the loss, each divided by the batch's matches. */
export interface MultiboxLoss {
  readonly localisation: tf.Scalar;
  readonly confidence: tf.Scalar;
}

/**
 * SSD's loss (eq. 1 with alpha = 1), in its two terms: smooth L1 between the offsets at matched boxes, and the cross-entropy at matched boxes
 * and hard negatives, both divided by the number of matched boxes in the batch; 0 where there is none.
 */
export function multiboxLoss(predictions: Predictions, targets: TargetBatch): MultiboxLoss {
  const { offsets, logits } = predictions;
  const { positive, labels, matches } = targets;
  const classes = logits.shape[2];
  // With no match both sums are 0 (no positives, so no negatives either), whatever they are divided by.
  const perMatch = 1 / Math.max(1, matches);
  const distance = tf.sum(smoothL1(tf.sub(offsets, targets.offsets)), -1);
  const counted = tf.add(positive, hardNegatives(logits, targets));
  const truth = tf.cast(tf.oneHot(labels, classes), 'float32');
  const surprise = tf.neg(tf.sum(tf.mul(truth, tf.logSoftmax(logits)), -1));
  return {
    localisation: tf.mul(tf.sum(tf.mul(distance, positive)), perMatch),
    confidence: tf.mul(tf.sum(tf.mul(surprise, counted)), perMatch),
  };
}
