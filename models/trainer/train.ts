import * as tf from '@tensorflow/tfjs';
import { noisyLabels } from '../../impl-gpu/tfjs/index.ts';
import { sizeOf } from '../../impl-gpu/shape.ts';
import type { ImageSet } from '../data/dataSet.ts';
import { JobError } from '../errors.ts';
import type { Net } from '../nets/net.ts';
import type { Batch } from './batches.ts';
import { testBatches, timed, trainingBatches } from './batches.ts';
import type { TrainingPosition } from './checkpoint.ts';
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
  readonly rates: () => { learningRate: number; keepProbability: number; weightDecay: number; sparsity?: number };
  /** Called ahead of each optimizer step, counted from 1 over the whole run: schedules set their values here. */
  readonly beforeStep?: (step: number) => void;
  /** The probability that a training label is one of the others (NL); losses and accuracies of training are of these labels. */
  readonly noisyLabels?: number;
  readonly progress: Progress;
  readonly onEpoch: (metrics: EpochMetrics) => void | Promise<void>;
  /** Where to go on; the network and the optimizer have been restored already. Default: the beginning. */
  readonly from?: TrainingPosition;
  /** Called at the end of each epoch, and within one when `checkpointSeconds` have passed since the last call. */
  readonly onCheckpoint?: (position: TrainingPosition) => Promise<void>;
  /** Default 60. */
  readonly checkpointSeconds?: number;
  /** Aborted: training stops after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
}

const BEGINNING: TrainingPosition = {
  epoch: 1,
  batch: 0,
  sums: { count: 0, loss: 0, correct: 0 },
  epochSeconds: 0,
  secondsBefore: 0,
};

/** Images of a test batch: a thousand small ones, else a hundred, so that activations stay within memory. */
function testBatchSize(set: ImageSet): number {
  return sizeOf(set.shape) <= 1024 ? 1000 : 100;
}

/** Milliseconds between two returns to the event loop: a backend that answers at once would never let a signal in. */
const YIELD_EVERY = 50;

