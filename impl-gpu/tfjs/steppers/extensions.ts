/**
 * What not every bundle carries. Whoever brings gpu.js (`loadGpuJs`), TensorFlow (`useTensorflow`), the kinds of mask (`useMasks`), schedules
 * (`useSchedules`), comparators (`useComparators`) or SGD along a mean of gradients (`sgdmAvg`) registers theirs here; all but gpu.js come
 * with the package's entry for Node. `import { adam }` for a browser leaves them out.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Mask } from '../../engines/plan.ts';
import type { MaskRequest } from '../../masks/resolve.ts';
import type { Position } from '../../random.ts';
import { UnsupportedError } from '../../validate.ts';
import type { Slot } from '../binding.ts';
import type { Check } from '../gradientOptions.ts';
import type { Schedule } from '../schedules.ts';
import type { StepMemory, StepSettings, Turn } from '../stepSettings.ts';
import type { ResolvedTrained, TrainedKeepProbability } from '../trainedKeepProbability.ts';
import type { AverageEntry, Stepper } from './stepper.ts';

/** What can be registered. */
export interface Extensions {
  /** gpu.js kernels, for a backend of tfjs by its name. */
  readonly gpujs: { readonly stepper: (backend: string) => Stepper };
  /** TensorFlow's operations, for the backend `tensorflow`. */
  readonly tensorflow: {
    readonly stepper: () => Stepper;
    /** Draws as `keptTensor` does. `size` is at least 1, the threshold below 65536. */
    readonly keptTensor: (
      position: Position,
      base: number,
      like: Pick<tf.Tensor, 'shape' | 'size'>,
      threshold: number,
    ) => tf.Tensor;
  };
  /** The kinds of mask beside learning rate dropout's own. */
  readonly masks: { readonly resolveMask: (request: MaskRequest) => Mask };
  readonly schedules: {
    readonly checkSchedule: (name: string, given: object, check: (value: unknown) => void) => Schedule;
    readonly valueAt: (schedule: Schedule, step: number) => number;
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
  /** `sgdm-avg` in operations of tfjs. */
  readonly average: {
    readonly averageStep: (seed: bigint, step: number, entries: readonly AverageEntry[]) => void;
    readonly checkRing: (window: number, elements: number) => void;
  };
}

/** Who brings what users ask for by an option. */
const CALLS = {
  gpujs: 'await loadGpuJs()',
  masks: 'useMasks()',
  schedules: 'useSchedules()',
  comparators: 'useComparators()',
} as const satisfies Partial<Record<keyof Extensions, string>>;

const registered: Partial<Extensions> = {};

/** Registers an extension; a second time changes nothing. */
export function extend<Name extends keyof Extensions>(name: Name, extension: Extensions[Name]): void {
  registered[name] ??= extension;
}

/** An extension, if it has been registered. */
export function extension<Name extends keyof Extensions>(name: Name): Partial<Extensions>[Name] {
  return registered[name];
}

/** An extension that somebody has asked for. Throws `UnsupportedError`, with the call that brings it, where it is not there. */
export function needed<Name extends keyof typeof CALLS>(name: Name, what: string): Extensions[Name] {
  const found = registered[name];
  if (found === undefined) throw new UnsupportedError(`${what} must be loaded before it is used: ${CALLS[name]}`);
  return found;
}
