/** A dense layer in training, with the clamp that often follows it, as one operation with a gradient of its own. */
import * as tf from '@tensorflow/tfjs';
import { InvalidArgumentError, show } from '../validate.ts';

/**
 * Kernels that a backend may have for it; others run core operations.
 *
 * - `forward`: inputs a, b, bias; attributes those of `_FusedMatMul`.
 * - `slope`: inputs dy and y, the output of a clamp at 0, both [rows, columns]; gives dy times the step function of y, and its sums over the rows, [columns].
 */
export const DENSE_KERNELS = { forward: 'DenseTraining', slope: 'DenseTrainingSlope' } as const;

/** What follows the product. */
export interface DenseOptions {
  /** Clamp the result at 0. Default false. */
  readonly relu?: boolean;
}

/** dy where y is above 0, else 0, and what it is by columns. */
function slope(dy: tf.Tensor2D, y: tf.Tensor2D): readonly [dz: tf.Tensor2D, sums: () => tf.Tensor1D] {
  if (tf.getKernel(DENSE_KERNELS.slope, tf.getBackend()) === undefined) {
    const dz = tf.mul<tf.Tensor2D>(dy, tf.step(y));
    return [dz, () => tf.sum(dz, 0)];
  }
  const [dz, sums] = tf.engine().runKernel<[tf.Tensor2D, tf.Tensor1D]>(DENSE_KERNELS.slope, { dy, y });
  return [dz, () => sums];
}

function registerGradients(): void {
  if (tf.getGradient(DENSE_KERNELS.forward) !== undefined) return;
  tf.registerGradient({
    kernelName: DENSE_KERNELS.slope,
    inputsToSave: ['y'],
    gradFunc: (above, saved) => {
      const [y] = saved as [tf.Tensor2D];
      const [dz, sums] = above as unknown as [tf.Tensor2D, tf.Tensor1D];
      return { dy: () => slope(tf.add(dz, sums), y)[0], y: () => tf.zerosLike(y) };
    },
  });
  tf.registerGradient({
    kernelName: DENSE_KERNELS.forward,
    inputsToSave: ['a', 'b'],
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) => {
      const [a, b, y] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
      const relu = (attrs as { readonly activation: string }).activation === 'relu';
      const above = dy as tf.Tensor2D;
      const [dz, sums] = relu ? slope(above, y) : ([above, () => tf.sum<tf.Tensor1D>(above, 0)] as const);
      return {
        a: () => tf.matMul(dz, b, false, true),
        b: () => tf.matMul(a, dz, true, false),
        bias: sums,
      };
    },
  });
}

/**
 * y = x weight + bias [relu]. Differentiable in x, weight and bias, any number of times. In training tfjs makes of it three operations, and of its gradient a
 * dozen; after `enableTraining()` on wasm and TensorFlow it is one, and three or four.
 *
 * x: [rows, inputs]; weight: [inputs, outputs]; bias: [outputs]; float32. Throws `InvalidArgumentError` when shapes or types do not fit.
 */
export function denseTraining(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor1D,
  { relu = false }: DenseOptions = {},
): tf.Tensor2D {
  for (const [name, tensor, rank] of [
    ['x', x, 2],
    ['weight', weight, 2],
    ['bias', bias, 1],
  ] as const) {
    if (tensor.rank !== rank || tensor.dtype !== 'float32') {
      throw new InvalidArgumentError(
        `${name} must be float32 of rank ${rank}, got ${tensor.dtype} of shape [${tensor.shape}]`,
      );
    }
  }
  if (x.shape[1] !== weight.shape[0] || bias.shape[0] !== weight.shape[1]) {
    throw new InvalidArgumentError(
      `weight must be [inputs of x, outputs of bias], got [${weight.shape}] with x [${x.shape}] and bias [${bias.shape}]`,
    );
  }
  if (typeof relu !== 'boolean') throw new InvalidArgumentError(`relu must be true or false, got ${show(relu)}`);
  const activation = relu ? 'relu' : 'linear';
  if (tf.getKernel(DENSE_KERNELS.forward, tf.getBackend()) === undefined) {
    return tf.fused.matMul({ a: x, b: weight, bias, activation }) as tf.Tensor2D;
  }
  registerGradients();
  return tf
    .engine()
    .runKernel(DENSE_KERNELS.forward, { a: x, b: weight, bias }, { transposeA: false, transposeB: false, activation });
}
