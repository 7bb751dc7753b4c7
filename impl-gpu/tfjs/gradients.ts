/**
 * What may happen to a gradient before the moments see it, in the order of the specification: accumulation, clipping, then the
 * papers' comparators (dropout on gradients, gradient noise, Sparse Gradients), coupled L2, gradient centralization.
 */
import * as tf from '@tensorflow/tfjs';
import { thresholdOf } from '../engines/plan.ts';
import { drawNormals } from '../random.ts';
import type { Binding } from './binding.ts';
import { choose, keptTensor } from './steppers/keptTensor.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, show } from '../validate.ts';

/** Options of every optimizer that change the gradient first. What is left out does nothing. */
export interface GradientOptions {
  /** Calls of `applyGradients` whose mean makes one optimizer step, with one mask. A whole number of at least 1; default 1. */
  readonly accumulate?: number;
  /** Every element clipped into [-clipValue, clipValue]. Above 0. */
  readonly clipValue?: number;
  /** Each variable's gradient scaled by min(1, clipNorm / norm), the norm over that variable. Above 0. */
  readonly clipNorm?: number;
  /** All gradients scaled by min(1, clipGlobalNorm / norm), the norm over all of them (Pascanu et al. 2013, Algorithm 1). Above 0. */
  readonly clipGlobalNorm?: number;
  /** Dropout on gradients: each element kept with this probability, else 0, no rescale (arXiv 1912.00144v1, section 4.6). */
  readonly gradientKeepProbability?: number;
  /** Gradient noise: g + N(0, s^2) with s^2 = noiseEta / (1 + t)^noiseGamma, t from 0 (Neelakantan et al. 2015). At least 0. */
  readonly noiseEta?: number;
  /** Default .55. At least 0. */
  readonly noiseGamma?: number;
  /**
   * Sparse Gradients: the share of elements that stand still, in [0, 1 - 2^-16]; may be set between steps. The pattern stays
   * while the share does.
   */
  readonly sparsity?: number;
  /** What the pattern masks: `gradients` before L2 and the moments (the default), or `updates` beside LRD's own mask. */
  readonly sparseReading?: 'gradients' | 'updates';
  /** Gradient centralization: minus the mean over all axes but the last, for two or more axes (Yong et al. 2020, eq. (1)). */
  readonly centralize?: boolean;
}

interface Check {
  readonly text: string;
  readonly holds: (value: unknown) => boolean;
}

const above0: Check = { text: 'must be above 0', holds: (x) => typeof x === 'number' && x > 0 };
const atLeast0: Check = {
  text: 'must be a finite number of at least 0',
  holds: (x) => typeof x === 'number' && x >= 0 && x < Infinity,
};

