import { Type } from '@sinclair/typebox';
import type { Read } from '../storage/form.ts';
import { FROM_0, PROBABILITY, form, wholeFrom } from '../storage/form.ts';

/** JSON has no word for a loss that is not finite: it is written as null, and read as NaN. */
const loss = Type.Unsafe<number>(Type.Union([Type.Number(), Type.Null()]));
const percent = Type.Number({ minimum: 0, maximum: 100 });

/** An epoch's metrics, as `metrics.jsonl` and results hold them. */
export const METRICS = Type.Object({
  epoch: wholeFrom(1),
  /** Optimizer steps of the run by the epoch's end. Absent where they were not kept. */
  step: Type.Optional(wholeFrom(1)),
  /** Sample-weighted running mean over the epoch, in training mode. */
  trainLoss: loss,
  trainAccuracy: percent,
  testLoss: loss,
  testAccuracy: percent,
  /** As the two above, on the training examples that were held out, where some were. */
  validationLoss: Type.Optional(loss),
  validationAccuracy: Type.Optional(percent),
  /** Percent with the label among the five most probable; for a hundred classes and more. */
  top5: Type.Optional(percent),
  /** Of segmentation: mean of the classes' intersection over union, and the share of pixels classified right, in percent. */
  meanIoU: Type.Optional(percent),
  pixelAccuracy: Type.Optional(percent),
  /** Of detection: mean average precision at IoU .5 in percent, with VOC 2007's eleven points, and as the area below the curve. */
  mAP: Type.Optional(percent),
  mAPArea: Type.Optional(percent),
  seconds: FROM_0,
  /** Of these, seconds in which the training step waited for its batch. */
  inputSeconds: FROM_0,
  learningRate: FROM_0,
  keepProbability: PROBABILITY,
  weightDecay: FROM_0,
  /** Where Sparse Gradients has a share. */
  sparsity: Type.Optional(FROM_0),
  /**
   * Of a mask that scales by the alignment of momentum and gradient: what masked parameters' steps were multiplied by on average, dropped ones
   * included; p times the alignment, weighted by the tensors' sizes.
   */
  meanFactor: Type.Optional(FROM_0),
});

/** A line of `metrics.jsonl`: accuracies in percent, losses in nats a sample, seconds of training alone. */
export type EpochMetrics = Read<typeof METRICS>;

/** What a line of `metrics.jsonl` is checked against. */
export const EPOCH_METRICS = form("an epoch's metrics", METRICS);
