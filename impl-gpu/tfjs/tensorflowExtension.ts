import { keyOf } from '../random.ts';
import { TYPES, tensorflow } from './bridges/tensorflow.ts';
import { extend } from './steppers/extensions.ts';
import { tensorflowStepper } from './steppers/tensorflow.ts';
import { MaskSource } from './steppers/tensorflowMasks.ts';
import type * as tf from '@tensorflow/tfjs';

/** Lets optimizers step by TensorFlow's own operations where `tensorflow` is tfjs's backend. Loads nothing of TensorFlow. */
export function extendByTensorflow(): void {
  extend('tensorflow', {
    stepper: () => tensorflowStepper(),
    keptTensor: ({ seed, stream, step }, base, { shape, size }, threshold) => {
      const below = tensorflow();
      const bool = [below.attribute.type('T', TYPES.bool)];
      let kept: tf.Tensor | undefined;
      new MaskSource(below).each({ key: keyOf(seed), stream, step }, [{ base, size, shape, threshold }], (_, mask) => {
        kept = below.adopt(shape, 'bool', below.run('Identity', bool, mask));
      });
      return kept as tf.Tensor;
    },
  });
}