const CHECKS: Readonly<Record<keyof GradientOptions, Check>> = {
  accumulate: { text: 'must be a whole number of at least 1', holds: (x) => Number.isInteger(x) && (x as number) >= 1 },
  clipValue: above0,
  clipNorm: above0,
  clipGlobalNorm: above0,
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

/** The names of `GradientOptions`. */
export const GRADIENT_OPTIONS = Object.keys(CHECKS) as (keyof GradientOptions)[];

/** Checks those that are given. Throws `InvalidArgumentError` naming option, value and rule. */
export function checkGradientOptions(options: GradientOptions): GradientOptions {
  const given = GRADIENT_OPTIONS.filter((name) => options[name] !== undefined);
  for (const name of given) {
    const value = options[name];
    if (!CHECKS[name].holds(value)) {
      throw new InvalidArgumentError(`${name} ${CHECKS[name].text}, got ${show(value)}`);
    }
  }
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

/** Where a draw stands in the streams. */
export interface DrawContext {
  readonly seed: bigint;
  /** The optimizer's step, from 1. */
  readonly step: number;
  /** The step whose pattern Sparse Gradients holds. */
  readonly sparseStep: number;
}

/** One variable with its gradient, as the transformations see it. */
export interface GradientEntry {
  readonly variable: tf.Variable;
  readonly gradient: tf.Tensor;
  /** Global index of its first element. */
  readonly base: number;
}

function keptMask(
  stream: 'gradientDropout' | 'sparseGradients',
  step: number,
  seed: bigint,
  p: number,
  entry: GradientEntry,
): tf.Tensor {
  return keptTensor({ seed, stream, step }, entry.base, entry.variable, thresholdOf(p));
}

/** The elements that Sparse Gradients lets through, as a bool tensor. */
export function sparseMask(
  options: GradientOptions,
  { seed, sparseStep }: DrawContext,
  entry: GradientEntry,
): tf.Tensor {
  return keptMask('sparseGradients', sparseStep, seed, 1 - (options.sparsity ?? 0), entry);
}

/** Whether anything but accumulation is to be done. */
export function transformsGradients(options: GradientOptions): boolean {
  return GRADIENT_OPTIONS.some((name) => name !== 'accumulate' && name !== 'noiseGamma' && options[name] !== undefined);
}

/** Whether coupled L2 has to be added here, before the mean is taken, instead of in the engine. */
export function centralizes(options: GradientOptions, shape: readonly number[]): boolean {
  return options.centralize === true && shape.length >= 2;
}

/** Elements clipped into [-limit, limit]. Not a number stays so: no comparison holds of it, on any backend. */
function clipElements(gradient: tf.Tensor, limit: number): tf.Tensor {
  const below = choose(tf.less(gradient, -limit), tf.fill(gradient.shape, -limit), gradient);
  return choose(tf.greater(gradient, limit), tf.fill(gradient.shape, limit), below);
}

/**
 * Gradients scaled by min(1, limit / norm), the norm over all of them. Within the limit they keep their bits; with a NaN among them all become
 * NaN, and with an infinity the finite ones 0 and that NaN, as g limit / norm gives them.
 *
 * Backends differ in what their operations make of NaN and infinities, so none of these enters one: they are selected out before and laid on
 * afterwards. Squares are of elements over the largest, so that they neither overflow nor underflow.
 */
function clipToNorm(gradients: readonly (tf.Tensor | null)[], limit: number): (tf.Tensor | null)[] {
  const flat = gradients.map((gradient) =>
    gradient === null || gradient.size === 0 ? null : tf.reshape(gradient, [-1]),
  );
  const present = flat.filter((gradient) => gradient !== null);
  if (present.length === 0) return [...gradients];
  const largest = (flags: readonly tf.Tensor[]): tf.Tensor => tf.max(tf.stack(flags.map((flag) => tf.max(flag))));
  const any = (test: (gradient: tf.Tensor) => tf.Tensor): tf.Tensor =>
    tf.greater(largest(present.map((gradient) => tf.cast(test(gradient), 'float32'))), 0);
  const finite = present.map((gradient) => tf.where(tf.isFinite(gradient), tf.abs(gradient), tf.zerosLike(gradient)));
  const top = largest(finite);
  const scale = tf.where(tf.greater(top, 0), top, tf.onesLike(top));
  const root = tf.sqrt(tf.addN(finite.map((size) => tf.sum(tf.square(tf.div(size, scale))))));
  const within = tf.lessEqual(root, tf.div(limit, scale));
  // The largest counts 1 in the root, unless all are 0.
  const share = tf.div(limit, tf.maximum(root, tf.onesLike(root)));
  const factor = tf.div(share, scale);
  // A factor that float32 does not hold is taken in two, of which the first alone would lose small elements beside large ones.
  const atOnce = tf.greater(factor, 1e-37);
  const hasNaN = any(tf.isNaN);
  const hasInfinity = limit < Infinity ? any(tf.isInf) : tf.scalar(false, 'bool');
  return flat.map((gradient, index) => {
    const whole = gradients[index] as tf.Tensor | null;
    if (gradient === null || whole === null) return whole;
    const nan = tf.fill(gradient.shape, NaN);
    const parted = tf.mul(tf.div(gradient, scale), share);
    const scaled = tf.where(within, gradient, tf.where(atOnce, tf.mul(gradient, factor), parted));
    const beside = tf.where(tf.isFinite(gradient), tf.mul(gradient, 0), nan);
    return tf.reshape(tf.where(hasNaN, nan, tf.where(hasInfinity, beside, scaled)), whole.shape);
  });
}

/** All of it but accumulation, inside the caller's `tidy`. `null` entries stay. */
export function transformGradients(
  options: GradientOptions,
  context: DrawContext,
  entries: readonly (GradientEntry | null)[],
  coupledDecay: (index: number) => number,
): (tf.Tensor | null)[] {
  const {
    clipValue,
    clipNorm,
    clipGlobalNorm,
    gradientKeepProbability,
    noiseEta,
    noiseGamma = 0.55,
    sparsity = 0,
  } = options;
  const { seed, step } = context;
  let gradients = entries.map((entry) => entry?.gradient ?? null);
  const each = (change: (gradient: tf.Tensor, entry: GradientEntry, index: number) => tf.Tensor): void => {
    gradients = gradients.map((gradient, index) => {
      const entry = entries[index];
      return gradient === null || entry === null || entry === undefined ? null : change(gradient, entry, index);
    });
  };
  if (clipValue !== undefined) each((gradient) => clipElements(gradient, clipValue));
  if (clipNorm !== undefined) gradients = gradients.flatMap((gradient) => clipToNorm([gradient], clipNorm));
  if (clipGlobalNorm !== undefined) gradients = clipToNorm(gradients, clipGlobalNorm);
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
    if (!centralizes(options, variable.shape)) return gradient;
    const decay = coupledDecay(index);
    const whole = decay > 0 ? tf.add(gradient, tf.mul(variable, decay)) : gradient;
    const axes = Array.from({ length: whole.rank - 1 }, (_, axis) => axis);
    const rows = axes.reduce((product, axis) => product * (whole.shape[axis] as number), 1);
    // Divided before they are added: a sum of large gradients would overflow where their mean does not.
    return tf.sub(whole, tf.sum(tf.div(whole, rows), axes, true));
  });
  return gradients;
}

/** Adds gradients to what their variables have pending. */
export function addPending(binding: Binding, gradients: ReadonlyMap<string, tf.Tensor | null>): void {
  for (const [name, gradient] of gradients) {
    const slot = binding.find(name);
    if (gradient === null || slot === undefined) continue;
    const { pending } = slot;
    tf.tidy(() => {
      if (pending === undefined) slot.pending = tf.variable(gradient.clone(), false);
      else pending.assign(tf.add(pending, gradient));
    });
  }
}

/** The means of what is pending over the calls, in the caller's `tidy`. Without a gradient in any call: absent. */
export function meansOfPending(binding: Binding, calls: number): Map<string, tf.Tensor> {
  return new Map(
    binding.slots.flatMap(({ name, pending }) =>
      pending === undefined ? [] : [[name, tf.div(pending, calls)] as const],
    ),
  );
}

/** Forgets what is pending. */
export function clearPending(binding: Binding): void {
  for (const slot of binding.slots) {
    slot.pending?.dispose();
    slot.pending = undefined;
  }
}

/** A slot's hyper-parameters without the L2 that has been added already. */
export function withoutDecay(hyper: HyperValues): HyperValues {
  return { ...hyper, weightDecay: 0 };
}
