import { timed } from '../tasks/readAhead.ts';
import { underWatch } from './deviceWatch.ts';
import type { DeviceWatch } from './deviceWatch.ts';
import { StoppedError, diverged } from './failures.ts';
import type { ClassificationSums } from '../tasks/metrics.ts';
import { RunningMean } from '../tasks/metrics.ts';
import { silentProgress } from './progress.ts';
import type { Progress } from './progress.ts';
import type { EpochMetrics } from './epochMetrics.ts';
import type { TrainingPosition } from './position.ts';
import { RateMeter } from './rateMeter.ts';
import type { Task } from '../tasks/task.ts';

export type { EpochMetrics, TrainingPosition };
export { StoppedError };

/** An optimizer's settings at a step. */
export interface StepRates {
  /** Of the next step. */
  readonly learningRate: number;
  /** p of the next step. */
  readonly keepProbability: number;
  /** Of the next step. */
  readonly weightDecay: number;
  /** Where Sparse Gradients has a share. */
  readonly sparsity?: number;
}

/** What came of one optimizer step. */
export interface StepReport extends StepRates {
  /** From 1, over the whole run. */
  readonly step: number;
  /** Mean cross-entropy of the batch, in nats. */
  readonly loss: number;
  /** Percent of the batch that was classified right. */
  readonly accuracy: number;
  /** Undefined while unknown. */
  readonly stepsPerSecond: number | undefined;
}

/** What processes that train one network together want behind a step. */
export interface Wishes {
  /** To stop there, with a checkpoint. */
  readonly stop: boolean;
  readonly checkpoint: boolean;
}

/** Processes that train one network together, as the loop of one of them sees them. All run the same loop. */
export interface Team {
  /** Ahead of a step: what this process wants. It travels with the step. */
  wish(wishes: Wishes): void;
  /** Behind it: what any of them wanted. */
  agreed(): Wishes;
  /** Whether any of them wants to stop; asked between steps. Collective. */
  anyStops(stop: boolean): boolean;
  /** Replaces the values by their sums over the processes. Collective. */
  sum(values: Float64Array): void;
}

/** What `train` does with a task. */
export interface TrainOptions<B> {
  /** The run's name, for progress. */
  readonly label: string;
  /** What is trained. */
  readonly task: Task<B>;
  /** Examples of a step. */
  readonly batchSize: number;
  /** Of the whole training, those done before `from` included. */
  readonly epochs: number;
  /** Of order and augmentation. */
  readonly seed: bigint;
  /** As the next step will use them; written into each epoch's metrics. */
  readonly rates: () => StepRates;
  /**
   * Of a mask whose factor is measured: what the last step was multiplied by on average, dropped tensors included. Asked at every tenth step
   * and an epoch's last one; the mean of an epoch is among its metrics.
   */
  readonly meanFactor?: () => Promise<number | undefined>;
  /** Called ahead of each optimizer step, counted from 1 over the whole run: schedules set their values here. */
  readonly beforeStep?: (step: number) => void;
  /** Default: silent. */
  readonly progress?: Progress;
  /** Called at the end of each epoch with its metrics, and the number of steps that are done. */
  readonly onEpoch: (metrics: EpochMetrics, step: number) => void | Promise<void>;
  /** Called after each step, as soon as its result is there. */
  readonly onStep?: (report: StepReport) => void;
  /** Where to go on; the network and the optimizer have been restored already. Default: the beginning. */
  readonly from?: TrainingPosition;
  /**
   * Called at the end of each epoch, and within one when `checkpointSeconds` have passed since the last call, with the number of
   * steps that are done.
   */
  readonly onCheckpoint?: (position: TrainingPosition, step: number) => Promise<void>;
  /** Default 60. */
  readonly checkpointSeconds?: number;
  /** Aborted: training stops after the step under way, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** With other processes, each of which has its part of every batch. Default: alone. */
  readonly team?: Team;
}

/** Steps from one question after the mean factor to the next. */
const FACTOR_EVERY = 10;

const BEGINNING: TrainingPosition = {
  epoch: 1,
  batch: 0,
  sums: { count: 0, loss: 0, correct: 0 },
  epochSeconds: 0,
  secondsBefore: 0,
};

