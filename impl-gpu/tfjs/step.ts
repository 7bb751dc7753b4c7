/** One optimizer step: what happens to the gradients, the engine's pass, and the masks that are laid on afterwards. */
import * as tf from '@tensorflow/tfjs';
import { RULES } from '../../spec/rules.ts';
import type { RuleName } from '../../spec/rules.ts';
import { THRESHOLD } from '../../spec/stream.ts';
import type { Mask } from '../engines/plan.ts';
import { planStep, thresholdOf } from '../engines/plan.ts';
import { keyOf } from '../random.ts';
import { sizeOf } from '../shape.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type { Binding, Slot } from './binding.ts';
import type { Exchange, StepInput } from './exchange.ts';
import { UPDATE } from './binding.ts';
import type { DrawContext, GradientEntry, GradientOptions } from './gradients.ts';
import { centralizes, sparseMask, transformGradients, transformsGradients } from './gradients.ts';
import type { Groups, ParameterGroup } from './groups.ts';
import { choose, keptTensor } from './steppers/keptTensor.ts';
import { averageStep } from './steppers/average.ts';
import type { AverageEntry } from './steppers/average.ts';
import type { Stepper } from './steppers/stepper.ts';
import type { ResolvedTrained } from './trainedKeepProbability.ts';
import { moveKeepProbability } from './trainedKeepProbability.ts';

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

/** What a saved optimizer gives as its memory. Throws `InvalidArgumentError`. */
export function checkMemory(value: unknown): StepMemory {
  const { sparse, trainedValues } = (value ?? {}) as Partial<StepMemory>;
  const { extent, step } = sparse ?? {};
  const inUnit = (x: unknown): boolean => typeof x === 'number' && x >= 0 && x <= 1;
  if (!inUnit(extent) || !Number.isSafeInteger(step) || (step as number) < 0) {
    throw new InvalidArgumentError(
      `sparsePattern must have an extent in [0, 1] and a step of at least 0, got ${JSON.stringify(sparse)}`,
    );
  }
  if (!Array.isArray(trainedValues) || !trainedValues.every(inUnit)) {
    throw new InvalidArgumentError(
      `trainedValues must be a list of numbers in [0, 1], got ${JSON.stringify(trainedValues)}`,
    );
  }
  return { sparse: sparse as SparsePattern, trainedValues };
}

/** Which trained p a variable follows; undefined for none. */
function scopeOf({ trained, groups }: StepSettings, group: ParameterGroup | undefined): number | undefined {
  if (trained === undefined || group?.excluded === true || group?.keepProbability !== undefined) return undefined;
  if (trained.scope === 'global') return 0;
  return group === undefined ? groups.list.length : groups.list.indexOf(group);
}

/** Every trained p after this gradient: moved by -alpha <g_next, deltaW> over its variables, deltaW of the step before. */
function moveTrained(
  settings: StepSettings,
  values: readonly number[],
  slots: readonly Slot[],
  gradients: ReadonlyMap<string, tf.Tensor | null>,
): readonly number[] {
  const { trained, groups } = settings;
  if (trained === undefined) return values;
  if (tf.getBackend() === 'webgpu') {
    throw new UnsupportedError('a trained keep probability needs synchronous reads, which the webgpu backend lacks');
  }
  const estimates = values.map(() => 0);
  for (const { name, label, state } of slots) {
    const gradient = gradients.get(name) ?? null;
    const scope = scopeOf(settings, groups.of(label));
    const update = state?.[UPDATE];
    if (gradient === null || scope === undefined || update === undefined) continue;
    const product = tf.tidy(() => tf.sum(tf.mul(gradient, update)).dataSync()[0] as number);
    estimates[scope] = (estimates[scope] as number) - product;
  }
  return values.map((p, scope) => moveKeepProbability(trained, p, estimates[scope] as number));
}

/**
 * What is left to do for a variable behind the engine's step, where a mask has to see the whole move first: a trained p's,
 * and Sparse Gradients on updates. Made before the step, because it holds the old values; dropped elements get their bits back.
 */
