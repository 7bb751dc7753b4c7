import * as tf from '@tensorflow/tfjs';

interface EngineInternals {
  readonly state: { readonly tensorInfo: WeakMap<object, { readonly backend: tf.KernelBackend }> };
  moveData(backend: tf.KernelBackend, dataId: object): void;
}

/**
 * Makes sure that a tensor's data is on the current backend, as tfjs itself does before it runs a kernel: a variable that
 * was made before `setBackend` still lives on the old one.
 */
export function bringHome(tensor: tf.Tensor): void {
  const engine = tf.engine() as unknown as EngineInternals;
  const backend = tf.backend();
  if (engine.state.tensorInfo.get(tensor.dataId)?.backend !== backend) engine.moveData(backend, tensor.dataId);
}
