import * as tf from '@tensorflow/tfjs';
import type { Position } from '../random.ts';
import { drawKept, keyOf } from '../random.ts';
import { TYPES, tensorflow } from './bridges/tensorflow.ts';
import { MaskSource } from './steppers/tensorflowMasks.ts';

/**
 * Bernoulli draws of a variable as a bool tensor of its shape: true where the element's 16-bit half is below `threshold`. Drawn by
 * TensorFlow where it is the backend, elsewhere on the host and handed over.
 */
export function keptTensor(
  position: Position,
  base: number,
  { shape, size }: Pick<tf.Tensor, 'shape' | 'size'>,
  threshold: number,
): tf.Tensor {
  if (tf.getBackend() !== 'tensorflow' || size === 0 || threshold > 0xffff) {
    return tf.tensor(drawKept(position, base, size, threshold), shape, 'bool');
  }
  const below = tensorflow();
  const bool = [below.attribute.type('T', TYPES.bool)];
  const { seed, stream, step } = position;
  let kept: tf.Tensor | undefined;
  new MaskSource(below).each({ key: keyOf(seed), stream, step }, [{ base, size, shape, threshold }], (_, mask) => {
    kept = below.adopt(shape, 'bool', below.run('Identity', bool, mask));
  });
  return kept as tf.Tensor;
}
