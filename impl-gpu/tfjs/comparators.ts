/**
 * The papers' comparators, and a keep probability that is trained. Between clipping and the moments a gradient meets, in this order, dropout
 * on gradients, gradient noise, Sparse Gradients, coupled L2 and gradient centralization; Sparse Gradients on updates and a trained p come
 * behind the engine's step.
 */
import * as tf from '@tensorflow/tfjs';
import { THRESHOLD } from '../../spec/stream.ts';
import { thresholdOf } from '../engines/plan.ts';
import { drawNormals } from '../random.ts';
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type { Slot } from './binding.ts';
import { UPDATE } from './binding.ts';
import type { Check, GradientOptions } from './gradientOptions.ts';
import type { ParameterGroup } from './groups.ts';
import type { GradientEntry, SparsePattern, StepMemory, StepSettings, Turn } from './stepSettings.ts';
import { choose, keptTensor } from './steppers/keptTensor.ts';
import { moveKeepProbability } from './trainedKeepProbability.ts';

const atLeast0: Check = {
  text: 'must be a finite number of at least 0',
  holds: (x) => typeof x === 'number' && x >= 0 && x < Infinity,
};

/** Of the comparators' options. */
export const CHECKS: Readonly<Record<string, Check>> = {
  gradientKeepProbability: {
    text: 'must be in [2^-16, 1]',
    holds: (x) => typeof x === 'number' && x >= 2 ** -16 && x <= 1,
  },
  noiseEta: atLeast0,
  noiseGamma: atLeast0,
  sparsity: {
    text: 'must be in [0, 1 - 2^-16]',
    holds: (x) => typeof x === 'number' && x >= 0 && x <= 1 - 2 ** -16,
  },
  sparseReading: { text: 'must be one of gradients, updates', holds: (x) => x === 'gradients' || x === 'updates' },
  centralize: { text: 'must be true or false', holds: (x) => typeof x === 'boolean' },
};

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

/** Where a draw stands in the streams. */
interface DrawContext {
  readonly seed: bigint;
  /** The optimizer's step, from 1. */
  readonly step: number;
  /** The step whose pattern Sparse Gradients holds. */
  readonly sparseStep: number;
}

/** A variable and the global index of its first element. */
type Place = Pick<GradientEntry, 'variable' | 'base'>;

function keptMask(
  stream: 'gradientDropout' | 'sparseGradients',
  step: number,
  seed: bigint,
  p: number,
  { variable, base }: Place,
): tf.Tensor {
  return keptTensor({ seed, stream, step }, base, variable, thresholdOf(p));
}

/** The elements that Sparse Gradients lets through, as a bool tensor. */
function sparseMask(options: GradientOptions, { seed, sparseStep }: DrawContext, entry: Place): tf.Tensor {
  return keptMask('sparseGradients', sparseStep, seed, 1 - (options.sparsity ?? 0), entry);
}

/** Whether coupled L2 has to be added here, before the mean is taken, instead of in the engine. */
function centralizes(options: GradientOptions, shape: readonly number[]): boolean {
  return options.centralize === true && shape.length >= 2;
}

/** Gradients on their way to the moments, inside the caller's `tidy`. `null` stays. */
function transformGradients(
  options: GradientOptions,
  context: DrawContext,
  entries: readonly (GradientEntry | null)[],
  coupledDecay: (index: number) => number,
): (tf.Tensor | null)[] {
  const { gradientKeepProbability, noiseEta, noiseGamma = 0.55, sparsity = 0 } = options;
  const { seed, step } = context;
  let gradients = entries.map((entry) => entry?.gradient ?? null);
  const each = (change: (gradient: tf.Tensor, entry: GradientEntry, index: number) => tf.Tensor): void => {
    gradients = gradients.map((gradient, index) => {
      const entry = entries[index];
      return gradient === null || entry === null || entry === undefined ? null : change(gradient, entry, index);
    });
  };
  if (gradientKeepProbability !== undefined && gradientKeepProbability < 1) {
    each((gradient, entry) =>
      choose(keptMask('gradientDropout', step, seed, gradientKeepProbability, entry), gradient, tf.zerosLike(gradient)),
    );
  }
  if (noiseEta !== undefined) {
    const sigma = Math.sqrt(noiseEta / step ** noiseGamma);
    each((gradient, { variable, base }) => {
      const noise = drawNormals({ seed, stream: 'gradientNoise', step }, base, variable.size);
      return tf.add(
        gradient,
        tf.tensor(
          Float32Array.from(noise, (z) => sigma * z),
          variable.shape,
        ),
      );
    });
  }
  if (sparsity > 0 && options.sparseReading !== 'updates') {
    each((gradient, entry) => choose(sparseMask(options, context, entry), gradient, tf.zerosLike(gradient)));
  }
  each((gradient, { variable }, index) => {
    // The webgpu backend has no sum of nothing.
    if (!centralizes(options, variable.shape) || variable.size === 0) return gradient;
    const decay = coupledDecay(index);
    const whole = decay > 0 ? tf.add(gradient, tf.mul(variable, decay)) : gradient;
    const axes = Array.from({ length: whole.rank - 1 }, (_, axis) => axis);
    const rows = axes.reduce((product, axis) => product * (whole.shape[axis] as number), 1);
    // Divided before they are added: a sum of large gradients would overflow where their mean does not.
    return tf.sub(whole, tf.sum(tf.div(whole, rows), axes, true));
  });
  return gradients;
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

/** Begins a step: every trained p has moved, and the pattern of Sparse Gradients is that of its share. */
export function beginTurn(
  settings: StepSettings,
  before: StepMemory,
  slots: readonly Slot[],
  gradients: ReadonlyMap<string, tf.Tensor | null>,
): Turn {
  const { seed, step, gradientOptions: options, groups } = settings;
  const extent = options.sparsity ?? 0;
  const sparse = extent === before.sparse.extent ? before.sparse : { extent, step };
  const context: DrawContext = { seed, step, sparseStep: sparse.step };
  const trainedValues = moveTrained(settings, before.trainedValues, slots, gradients);
  const scopeOfSlot = ({ label }: Slot): number | undefined => scopeOf(settings, groups.of(label));
  return {
    memory: { sparse, trainedValues },
    stepsAll: (slot) => scopeOfSlot(slot) !== undefined,
    addsDecay: ({ shape }) => centralizes(options, shape),
    transform: (entries, decayOf) => transformGradients(options, context, entries, decayOf),
    overlay: (slot, { variable, base }) => {
      const scope = scopeOfSlot(slot);
      const masksUpdates = extent > 0 && options.sparseReading === 'updates';
      if (scope === undefined && !masksUpdates) return () => undefined;
      const old = variable.clone();
      const select = (kept: tf.Tensor): void => variable.assign(choose(kept, variable, old));
      return () => {
        if (scope !== undefined) {
          slot.state?.[UPDATE]?.assign(tf.sub(old, variable));
          const threshold = thresholdOf(trainedValues[scope] as number);
          if (threshold < THRESHOLD.scale) {
            select(keptTensor({ seed, stream: 'mask', step }, base, variable, threshold));
          }
        }
        if (masksUpdates) select(sparseMask(options, context, { variable, base }));
      };
    },
  };
}