function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}

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
function trainStep({ net, set, optimizer }: StepOptions, batch: Batch, step: number): tf.Tensor2D {
  const variables = net.parameters.map(({ variable }) => variable);
  let logits: tf.Tensor2D | undefined;
  tf.tidy(() => {
    const inputs = toTensor(batch, set);
    const target = tf.oneHot(tf.tensor1d(batch.labels, 'int32'), set.classes.length).toFloat() as tf.Tensor2D;
    const { grads } = tf.variableGrads(() => {
      logits = tf.keep(net.forward(inputs, { training: true, step }));
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

/** One optimizer step on a batch, the run's `step`th, and the sums of what the network said before it. */
export function trainBatch(options: StepOptions, batch: Batch, step: number): Promise<ClassificationSums> {
  return readSums(trainStep(options, batch, step), batch, options.set.classes.length);
}

/** The batch with the labels that it is trained with at this step. */
function disturbLabels({ noisyLabels: rate, seed, set }: TrainOptions, batch: Batch, step: number): Batch {
  if (rate === undefined) return batch;
  return { ...batch, labels: noisyLabels(batch.labels, { seed, step, classes: set.classes.length, rate }) };
}

/** Loss and accuracy on the test set, in evaluation mode. */
export async function evaluate(net: Net, set: ImageSet): Promise<{ loss: number; accuracy: number }> {
  const mean = new RunningMean();
  for await (const batch of testBatches(set, testBatchSize(set))) {
    const logits = tf.tidy(() => net.forward(toTensor(batch, set), { training: false, step: 0 }));
    mean.add(await readSums(logits, batch, set.classes.length));
  }
  return { loss: mean.loss, accuracy: mean.accuracy };
}

/**
 * Trains for the given number of epochs. Each epoch's metrics go to `onEpoch` as soon as they exist, so nothing is lost when a
 * later step fails. Throws a `JobError` naming the step when the loss is no longer finite.
 */
export async function train(options: TrainOptions): Promise<EpochMetrics[]> {
  const { label, net, set, batchSize, epochs, seed, progress, from = BEGINNING, checkpointSeconds = 60 } = options;
  const stepsPerEpoch = Math.ceil(set.train.count / batchSize);
  const history: EpochMetrics[] = [];
  const started = performance.now();
  const doneBefore = (from.epoch - 1) * set.train.count + from.sums.count;
  let lastCheckpoint = started;
  let lastYield = started;
  let { secondsBefore } = from;
  for (let { epoch } = from; epoch <= epochs; epoch++) {
    const resumed = epoch === from.epoch ? from : { ...BEGINNING, epoch };
    const mean = new RunningMean();
    mean.add(resumed.sums);
    const start = performance.now() - resumed.epochSeconds * 1000;
    const seconds = (): number => (performance.now() - start) / 1000;
    let batches = resumed.batch;
    let inputSeconds = resumed.inputSeconds ?? 0;
    const checkpoint = async (position: Pick<TrainingPosition, 'epoch' | 'batch'>): Promise<void> => {
      lastCheckpoint = performance.now();
      const within = position.batch > 0;
      await options.onCheckpoint?.({
        ...position,
        sums: within ? mean.sums : BEGINNING.sums,
        epochSeconds: within ? seconds() : 0,
        inputSeconds: within ? inputSeconds : 0,
        secondsBefore: within ? secondsBefore : secondsBefore + seconds(),
      });
    };
    const settle = async (pending: Promise<ClassificationSums>, number: number): Promise<void> => {
      mean.add(await pending);
      if (!Number.isFinite(mean.loss)) {
        throw new JobError(
          `training stopped: the loss at step ${number} (epoch ${epoch}) is ${mean.loss}, no longer finite; ` +
            `${epoch - 1} epochs are kept. A smaller learning rate may help`,
        );
      }
      const done = (epoch - 1) * set.train.count + mean.count - doneBefore;
      const elapsed = (performance.now() - started) / 1000;
      const rate = done / elapsed;
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
        inputShare: inputSeconds / seconds(),
        secondsLeft: elapsed > 1 ? samplesLeft / rate : undefined,
      });
    };
    // The result of a step is awaited while the next one is under way, so that a GPU never waits for the host.
    let pending: Promise<void> = Promise.resolve();
    const source = trainingBatches(set, batchSize, seed, epoch, resumed.batch);
    for await (const batch of timed(source, (waited) => (inputSeconds += waited))) {
      batches += 1;
      const step = (epoch - 1) * stepsPerEpoch + batches;
      options.beforeStep?.(step);
      const sums = trainBatch(options, disturbLabels(options, batch, step), step);
      await pending;
      pending = settle(sums, step);
      if (performance.now() - lastYield > YIELD_EVERY) {
        await pending;
        pending = Promise.resolve();
        await nextTask();
        lastYield = performance.now();
      }
      const stopping = options.signal?.aborted === true;
      if (stopping || (performance.now() - lastCheckpoint) / 1000 >= checkpointSeconds) {
        await pending;
        pending = Promise.resolve();
        if (batches < stepsPerEpoch) await checkpoint({ epoch, batch: batches });
        if (stopping && batches < stepsPerEpoch) throw new StoppedError(epoch, batches);
      }
    }
    await pending;
    const epochSeconds = seconds();
    const test = await evaluate(net, set);
    const metrics: EpochMetrics = {
      epoch,
      trainLoss: mean.loss,
      trainAccuracy: mean.accuracy,
      testLoss: test.loss,
      testAccuracy: test.accuracy,
      seconds: epochSeconds,
      inputSeconds,
      ...options.rates(),
    };
    history.push(metrics);
    await options.onEpoch(metrics);
    await checkpoint({ epoch: epoch + 1, batch: 0 });
    secondsBefore += epochSeconds;
    progress.line(
      `${label}: epoch ${epoch}/${epochs}  train loss ${mean.loss.toFixed(4)}  train accuracy ${mean.accuracy.toFixed(2)} %  ` +
        `test accuracy ${test.accuracy.toFixed(2)} %  ${epochSeconds.toFixed(1)} s (input ${((100 * inputSeconds) / epochSeconds).toFixed(1)} %)`,
    );
    if (options.signal?.aborted === true && epoch < epochs) throw new StoppedError(epoch + 1, 0);
  }
  return history;
}

/** Training was asked to stop, and did so behind a checkpoint. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';

  constructor(epoch: number, batch: number) {
    super(`stopped in epoch ${epoch} after ${batch} batches`);
  }
}
