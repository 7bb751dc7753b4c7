import { effectiveKeepProbability, streamMask } from '../masks.ts';
import type { StreamPosition } from '../stream.ts';

/**
 * Standard dropout (SD) of a layer's activations in training, inverted: kept ones are divided by the probability that holds.
 * Evaluation leaves activations as they are.
 *
 * @param retain - probability of keeping a unit; the papers' .9
 * Source: Srivastava et al. 2014, section 10 ("inverted").
 */
export function standardDropout(
  activations: Float64Array,
  position: Omit<StreamPosition, 'stream'>,
  retain = 0.9,
): Float64Array {
  const mask = streamMask({ ...position, stream: 'standardDropout' }, activations.length, retain);
  const scale = 1 / effectiveKeepProbability(retain);
  return activations.map((a, i) => (mask[i] === 1 ? a * scale : 0));
}
