/**
 * Pooling and resizing as products with constant matrices, one over rows and one over columns. They are then as exact as a product, and so are
 * their gradients, on every backend: tfjs 4.22 has no adaptive pooling, and its webgpu backend's gradient of `resizeBilinear` with aligned corners is 0
 * for an input of 1 x 1, which is what PSPNet's coarsest branch resizes.
 */
import * as tf from '@tensorflow/tfjs';

/** `outputs` rows of `inputs` weights. */
interface Weights {
  readonly outputs: number;
  readonly inputs: number;
  readonly values: Float32Array;
}

/**
 * Averages `size` values into `bins` as PyTorch's adaptive pooling does. Bin i covers the values from
 * floor(i size / bins) to ceil((i + 1) size / bins), end excluded: bins overlap where they don't divide the size, and repeat values where there are
 * more bins than values.
 */
export function poolingWeights(size: number, bins: number): Weights {
  const values = new Float32Array(bins * size);
  for (let bin = 0; bin < bins; bin++) {
    const start = Math.floor((bin * size) / bins);
    const end = Math.ceil(((bin + 1) * size) / bins);
    values.fill(1 / (end - start), bin * size + start, bin * size + end);
  }
  return { outputs: bins, inputs: size, values };
}

/** Interpolates linearly from `from` values to `to`, first on first and last on last. */
export function alignedWeights(from: number, to: number): Weights {
  const values = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const at = to === 1 ? 0 : (i * (from - 1)) / (to - 1);
    const low = Math.min(Math.floor(at), from - 1);
    const high = Math.min(low + 1, from - 1);
    values[i * from + low] = 1 - (at - low);
    if (high !== low) values[i * from + high] = at - low;
  }
  return { outputs: to, inputs: from, values };
}

/** [batch, height, width, channels] with the rows combined by `rows` and the columns by `columns`. */
function resample(x: tf.Tensor4D, rows: Weights, columns: Weights): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  // One matrix for the whole batch: products broadcast.
  const matrix = ({ values, outputs, inputs }: Weights): tf.Tensor3D => tf.tensor3d(values, [1, outputs, inputs]);
  const tall = tf.matMul(matrix(rows), tf.reshape<tf.Rank.R3>(x, [batch, height, width * channels]));
  const lines = tf.reshape<tf.Rank.R3>(tall, [batch * rows.outputs, width, channels]);
  return tf.reshape(tf.matMul(matrix(columns), lines), [batch, rows.outputs, columns.outputs, channels]);
}

/** PyTorch's `AdaptiveAvgPool2d(bins)`: [batch, height, width, channels] to [batch, bins, bins, channels], for any height and width. */
export function adaptiveAveragePool(x: tf.Tensor4D, bins: number): tf.Tensor4D {
  const [, height, width] = x.shape;
  return resample(x, poolingWeights(height, bins), poolingWeights(width, bins));
}

/** Bilinear, the corner pixels on each other: PyTorch's `interpolate(size, mode='bilinear', align_corners=True)`. */
export function resizeAligned(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  return resample(x, alignedWeights(x.shape[1], height), alignedWeights(x.shape[2], width));
}
