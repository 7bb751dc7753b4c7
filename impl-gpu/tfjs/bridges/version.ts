import * as tf from '@tensorflow/tfjs';

/** The one version of tfjs whose internals the bridges were written against and tested with. */
export const TFJS_VERSION = '4.22.0';

/** Whether the fused engines know this tfjs. */
export function isFused(found: string = tf.version_core): boolean {
  return found === TFJS_VERSION;
}

/** Refuses another tfjs: its internals may have moved, and writing in place on a guess corrupts training silently. */
export function requireTfjsVersion(found: string = tf.version_core): void {
  if (!isFused(found)) {
    throw new Error(`@tensorflow/tfjs must be exactly ${TFJS_VERSION} for the fused engines, got ${found}`);
  }
}

let warned = false;

/** Says, once a process, that steps go the longer way under another tfjs. */
export function warnOfTfjsVersion(found: string = tf.version_core): void {
  if (warned) return;
  warned = true;
  console.warn(
    `learning-rate-dropout: the fused engines need @tensorflow/tfjs ${TFJS_VERSION}, this is ${found}: variables are read, ` +
      'stepped by the engine for arrays and written back',
  );
}
