/** One optimizer step: what happens to the gradients, the engine's pass, and what comparators do before and after. */
import * as tf from '@tensorflow/tfjs';
import { RULES } from '../../spec/rules.ts';
import type { RuleName } from '../../spec/rules.ts';
import type { Mask } from '../engines/plan.ts';
import { planStep } from '../engines/plan.ts';
import { keyOf } from '../random.ts';
import { sizeOf } from '../shape.ts';
import type { HyperValues } from '../validate.ts';
import type { Binding, Slot } from './binding.ts';
import type { Exchange, StepInput } from './exchange.ts';
import { UPDATE } from './binding.ts';
import { clipGradients } from './clipping.ts';
import type { GradientOptions } from './gradientOptions.ts';
import type { Groups, ParameterGroup } from './groups.ts';
import type { AverageEntry } from './steppers/average.ts';
import { extension } from './steppers/extensions.ts';
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

/** Takes one step on the variables and their state. Returns what the next one needs; counts have moved on. */
export function takeStep(settings: StepSettings, memory: StepMemory, binding: Binding, input: StepInput): StepMemory {
  const { rule, seed, step, groups, gradientOptions: options, hyperOf, exchange } = settings;
  const { slots } = binding;
  const { gradients: entries, variables } = exchange === undefined ? input : exchange.meet(step, slots, input);
  const turn = extension('comparators')?.beginTurn(settings, memory, slots, entries);
  const hypers = slots.map(({ label }) => hyperOf(groups.of(label)));
  const coupled = RULES[rule].decay === 'coupled';
  const planned = slots.map((slot, index) => {
    const group = groups.of(slot.label);
    const { whole, undecayed } = hypers[index] as GroupHyper;
    const fixed = group?.excluded === true ? 1 : (group?.keepProbability ?? settings.keepProbability);
    return {
      hyper: coupled && turn?.addsDecay(slot) === true ? undecayed : whole,
      keepProbability: turn?.stepsAll(slot) === true ? 1 : fixed,
      mask: group?.excluded === true ? undefined : settings.mask,
    };
  });
  const request = {
    key: keyOf(seed),
    step,
    tensors: slots.map(({ name, base, shape, count }, index) => ({
      base,
      size: sizeOf(shape),
      count: (entries.get(name) ?? null) === null ? 0 : count + 1,
      ...(planned[index] as (typeof planned)[number]),
    })),
  };
  const plan = rule === 'sgdm-avg' ? undefined : planStep({ rule, ...request });
  tf.tidy(() => {
    const present = slots.map(({ name, base }): GradientEntry | null => {
      const gradient = entries.get(name) ?? null;
      if (gradient === null) return null;
      // A gradient may be a variable itself, which moves before another one's step has read it: a clone keeps the old values.
      const still = gradient instanceof tf.Variable ? gradient.clone() : gradient;
      return { variable: variables.get(name) as tf.Variable, gradient: still, base };
    });
    const clipped = clipGradients(
      options,
      present.map((entry) => entry?.gradient ?? null),
    );
    const raw = present.map((entry, index) => entry && { ...entry, gradient: clipped[index] as tf.Tensor });
    const decayOf = (index: number): number => (coupled ? (hypers[index]?.whole['weightDecay'] as number) : 0);
    const gradients = turn?.transform(raw, decayOf) ?? clipped;
    const overlays = raw.map((entry, index) => entry && turn?.overlay(slots[index] as Slot, entry));
    const stepped = slots.map((slot, index) => {
      const entry = raw[index] ?? null;
      if (entry === null) return null;
      const { variable } = entry;
      const { base, count } = slot;
      const { [UPDATE]: _, ...state } = binding.stateOf(slot);
      return { variable, gradient: gradients[index] as tf.Tensor, state, base, count: count + 1, ...planned[index] };
    });
    if (plan === undefined && settings.stepsAverage) {
      settings.stepper().average?.(request, stepped);
    } else if (plan === undefined) {
      const averaged = stepped
        .filter((entry) => entry !== null)
        .map((entry) => ({ ...entry, ring: entry.state['ring'] as tf.Variable }) as AverageEntry);
      if (exchange?.kept === undefined) extension('average')?.averageStep(seed, step, averaged);
      else exchange.kept.average(seed, step, averaged);
    } else if (exchange?.kept !== undefined) {
      exchange.kept.step(plan, stepped);
    } else {
      settings.stepper().step(plan, stepped, binding.extent);
    }
    for (const [index, { state, shape }] of slots.entries()) {
      if (raw[index] === null) state?.[UPDATE]?.assign(tf.zeros([...shape]));
      else overlays[index]?.();
    }
  });
  for (const slot of slots) if ((entries.get(slot.name) ?? null) !== null) slot.count += 1;
  return turn?.memory ?? memory;
}