/** Milliseconds between two returns to the event loop: a backend that answers at once would never let a signal in. */
const YIELD_EVERY = 50;

function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}

/**
 * Trains for the given number of epochs. Each epoch's metrics go to `onEpoch` as soon as they exist, so nothing is lost when a
 * later step fails. Throws a `DivergedError` naming the step when a loss is no longer finite, a `JobError` when the device is
 * lost, and a `StoppedError` behind a checkpoint when the signal is aborted.
 */
export async function train<B>(options: TrainOptions<B>): Promise<EpochMetrics[]> {
  return underWatch((watch) => trainEpochs(options, watch));
}

async function trainEpochs<B>(options: TrainOptions<B>, watch: DeviceWatch): Promise<EpochMetrics[]> {
  const { label, task, batchSize, epochs, seed, from = BEGINNING, checkpointSeconds = 60 } = options;
  const { progress = silentProgress, team } = options;
  /** A step's sums over all processes. Nothing collective may begin until it is done. */
  const overAll = async (own: Promise<ClassificationSums>): Promise<ClassificationSums> => {
    const { count, loss, correct } = await own;
    const sums = Float64Array.of(count, loss, correct);
    team?.sum(sums);
    return { count: sums[0] as number, loss: sums[1] as number, correct: sums[2] as number };
  };
  const stepsPerEpoch = Math.ceil(task.examples / batchSize);
  const history: EpochMetrics[] = [];
  const meter = new RateMeter();
  let evaluationSeconds = 0;
  let lastCheckpoint = performance.now();
  let lastYield = lastCheckpoint;
  let { secondsBefore } = from;
  for (let { epoch } = from; epoch <= epochs; epoch++) {
    const resumed = epoch === from.epoch ? from : { ...BEGINNING, epoch };
    const mean = new RunningMean();
    mean.add(resumed.sums);
    let start = performance.now() - resumed.epochSeconds * 1000;
    const seconds = (): number => (performance.now() - start) / 1000;
    let batches = resumed.batch;
    let inputSeconds = resumed.inputSeconds ?? 0;
    let { sum: factorSum, count: factorCount } = resumed.factors ?? { sum: 0, count: 0 };
    const stepsBefore = (epoch - 1) * stepsPerEpoch;
    const checkpoint = async (position: Pick<TrainingPosition, 'epoch' | 'batch'>): Promise<void> => {
      const within = position.batch > 0;
      const began = performance.now();
      meter.pause();
      const write = options.onCheckpoint?.(
        {
          ...position,
          sums: within ? mean.sums : BEGINNING.sums,
          epochSeconds: within ? seconds() : 0,
          inputSeconds: within ? inputSeconds : 0,
          ...(within && factorCount > 0 ? { factors: { sum: factorSum, count: factorCount } } : {}),
          secondsBefore: within ? secondsBefore : secondsBefore + seconds(),
        },
        stepsBefore + batches,
      );
      if (write !== undefined) await watch.guard(write);
      meter.resume();
      lastCheckpoint = performance.now();
      // What it takes to write is not training.
      start += lastCheckpoint - began;
    };
    const settle = async (pending: Promise<ClassificationSums>, step: number, rates: StepRates): Promise<void> => {
      const sums = await watch.guard(pending);
      const loss = sums.loss / sums.count;
      if (!Number.isFinite(loss)) throw diverged('the loss', loss, step);
      mean.add(sums);
      meter.step(sums.count);
      const pace = meter.rates;
      options.onStep?.({
        step,
        loss,
        accuracy: (100 * sums.correct) / sums.count,
        ...rates,
        stepsPerSecond: pace?.stepsPerSecond,
      });
      const samplesLeft = (epochs - epoch + 1) * task.examples - mean.count;
      progress.step({
        label,
        epoch,
        epochs,
        samplesDone: mean.count,
        samplesTotal: task.examples,
        loss: mean.loss,
        accuracy: mean.accuracy,
        ...pace,
        inputShare: inputSeconds / seconds(),
        secondsLeft:
          pace === undefined
            ? undefined
            : samplesLeft / pace.samplesPerSecond + (epochs - epoch + 1) * evaluationSeconds,
      });
    };
    // The result of a step is awaited while the next one is under way, so that a GPU never waits for the host.
    let pending: Promise<void> = Promise.resolve();
    // When another one fails first, nobody may be waiting for it any more.
    const begin = (sums: Promise<ClassificationSums>, step: number, rates: StepRates): void => {
      pending = settle(sums, step, rates);
      pending.catch(() => undefined);
    };
    const settled = async (): Promise<void> => {
      await pending;
      pending = Promise.resolve();
    };
    const source = task.batches({ batchSize, seed, epoch, first: resumed.batch });
    for await (const batch of timed(source, (waited) => (inputSeconds += waited))) {
      batches += 1;
      const step = stepsBefore + batches;
      options.beforeStep?.(step);
      const rates = options.rates();
      const wishes = (): Wishes => ({
        stop: options.signal?.aborted === true,
        checkpoint: (performance.now() - lastCheckpoint) / 1000 >= checkpointSeconds,
      });
      team?.wish(wishes());
      const own = task.step(batch, step);
      const sums = team === undefined ? own : overAll(own);
      sums.catch(() => undefined);
      await pending;
      begin(sums, step, rates);
      if (options.meanFactor !== undefined && (step % FACTOR_EVERY === 0 || batches === stepsPerEpoch)) {
        await settled();
        const factor = await watch.guard(options.meanFactor());
        if (factor !== undefined) [factorSum, factorCount] = [factorSum + factor, factorCount + 1];
      }
      if (performance.now() - lastYield > YIELD_EVERY) {
        await settled();
        await nextTask();
        lastYield = performance.now();
      }
      // Processes go on together: a step's sums are exchanged before the next one begins.
      if (team !== undefined) await settled();
      const { stop: stopping, checkpoint: due } = team === undefined ? wishes() : team.agreed();
      if (stopping || due) {
        await settled();
        if (batches < stepsPerEpoch) await checkpoint({ epoch, batch: batches });
        if (stopping && batches < stepsPerEpoch) throw new StoppedError(epoch, batches);
      }
    }
    await settled();
    const epochSeconds = seconds();
    meter.pause();
    const evaluated = performance.now();
    // A test ends with the signal, and is begun anew when training goes on; processes test together, or not at all.
    const test = await watch.guard(task.evaluate(team === undefined ? options.signal : undefined)).catch((error) => {
      if (team !== undefined || options.signal?.aborted !== true || error !== options.signal.reason) throw error;
      return undefined;
    });
    const evaluationTime = performance.now() - evaluated;
    evaluationSeconds = evaluationTime / 1000;
    // Nor is testing.
    start += evaluationTime;
    if (test === undefined) {
      await checkpoint({ epoch, batch: batches });
      throw new StoppedError(epoch, batches);
    }
    if (!Number.isFinite(test.testLoss)) throw diverged('the test loss', test.testLoss, stepsBefore + batches);
    const metrics: EpochMetrics = {
      epoch,
      step: stepsBefore + batches,
      trainLoss: mean.loss,
      trainAccuracy: mean.accuracy,
      ...test,
      seconds: epochSeconds,
      inputSeconds,
      ...options.rates(),
      ...(factorCount === 0 ? {} : { meanFactor: factorSum / factorCount }),
    };
    history.push(metrics);
    await options.onEpoch(metrics, stepsBefore + batches);
    await checkpoint({ epoch: epoch + 1, batch: 0 });
    secondsBefore += epochSeconds;
    progress.line(
      `${label}: epoch ${epoch}/${epochs}  train loss ${mean.loss.toFixed(4)}  train accuracy ${mean.accuracy.toFixed(2)} %  ` +
        `test accuracy ${test.testAccuracy.toFixed(2)} %  ${epochSeconds.toFixed(1)} s (input ${((100 * inputSeconds) / epochSeconds).toFixed(1)} %)`,
    );
    const stops = options.signal?.aborted === true;
    if ((team === undefined ? stops : team.anyStops(stops)) && epoch < epochs) throw new StoppedError(epoch + 1, 0);
  }
  return history;
}
