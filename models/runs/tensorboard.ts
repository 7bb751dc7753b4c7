import type { EpochMetrics } from '../trainer/train.ts';
import type { StepReport } from '../trainer/train.ts';
import { openEvents } from '../tensorboard/writer.ts';

/** Steps between two points of a batch's curves. */
const EVERY = 50;

/** What some tasks measure beside. */
const FURTHER = ['top5', 'meanIoU', 'pixelAccuracy', 'mAP'] as const;

/** A run's curves for TensorBoard. */
export interface TensorBoardLogger {
  step(report: StepReport): void;
  epoch(metrics: EpochMetrics, step: number): void;
  close(): void;
}

/**
 * Writes every 50th step's and every epoch's last batch, with the settings that it was trained with, and the means of every epoch.
 * Each tag has a step once. `step` is the last one that was done before, 0 at a run's beginning.
 */
export function logToTensorBoard(folder: string, step: number, stepsPerEpoch: number): TensorBoardLogger {
  const events = openEvents(folder, step);
  return {
    step: (report) => {
      if (report.step % EVERY !== 0 && report.step % stepsPerEpoch !== 0) return;
      events.scalars(report.step, {
        'batch/loss': report.loss,
        'batch/accuracy': report.accuracy,
        learning_rate: report.learningRate,
        keep_probability: report.keepProbability,
        weight_decay: report.weightDecay,
        ...(report.sparsity === undefined ? {} : { sparsity: report.sparsity }),
        ...(report.stepsPerSecond === undefined ? {} : { steps_per_second: report.stepsPerSecond }),
      });
    },
    epoch: (metrics, step) => {
      events.scalars(step, {
        'train/loss': metrics.trainLoss,
        'train/accuracy': metrics.trainAccuracy,
        'test/loss': metrics.testLoss,
        'test/accuracy': metrics.testAccuracy,
        ...(metrics.validationLoss === undefined ? {} : { 'validation/loss': metrics.validationLoss }),
        ...(metrics.validationAccuracy === undefined ? {} : { 'validation/accuracy': metrics.validationAccuracy }),
        ...Object.fromEntries(
          FURTHER.flatMap((name) => {
            const value = metrics[name];
            return value === undefined ? [] : [[`test/${name}`, value]];
          }),
        ),
      });
    },
    close: () => events.close(),
  };
}
