import * as tf from '@tensorflow/tfjs';
import type { Check, GradientOptions } from './gradientOptions.ts';
import { choose } from './steppers/keptTensor.ts';

const above0: Check = { text: 'must be above 0', holds: (x) => typeof x === 'number' && x > 0 };

/** Of the options of clipping. */
export const CHECKS: Readonly<Record<string, Check>> = {
  clipValue: above0,
  clipNorm: above0,
  clipGlobalNorm: above0,
};

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

/** Gradients after clipping: by element, then by variable, then over all. `null` stays. */
export function clipGradients(
  { clipValue, clipNorm, clipGlobalNorm }: GradientOptions,
  gradients: readonly (tf.Tensor | null)[],
): readonly (tf.Tensor | null)[] {
  let clipped = gradients;
  if (clipValue !== undefined) clipped = clipped.map((gradient) => gradient && clipElements(gradient, clipValue));
  if (clipNorm !== undefined) clipped = clipped.flatMap((gradient) => clipToNorm([gradient], clipNorm));
  return clipGlobalNorm === undefined ? clipped : clipToNorm(clipped, clipGlobalNorm);
}
