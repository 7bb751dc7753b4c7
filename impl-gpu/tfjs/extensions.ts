/**
 * What of the optimizers not every bundle carries: schedules (`useSchedules`), clipping (`useClipping`) and comparators (`useComparators`). All
 * come with the package's entry for Node; `import { adam }` for a browser leaves them out.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Slot } from './binding.ts';
import type { Check, GradientOptions } from './gradientOptions.ts';
import type { Schedule } from './schedules.ts';
import type { StepMemory, StepSettings, Turn } from './stepSettings.ts';
import { createRegistry } from './steppers/registry.ts';
import type { ResolvedTrained, TrainedKeepProbability } from './trainedKeepProbability.ts';

/** What can be registered. */
interface Extensions {
  readonly schedules: {
    readonly checkSchedule: (name: string, given: object, check: (value: unknown) => void) => Schedule;
    readonly valueAt: (schedule: Schedule, step: number) => number;
  };
  readonly clipping: {
    /** Of its options, by name. */
    readonly checks: Readonly<Record<string, Check>>;
    readonly clipGradients: (
      options: GradientOptions,
      gradients: readonly (tf.Tensor | null)[],
    ) => readonly (tf.Tensor | null)[];
  };
  /** The papers' comparators, and a trained keep probability. */
  readonly comparators: {
    /** Of their options, by name. */
    readonly checks: Readonly<Record<string, Check>>;
    readonly checkMemory: (value: unknown) => StepMemory;
    readonly resolveTrained: (options: TrainedKeepProbability, initial: unknown) => ResolvedTrained;
    readonly beginTurn: (
      settings: StepSettings,
      before: StepMemory,
      slots: readonly Slot[],
      gradients: ReadonlyMap<string, tf.Tensor | null>,
    ) => Turn;
  };
}

export const { extend, extension, needed } = createRegistry<Extensions>({
  schedules: 'useSchedules()',
  clipping: 'useClipping()',
  comparators: 'useComparators()',
});
