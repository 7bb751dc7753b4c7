import * as tf from '@tensorflow/tfjs';

/** The one version of tfjs whose internals the bridges were written against and tested with. */
export const TFJS_VERSION = '4.22.0';

/** Refuses another tfjs: its internals may have moved, and writing in place on a guess corrupts training silently. */
export function requireTfjsVersion(found: string = tf.version_core): void {
  if (found !== TFJS_VERSION) {
    throw new Error(`@tensorflow/tfjs must be exactly ${TFJS_VERSION} for the fused engines, got ${found}`);
  }
}
