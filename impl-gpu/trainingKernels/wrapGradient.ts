import * as tf from '@tensorflow/tfjs';

/** Puts a gradient around the one that is registered for a kernel, which it may leave calls to. The same tensors are saved for it. */
export function wrapGradient(kernelName: string, around: (stock: tf.GradFunc) => tf.GradFunc): void {
  const registered = tf.getGradient(kernelName);
  tf.unregisterGradient(kernelName);
  tf.registerGradient({ ...registered, gradFunc: around(registered.gradFunc) });
}
