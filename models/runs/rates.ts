import type { LrdOptimizer } from 'learning-rate-dropout';
import type { RunConfig } from './runFolder.ts';
import type { ScheduleTarget } from '../trainer/schedules/schedule.ts';
import { compileSchedules } from '../trainer/schedules/schedule.ts';

/** What of a run's configuration says how its values go. */
type Rated = Pick<RunConfig, 'schedules' | 'hyper' | 'learningRate' | 'keepProbability' | 'epochs'>;

/**
 * What sets an optimizer's scheduled values ahead of each step (counted from 1), as a function of the step alone. Throws a
 * `UsageError` when a schedule leaves its target's range.
 */
export function followSchedules(
  optimizer: LrdOptimizer,
  { schedules = {}, hyper, learningRate, keepProbability, epochs }: Rated,
  stepsPerEpoch: number,
): (step: number) => void {
  const bases = {
    learningRate,
    keepProbability,
    weightDecay: hyper['weightDecay'] as number,
    sparsity: (hyper['sparsity'] as number | undefined) ?? 0,
  };
  const rates = Object.entries(compileSchedules(schedules, bases, { epochs, stepsPerEpoch })) as [
    ScheduleTarget,
    (step: number) => number,
  ][];
  return (step) => {
    for (const [target, rate] of rates) {
      const value = rate(step);
      // Setting a value makes the optimizer forget what it has prepared: only where it changes.
      if (optimizer[target] !== value) optimizer[target] = value;
    }
  };
}
