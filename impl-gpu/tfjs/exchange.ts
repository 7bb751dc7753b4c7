import type * as tf from '@tensorflow/tfjs';
import type { StepPlan } from '../engines/engine.ts';
import type { Slot } from './binding.ts';
import type { AverageEntry, StepEntry } from './steppers/stepper.ts';

/** The gradients of a step by their variables' names, null where there is none, and the variables. All have been checked. */
export interface StepInput {
  readonly gradients: ReadonlyMap<string, tf.Tensor | null>;
  readonly variables: ReadonlyMap<string, tf.Variable>;
}

/** The part of a step that processes which train one model do together (`distributed`). */
export interface Exchange {
  /** Before anything happens to the gradients, inside the caller's `tidy`: what the step takes in place of this process's own. */
  meet(step: number, slots: readonly Slot[], input: StepInput): StepInput;
  /** In place of the stepper, where gradients stay local and only kept coordinates of the step direction travel. */
  readonly kept?: {
    step(plan: StepPlan, entries: readonly (StepEntry | null)[]): void;
    average(seed: bigint, step: number, entries: readonly AverageEntry[]): void;
  };
  /** Frees what it holds for the steps; it can be used again. */
  dispose(): void;
}