function overlay(
  settings: StepSettings,
  slot: Slot,
  entry: GradientEntry,
  context: DrawContext,
  trainedValues: readonly number[],
): () => void {
  const { gradientOptions, groups } = settings;
  const { variable, base } = entry;
  const scope = scopeOf(settings, groups.of(slot.label));
  const masksUpdates = (gradientOptions.sparsity ?? 0) > 0 && gradientOptions.sparseReading === 'updates';
  if (scope === undefined && !masksUpdates) return () => undefined;
  const old = variable.clone();
  const select = (kept: tf.Tensor): void => variable.assign(choose(kept, variable, old));
  return () => {
    if (scope !== undefined) {
      slot.state?.[UPDATE]?.assign(tf.sub(old, variable));
      const threshold = thresholdOf(trainedValues[scope] as number);
      if (threshold < THRESHOLD.scale) {
        const { seed, step } = context;
        select(keptTensor({ seed, stream: 'mask', step }, base, variable, threshold));
      }
    }
    if (masksUpdates) select(sparseMask(gradientOptions, context, entry));
  };
}

/** Takes one step on the variables and their state. Returns what the next one needs; counts have moved on. */
export function takeStep(settings: StepSettings, memory: StepMemory, binding: Binding, input: StepInput): StepMemory {
  const { rule, seed, step, groups, gradientOptions: options, hyperOf, exchange } = settings;
  const { slots } = binding;
  const { gradients: entries, variables } = exchange === undefined ? input : exchange.meet(step, slots, input);
  const share = options.sparsity ?? 0;
  const sparse = share === memory.sparse.extent ? memory.sparse : { extent: share, step };
  const context: DrawContext = { seed, step, sparseStep: sparse.step };
  const hypers = slots.map(({ label }) => hyperOf(groups.of(label)));
  const coupled = RULES[rule].decay === 'coupled';
  const trainedValues = moveTrained(settings, memory.trainedValues, slots, entries);
  const planned = slots.map(({ label, shape }, index) => {
    const group = groups.of(label);
    const { whole, undecayed } = hypers[index] as GroupHyper;
    const fixed = group?.excluded === true ? 1 : (group?.keepProbability ?? settings.keepProbability);
    return {
      hyper: coupled && centralizes(options, shape) ? undecayed : whole,
      // With a trained p the engine steps everything, and the mask is laid on afterwards: the whole update must be known.
      keepProbability: scopeOf(settings, group) === undefined ? fixed : 1,
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
    const raw = slots.map(({ name, base }): GradientEntry | null => {
      const gradient = entries.get(name) ?? null;
      if (gradient === null) return null;
      // A gradient may be a variable itself, which moves before another one's step has read it: a clone keeps the old values.
      const still = gradient instanceof tf.Variable ? gradient.clone() : gradient;
      return { variable: variables.get(name) as tf.Variable, gradient: still, base };
    });
    const decayOf = (index: number): number => (coupled ? (hypers[index]?.whole['weightDecay'] as number) : 0);
    const gradients = transformsGradients(options)
      ? transformGradients(options, context, raw, decayOf)
      : raw.map((entry) => entry?.gradient ?? null);
    const overlays = raw.map((entry, index) =>
      entry === null ? undefined : overlay(settings, slots[index] as Slot, entry, context, trainedValues),
    );
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
      const present = stepped
        .filter((entry) => entry !== null)
        .map((entry) => ({ ...entry, ring: entry.state['ring'] as tf.Variable }) as AverageEntry);
      if (exchange?.kept === undefined) averageStep(seed, step, present);
      else exchange.kept.average(seed, step, present);
    } else if (exchange?.kept !== undefined) {
      exchange.kept.step(plan, stepped);
    } else {
      settings.stepper().step(plan, stepped, binding.extent);
    }
    for (const [index, { state, shape }] of slots.entries()) {
      const layOver = overlays[index];
      if (layOver === undefined) state?.[UPDATE]?.assign(tf.zeros([...shape]));
      else layOver();
    }
  });
  for (const slot of slots) if ((entries.get(slot.name) ?? null) !== null) slot.count += 1;
  return { sparse, trainedValues };
}
