/** What a step is taken by, and what comparators do in it. */
import type * as tf from '@tensorflow/tfjs';
import type { RuleName } from '../../spec/rules.ts';
import type { Mask } from '../engines/plan.ts';
import type { HyperValues } from '../validate.ts';
import type { Slot } from './binding.ts';
import type { Exchange } from './exchange.ts';
import type { GradientOptions } from './gradientOptions.ts';
import type { Groups, ParameterGroup } from './groups.ts';
import type { Stepper } from './steppers/stepper.ts';
import type { ResolvedTrained } from './trainedKeepProbability.ts';

/** A group's hyper-parameters, and the same without the L2 that has been added already. */
export interface GroupHyper {
  readonly whole: HyperValues;
  readonly undecayed: HyperValues;
}

/** How a step is to be taken: the optimizer's settings of this moment. */
export interface StepSettings {
  readonly rule: RuleName;
  readonly seed: bigint;
  /** From 1. */
  readonly step: number;
  readonly keepProbability: number;
  /** Another kind of mask than learning rate dropout's. */
  readonly mask: Mask | undefined;
  readonly gradientOptions: GradientOptions;
  readonly groups: Groups;
  /** The same objects for all variables of a group, so that the planner computes a group's scalars once. */
  readonly hyperOf: (group: ParameterGroup | undefined) => GroupHyper;
  readonly trained: ResolvedTrained | undefined;
  /** Whether the stepper's kernels run `sgdm-avg`; operations of tfjs do otherwise. */
  readonly stepsAverage: boolean;
  /** The stepper of the present backend. */
  readonly stepper: () => Stepper;
  /** With other processes; undefined for one alone. */
  readonly exchange: Exchange | undefined;
}

/** The pattern that Sparse Gradients holds: its share, and the step that drew it. */
export interface SparsePattern {
  readonly extent: number;
  readonly step: number;
}

/** What goes on from step to step beside the variables' own state. */
export interface StepMemory {
  readonly sparse: SparsePattern;
  /** Each scope's trained p. */
  readonly trainedValues: readonly number[];
}

/** One variable with its gradient. */
export interface GradientEntry {
  readonly variable: tf.Variable;
  readonly gradient: tf.Tensor;
  /** Global index of its first element. */
  readonly base: number;
}

/** What the comparators do in one step. */
export interface Turn {
  /** What the next step needs. */
  readonly memory: StepMemory;
  /** Whether the engine steps all of a variable, because the whole update must be known before the mask is laid on. */
  stepsAll(slot: Slot): boolean;
  /** Whether coupled L2 is added to a variable's gradient here, before the mean is taken, instead of in the engine. */
  addsDecay(slot: Slot): boolean;
  /** What becomes of the gradients once they are clipped. `null` stays. @param decayOf - of a variable's coupled L2, by its index */
  transform(entries: readonly (GradientEntry | null)[], decayOf: (index: number) => number): (tf.Tensor | null)[];
  /**
   * What is left to do for a variable behind the engine's step, where a mask has to see the whole move first. Made before the step, because
   * it holds the old values; dropped elements get their bits back.
   */
  overlay(slot: Slot, entry: GradientEntry): () => void;
}
