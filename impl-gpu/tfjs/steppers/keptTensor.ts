import * as tf from '@tensorflow/tfjs';
import { THRESHOLD } from '../../../spec/stream.ts';
import type { Position } from '../../random.ts';
import { drawKept } from '../../random.ts';
import { isFused } from '../bridges/version.ts';
import { extension } from './extensions.ts';

/**
 * Bernoulli draws of a variable as a bool tensor of its shape: true where the element's 16-bit half is below `threshold`. Drawn by
 * TensorFlow where it is the backend, elsewhere on the host and handed over.
 */
export function keptTensor(
  position: Position,
  base: number,
  like: Pick<tf.Tensor, 'shape' | 'size'>,
  threshold: number,
): tf.Tensor {
  const { shape, size } = like;
  if (tf.getBackend() === 'tensorflow' && size > 0 && threshold < THRESHOLD.scale && isFused()) {
    const drawn = extension('tensorflow')?.keptTensor(position, base, like, threshold);
    if (drawn !== undefined) return drawn;
  }
  return tf.tensor(drawKept(position, base, size, threshold), shape, 'bool');
}
