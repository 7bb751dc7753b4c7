import * as tf from '@tensorflow/tfjs';
import type { ImageSet } from '../data/dataSet.ts';
import { JobError } from '../errors.ts';
import type { Net } from '../nets/net.ts';
import type { Batch } from './batches.ts';
import { testBatches, trainingBatches } from './batches.ts';
import type { ClassificationSums } from './metrics.ts';
import { RunningMean, classificationSums } from './metrics.ts';
import type { Progress } from './progress.ts';
import type { EpochMetrics } from './runFolder.ts';

/** What training needs of an optimizer: any `tf.Optimizer` has it. */
export interface Updater {
  applyGradients(gradients: tf.NamedTensorMap): void;
}

export interface TrainOptions {
  readonly label: string;
  readonly net: Net;
  readonly set: ImageSet;
  readonly optimizer: Updater;
  readonly batchSize: number;
  readonly epochs: number;
  readonly seed: bigint;
  /** Written into each epoch's metrics. */
  readonly rates: () => { learningRate: number; keepProbability: number; weightDecay: number };
  readonly progress: Progress;
  readonly onEpoch: (metrics: EpochMetrics) => void | Promise<void>;
}

const TEST_BATCH = 1000;

function toTensor(batch: Batch, set: ImageSet): tf.Tensor4D {
  return tf.tensor4d(batch.inputs, [batch.count, ...set.shape]);
}

/** Mean softmax cross-entropy over a batch, from logits and a one-hot matrix. */
function crossEntropy(logits: tf.Tensor2D, target: tf.Tensor2D): tf.Scalar {
  const total = tf.sum(tf.mul(target, tf.logSoftmax(logits)));
  return tf.div(tf.neg(total), logits.shape[0]) as tf.Scalar;
}

type StepOptions = Pick<TrainOptions, 'net' | 'set' | 'optimizer'>;

/** One optimizer step. Returns the logits that the step was computed from; the caller disposes them. */
function trainStep({ net, set, optimizer }: StepOptions, batch: Batch): tf.Tensor2D {
  const variables = net.parameters.map(({ variable }) => variable);
  let logits: tf.Tensor2D | undefined;
  tf.tidy(() => {
    const inputs = toTensor(batch, set);
    const target = tf.oneHot(tf.tensor1d(batch.labels, 'int32'), set.classes.length).toFloat() as tf.Tensor2D;
    const { grads } = tf.variableGrads(() => {
      logits = tf.keep(net.forward(inputs, true));
      return crossEntropy(logits, target);
    }, variables);
    optimizer.applyGradients(grads);
  });
  return logits as tf.Tensor2D;
}

async function readSums(logits: tf.Tensor2D, batch: Batch, classes: number): Promise<ClassificationSums> {
  const values = (await logits.data()) as Float32Array;
  logits.dispose();
  return classificationSums(values, batch.labels, classes);
}

/** One optimizer step on a batch, and the sums of what the network said before it. */
export function trainBatch(options: StepOptions, batch: Batch): Promise<ClassificationSums> {
  return readSums(trainStep(options, batch), batch, options.set.classes.length);
}

/** Loss and accuracy on the test set, in evaluation mode. */
export async function evaluate(net: Net, set: ImageSet): Promise<{ loss: number; accuracy: number }> {
  const mean = new RunningMean();
  for (const batch of testBatches(set, TEST_BATCH)) {
    const logits = tf.tidy(() => net.forward(toTensor(batch, set), false));
    mean.add(await readSums(logits, batch, set.classes.length));
  }
  return { loss: mean.loss, accuracy: mean.accuracy };
}

/**
 * Trains for the given number of epochs. Each epoch's metrics go to `onEpoch` as soon as they exist, so nothing is lost when a
 * later step fails. Throws a `JobError` naming the step when the loss is no longer finite.
 */
export async function train(options: TrainOptions): Promise<EpochMetrics[]> {
  const { label, net, set, batchSize, epochs, seed, progress } = options;
  const stepsPerEpoch = Math.ceil(set.train.count / batchSize);
  const history: EpochMetrics[] = [];
  let trained = 0;
  let trainingSeconds = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const mean = new RunningMean();
    const start = performance.now();
    let step = (epoch - 1) * stepsPerEpoch;
    const settle = async (pending: Promise<ClassificationSums>, number: number): Promise<void> => {
      mean.add(await pending);
      if (!Number.isFinite(mean.loss)) {
        throw new JobError(
          `training stopped: the loss at step ${number} (epoch ${epoch}) is ${mean.loss}, no longer finite; ` +
            `${history.length} epochs are kept. A smaller learning rate may help`,
        );
      }
      const seconds = trainingSeconds + (performance.now() - start) / 1000;
      const rate = (trained + mean.count) / seconds;
      const samplesLeft = (epochs - epoch + 1) * set.train.count - mean.count;
      progress.step({
        label,
        epoch,
        epochs,
        samplesDone: mean.count,
        samplesTotal: set.train.count,
        loss: mean.loss,
        accuracy: mean.accuracy,
        rate,
        secondsLeft: seconds > 1 ? samplesLeft / rate : undefined,
      });
    };
    // The result of a step is awaited while the next one is under way, so that a GPU never waits for the host.
    let pending: Promise<void> = Promise.resolve();
    for (const batch of trainingBatches(set, batchSize, seed, epoch)) {
      step += 1;
      const sums = trainBatch(options, batch);
      await pending;
      pending = settle(sums, step);
    }
    await pending;
    const seconds = (performance.now() - start) / 1000;
    trainingSeconds += seconds;
    trained += set.train.count;
    const test = await evaluate(net, set);
    const metrics: EpochMetrics = {
      epoch,
      trainLoss: mean.loss,
      trainAccuracy: mean.accuracy,
      testLoss: test.loss,
      testAccuracy: test.accuracy,
      seconds,
      ...options.rates(),
    };
    history.push(metrics);
    await options.onEpoch(metrics);
    progress.line(
      `${label}: epoch ${epoch}/${epochs}  train loss ${mean.loss.toFixed(4)}  train accuracy ${mean.accuracy.toFixed(2)} %  ` +
        `test accuracy ${test.accuracy.toFixed(2)} %  ${seconds.toFixed(1)} s`,
    );
  }
  return history;
}
