import * as tf from '@tensorflow/tfjs';

/** A kernel's inputs may be records: `reshape` makes a tensor of either. Inside `tf.tidy` only. */
export function tensorOf(info: tf.TensorInfo): tf.Tensor {
  return tf.reshape(info as tf.Tensor, info.shape);
}

/** A kernel's output as a tensor that the surrounding `tf.tidy` frees. */
export function tensorOfOutput(output: tf.TensorInfo): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(output);
}
