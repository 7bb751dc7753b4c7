import type * as tf from '@tensorflow/tfjs';
import type { StepPlan } from '../../engines/engine.ts';
import type { AverageRequest } from '../../gpujs/index.ts';
import type { HyperValues } from '../../validate.ts';

/** What one variable brings to a step. */
export interface StepEntry {
  readonly variable: tf.Variable;
  readonly gradient: tf.Tensor;
  /** By the names of `spec/rules.ts`; variables of the optimizer's own. */
  readonly state: Readonly<Record<string, tf.Variable>>;
}

/** One variable's part in a step of `sgdm-avg`. */
export interface AverageEntry {
  readonly variable: tf.Variable;
  readonly gradient: tf.Tensor;
  /** [window, ...shape]: gradient t lies in row (t - 1) mod window. */
  readonly ring: tf.Variable;
  /** Gradients that the variable has had, this one included. */
  readonly count: number;
  readonly base: number;
  readonly hyper: HyperValues;
  readonly keepProbability: number;
}

/**
 * Carries a planned step out on a backend's tensors. After it the variables hold the new values under their old
 * identities; whatever shared data with one before (a clone, a reshape, an array read earlier) still holds the old ones.
 */
export interface Stepper {
  /** @param extent - elements of the whole layout, variables that stand still included */
  step(plan: StepPlan, entries: readonly (StepEntry | null)[], extent: number): void;
  /** The step of `sgdm-avg`, where kernels run it; its state is the `ring`. */
  average?(request: AverageRequest, entries: readonly (StepEntry | null)[]): void;
  /** Frees what the stepper holds; the variables stay usable. */
  dispose(): void;
}
