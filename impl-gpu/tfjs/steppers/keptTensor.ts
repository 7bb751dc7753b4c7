import * as tf from '@tensorflow/tfjs';
import { THRESHOLD } from '../../../spec/stream.ts';
import type { Position } from '../../random.ts';
import { drawKept } from '../../random.ts';
import { isFused } from '../bridges/version.ts';
import { extension } from './extensions.ts';

/** `tf.where` of tensors with any number of axes: tfjs's webgpu backend chooses among four at most. */
export function choose(condition: tf.Tensor, one: tf.Tensor, other: tf.Tensor): tf.Tensor {
  if (one.rank <= 4) return tf.where(condition, one, other);
  const [a, b, c] = [condition, one, other].map((x) => tf.reshape(x, [-1])) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return tf.reshape(tf.where(a, b, c), one.shape);
}

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
