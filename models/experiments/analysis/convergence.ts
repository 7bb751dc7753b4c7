import type { EpochMetrics } from '../../trainer/train.ts';
import type { Metric } from '../experiment.ts';
import { METRICS } from '../experiment.ts';

/** An epoch's value. A metric that the run does not have is NaN. */
export function valueOf(line: EpochMetrics, metric: Metric): number {
  if (metric === 'testError') return 100 - line.testAccuracy;
  return (line as unknown as Record<string, number | undefined>)[metric] ?? NaN;
}

/** When a level was first reached: at the end of which epoch, after how many steps and seconds of training. */
export interface Crossing {
  readonly epoch: number;
  readonly steps: number;
  readonly seconds: number;
}

/** Undefined: not within the run. That is an observation too (the crossing lies behind the last epoch), not a gap. */
export function crossing(
  metrics: readonly EpochMetrics[],
  metric: Metric,
  level: number,
  stepsPerEpoch: number,
): Crossing | undefined {
  const { rising } = METRICS[metric];
  const reached = metrics.findIndex((line) =>
    rising ? valueOf(line, metric) >= level : valueOf(line, metric) <= level,
  );
  if (reached < 0) return undefined;
  const epoch = metrics[reached]?.epoch as number;
  const seconds = metrics.slice(0, reached + 1).reduce((sum, line) => sum + line.seconds, 0);
  return { epoch, steps: epoch * stepsPerEpoch, seconds };
}

/**
 * Area under the curve of the training loss, an epoch wide each: the sum over the epochs of their mean losses, in nats times epochs. It
 * depends on no level that somebody chose.
 */
export function lossArea(metrics: readonly EpochMetrics[]): number {
  return metrics.reduce((sum, { trainLoss }) => sum + trainLoss, 0);
}

/** The best epoch by a metric: the first of equals. Undefined without epochs. */
export function bestEpoch(metrics: readonly EpochMetrics[], metric: Metric): EpochMetrics | undefined {
  const sign = METRICS[metric].rising ? 1 : -1;
  return metrics.reduce<EpochMetrics | undefined>(
    (best, line) => (best === undefined || sign * (valueOf(line, metric) - valueOf(best, metric)) > 0 ? line : best),
    undefined,
  );
}
