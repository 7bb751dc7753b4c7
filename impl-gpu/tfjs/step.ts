/** One optimizer step: what happens to the gradients, the engine's pass, and what comparators do before and after. */
import * as tf from '@tensorflow/tfjs';
import { RULES } from '../../spec/rules.ts';
import { planStep } from '../engines/plan.ts';
import { keyOf } from '../random.ts';
import { sizeOf } from '../shape.ts';
import type { Binding, Slot } from './binding.ts';
import type { StepInput } from './exchange.ts';
import type { GradientEntry, GroupHyper, StepMemory, StepSettings } from './stepSettings.ts';
import type { AverageEntry } from './steppers/stepper.ts';
import { UPDATE } from './binding.ts';
import { extension } from './extensions.ts';
import { extension as stepperExtension } from './steppers/extensions.ts';

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
    const given = present.map((entry) => entry?.gradient ?? null);
    const clipped = extension('clipping')?.clipGradients(options, given) ?? given;
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
      if (exchange?.kept === undefined) stepperExtension('average')?.averageStep(seed, step, averaged);
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
