import * as tf from '@tensorflow/tfjs';
import { THRESHOLD } from '../../../spec/stream.ts';
import { thresholdOf } from '../../engines/plan.ts';
import { choose, keptTensor } from './keptTensor.ts';
import { InvalidArgumentError, checkKeepProbability, resolveHyper } from '../../validate.ts';
import type { AverageEntry } from './stepper.ts';

/** Bytes of the rings of `window` gradients for `elements` parameters in float32. */
export function ringBytes(window: number, elements: number): number {
  return window * elements * 4;
}

/** Refuses rings that no backend of tfjs can hold in one tensor, naming what they would take. */
export function checkRing(window: number, elements: number): void {
  const bytes = ringBytes(window, elements);
  if (bytes >= 2 ** 31) {
    throw new InvalidArgumentError(
      `window must keep a variable's ring of gradients below 2 GiB, got ${window} (${bytes} bytes for ${elements} parameters)`,
    );
  }
}

/** An entry after its checks. */
export interface CheckedAverage extends AverageEntry {
  readonly threshold: number;
}

/** All entries after their checks: a wrong value leaves every variable as it was. */
export function checkAverages(entries: readonly AverageEntry[]): CheckedAverage[] {
  return entries.map((entry) => {
    const hyper = resolveHyper('sgdm-avg', entry.hyper);
    return { ...entry, hyper, threshold: thresholdOf(checkKeepProbability(entry.keepProbability)) };
  });
}

/**
 * Puts a gradient, L2 included, into the ring and gives the mean of its rows, of the variable's shape. The variable has elements: tfjs's cpu
 * backend cannot slice a ring without.
 */
export function averageDirection({ variable, ring, count, hyper }: CheckedAverage, whole: tf.Tensor): tf.Tensor {
  const window = hyper['window'] as number;
  const rows = tf.reshape(ring, [window, variable.size]);
  const at = (count - 1) % window;
  const parts = [tf.reshape(whole, [1, variable.size])];
  if (at > 0) parts.unshift(tf.slice(rows, [0, 0], [at, variable.size]));
  if (at < window - 1) parts.push(tf.slice(rows, [at + 1, 0], [window - 1 - at, variable.size]));
  const next = tf.concat(parts, 0);
  ring.assign(tf.reshape(next, ring.shape));
  return tf.reshape(tf.div(tf.sum(next, 0), window), variable.shape);
}

/**
 * SGD along the mean of the last `window` gradients, eq. (10), in operations of tfjs: a ring has no place in a fused pass.
 * Rows of steps before the first are zero. A dropped coordinate is selected, not multiplied, so it keeps its bits.
 */
export function averageStep(seed: bigint, step: number, entries: readonly AverageEntry[]): void {
  const checked = checkAverages(entries);
  tf.tidy(() => {
    for (const entry of checked) {
      const { variable, gradient, base, hyper, threshold } = entry;
      if (variable.size === 0) continue;
      const decay = hyper['weightDecay'] as number;
      const whole = decay > 0 ? tf.add(gradient, tf.mul(variable, decay)) : gradient;
      const direction = averageDirection(entry, whole);
      const moved = tf.sub(variable, tf.mul(direction, hyper['learningRate'] as number));
      if (threshold === THRESHOLD.scale) {
        variable.assign(moved);
        continue;
      }
      const kept = keptTensor({ seed, stream: 'mask', step }, base, variable, threshold);
      variable.assign(choose(kept, moved, variable));
    }
  });
}
