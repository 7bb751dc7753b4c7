import type * as tf from '@tensorflow/tfjs';

/** Where a backend's tensors lie, for loops in JavaScript. */
export interface Memory {
  /**
   * Makes a float32 tensor of that shape and calls `loop` with its elements and those of float32 inputs, as flat arrays. The new elements may hold
   * anything before. The arrays may not be kept.
   */
  readonly compute: (
    shape: readonly number[],
    inputs: readonly tf.TensorInfo[],
    loop: (out: Float32Array, ...inputs: Float32Array[]) => void,
  ) => tf.TensorInfo;
}
