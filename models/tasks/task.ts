import type * as tf from '@tensorflow/tfjs';
import type { ClassificationSums } from './metrics.ts';

/** What training needs of an optimizer: any `tf.Optimizer` has it. */
export interface Updater {
  /** Takes a step with these gradients, by the names of variables. */
  applyGradients(gradients: tf.NamedTensorMap): void;
}

/** Which batches of which epoch. They are a function of the data, the batch size, the seed and the epoch alone. */
export interface BatchRequest {
  /** Examples in a batch; the last of an epoch may have fewer. */
  readonly batchSize: number;
  /** Of order and augmentation. */
  readonly seed: bigint;
  /** Counted from 1. */
  readonly epoch: number;
  /** The first batch wanted, counted from 0: a resumed epoch leaves out those that were done. */
  readonly first: number;
}

/** What a test measured. */
export interface TestMetrics {
  /** Mean over the test examples, in nats. */
  readonly testLoss: number;
  /** Percent, as all that follow: of images, of pixels, or of the default boxes that stand for an object. */
  readonly testAccuracy: number;
  /** With the label among the five largest logits; for a hundred classes and more. */
  readonly top5?: number;
  /** Mean of the classes' intersection over union. */
  readonly meanIoU?: number;
  /** Percent of the pixels. */
  readonly pixelAccuracy?: number;
  /** Mean average precision at IoU .5, VOC 2007's way with eleven points. */
  readonly mAP?: number;
  /** The same as the area below the curve, VOC's way since 2010. */
  readonly mAPArea?: number;
  /** As `testLoss`, over the training examples that were held out, where some were. */
  readonly validationLoss?: number;
  /** As `testAccuracy`, over those. */
  readonly validationAccuracy?: number;
}

/** What a test measures on one split. */
export type SplitMetrics = Omit<TestMetrics, 'validationLoss' | 'validationAccuracy'>;

/** Tests on the test set, and where examples were held out on those. */
export async function testBoth<S>(
  test: S,
  validation: S | undefined,
  measure: (split: S, signal: AbortSignal | undefined) => Promise<SplitMetrics>,
  signal: AbortSignal | undefined,
): Promise<TestMetrics> {
  const tested = await measure(test, signal);
  if (validation === undefined) return tested;
  const { testLoss: validationLoss, testAccuracy: validationAccuracy } = await measure(validation, signal);
  return { ...tested, validationLoss, validationAccuracy };
}

/** What is learned: where its batches come from, what a step does with one, what a test measures. */
export interface Task<B> {
  /** Training examples of an epoch. */
  readonly examples: number;
  /** The batches of an epoch, in an order that seed and epoch decide. */
  batches(request: BatchRequest): AsyncGenerator<B, void, undefined>;
  /** One optimizer step on a batch, the run's `step`th (from 1), and the sums of what the network said before it. */
  step(batch: B, step: number): Promise<ClassificationSums>;
  /** In evaluation mode. Throws the signal's reason where it is aborted meanwhile; a task that does not look is waited for. */
  evaluate(signal?: AbortSignal): Promise<TestMetrics>;
}
