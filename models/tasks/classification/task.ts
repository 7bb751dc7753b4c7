import * as tf from '@tensorflow/tfjs';
import { crossEntropyTraining, noisyLabels as disturb } from 'learning-rate-dropout';
import { sizeOf } from 'learning-rate-dropout/internal';
import type { ImageSet, Split } from '../../data/dataSet.ts';
import type { Net } from '../../nets/net.ts';
import type { Batch } from './batches.ts';
import { testBatches, trainingBatches } from './batches.ts';
import type { ClassificationSums } from '../metrics.ts';
import { RunningMean, classificationSums, countTop5 } from '../metrics.ts';
import type { Part } from '../part.ts';
import { WHOLE } from '../part.ts';
import type { SplitMetrics, Task, Updater } from '../task.ts';
import { attend } from '../attend.ts';
import { testBoth } from '../task.ts';

/** Images of a test batch: a thousand small ones, else a hundred, so that activations stay within memory. */
function testBatchSize(set: ImageSet): number {
  return sizeOf(set.shape) <= 1024 ? 1000 : 100;
}

function toTensor(batch: Batch, set: ImageSet): tf.Tensor4D {
  return tf.tensor4d(batch.inputs, [batch.count, ...set.shape]);
}

/** A network, what it learns, and what moves it. */
interface StepOptions {
  /** The network that is trained. */
  readonly net: Net;
  /** The data. */
  readonly set: ImageSet;
  /** What its gradients go to. */
  readonly optimizer: Updater;
}

/** One optimizer step. Returns the logits that the step was computed from; the caller disposes them. */
function trainStep({ net, set, optimizer }: StepOptions, batch: Batch, step: number): tf.Tensor2D {
  const variables = net.parameters.map(({ variable }) => variable);
  let logits: tf.Tensor2D | undefined;
  tf.tidy(() => {
    const inputs = toTensor(batch, set);
    const labels = tf.tensor1d(batch.labels, 'int32');
    const { grads } = tf.variableGrads(() => {
      logits = tf.keep(net.forward(inputs, { training: true, step, rows: batch.rows }));
      return crossEntropyTraining(logits, labels);
    }, variables);
    optimizer.applyGradients(grads);
  });
  return logits as tf.Tensor2D;
}

async function readLogits(logits: tf.Tensor2D): Promise<Float32Array> {
  const values = (await logits.data()) as Float32Array;
  logits.dispose();
  return values;
}

/** One optimizer step on a batch, the run's `step`th, and the sums of what the network said before it; none of its rows may be here. */
export async function trainBatch(
  options: StepOptions & { readonly part?: Part },
  batch: Batch,
  step: number,
): Promise<ClassificationSums> {
  const { part = WHOLE, optimizer } = options;
  part.weigh(batch.count / batch.rows.all);
  if (batch.count === 0) {
    optimizer.applyGradients({});
    return { count: 0, loss: 0, correct: 0 };
  }
  const logits = await readLogits(trainStep(options, batch, step));
  return classificationSums(logits, batch.labels, options.set.classes.length);
}

/** What a test measured. */
export interface TestResult {
  /** Mean cross-entropy, in nats. */
  readonly loss: number;
  /** Percent. */
  readonly accuracy: number;
  /** Percent with the label among the five largest logits; for a hundred classes and more. */
  readonly top5?: number;
}

/** Loss and accuracy on the test set, or on another split of the set, in evaluation mode. */
export async function evaluate(
  net: Net,
  set: ImageSet,
  part: Part = WHOLE,
  split: Split = set.test,
  signal?: AbortSignal,
): Promise<TestResult> {
  const classes = set.classes.length;
  const own = new RunningMean();
  let hits = 0;
  for await (const batch of testBatches(set, split, testBatchSize(set), part)) {
    const logits = tf.tidy(() => net.forward(toTensor(batch, set), { training: false, step: 0 }));
    const values = await readLogits(logits);
    own.add(classificationSums(values, batch.labels, classes));
    if (classes >= 100) hits += countTop5(values, batch.labels, classes);
    await attend(signal);
  }
  const sums = Float64Array.of(own.sums.count, own.sums.loss, own.sums.correct, hits);
  part.sum(sums);
  const [count, loss, correct, top5] = sums as unknown as readonly [number, number, number, number];
  return {
    loss: loss / count,
    accuracy: (100 * correct) / count,
    ...(classes >= 100 ? { top5: (100 * top5) / count } : {}),
  };
}

/** What a classification task is made of. */
export interface ClassificationOptions extends StepOptions {
  /** Decides the noisy labels. */
  readonly seed: bigint;
  /** The probability that a training label is one of the others (NL); losses and accuracies of training are of these labels. */
  readonly noisyLabels?: number;
  /** Of a process that trains together with others. Default: everything. */
  readonly part?: Part;
}

/** Training and testing a network on images with one label each. */
export function classification(options: ClassificationOptions): Task<Batch> {
  const { net, set, seed, noisyLabels: rate, part = WHOLE } = options;
  const disturbed = (batch: Batch, step: number): Batch =>
    rate === undefined
      ? batch
      : {
          ...batch,
          labels: disturb(batch.labels, { seed, step, first: batch.rows.first, classes: set.classes.length, rate }),
        };
  const measure = async (split: Split, signal?: AbortSignal): Promise<SplitMetrics> => {
    const { loss, accuracy, top5 } = await evaluate(net, set, part, split, signal);
    return { testLoss: loss, testAccuracy: accuracy, ...(top5 === undefined ? {} : { top5 }) };
  };
  return {
    examples: set.train.count,
    batches: (request) => trainingBatches(set, request.batchSize, request.seed, request.epoch, request.first, part),
    step: (batch, step) => trainBatch(options, disturbed(batch, step), step),
    evaluate: (signal) => testBoth(set.test, set.validation, measure, signal),
  };
}
