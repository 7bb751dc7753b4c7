import * as tf from '@tensorflow/tfjs';
import { adam } from 'learning-rate-dropout';
import { drawKept } from 'learning-rate-dropout/stream';
import { loadTensorflow } from 'learning-rate-dropout/tensorflow';
import type { TensorflowLane } from 'learning-rate-dropout/tensorflow';
import { JobError } from '../errors.ts';

/** What a verified TensorFlow is. */
export interface Verified {
  readonly version: string;
  readonly gpu: boolean;
  readonly lossBefore: number;
  readonly lossAfter: number;
}

const SEED = 0x0123456789abcdefn;
const STEPS = 5;

/**
 * Trains a convolution and a dense layer for a few steps on the TensorFlow that this process finds, and holds the mask of the first step
 * against the stream. A TensorFlow for GPUs counts without one: then it trains on the processor. Throws a `JobError` where the loss does not fall or a bit differs.
 */
export async function verifyTensorflow(lane: TensorflowLane): Promise<Verified> {
  tf.enableProdMode();
  const { version, gpu } = loadTensorflow(lane);
  await tf.setBackend('tensorflow');
  const x = tf.tidy((): tf.Tensor4D => tf.sin(tf.reshape(tf.range(0, 8 * 64), [8, 8, 8, 1])));
  const y = tf.tidy(() => tf.sin(tf.reshape(tf.range(0, 8), [8, 1])));
  const wave = (shape: number[]): tf.Variable =>
    tf.tidy(() => tf.variable(tf.mul(0.1, tf.cos(tf.reshape(tf.range(0, tf.util.sizeFromShape(shape)), shape)))));
  const filter = wave([3, 3, 1, 4]);
  const weights = wave([256, 1]);
  const loss = (): tf.Scalar =>
    tf.tidy(() => {
      const hidden = tf.relu(tf.conv2d(x, filter as tf.Tensor4D, 1, 'same'));
      return tf.mean(tf.squaredDifference(tf.matMul(tf.reshape(hidden, [8, 256]), weights as tf.Tensor2D), y));
    });
  const value = (): number => tf.tidy(() => loss().dataSync()[0] as number);
  const optimizer = adam({ learningRate: 0.01, keepProbability: 0.5, seed: SEED });
  const lossBefore = value();
  const start = weights.dataSync<'float32'>().slice();
  const step = (): void => optimizer.minimize(loss, false, [filter, weights]) as unknown as void;
  step();
  const moved = weights.dataSync<'float32'>();
  // The filter's 36 elements come first; tensors start at multiples of 64.
  const kept = drawKept({ seed: SEED, stream: 'mask', step: 1 }, 64, 256, 32768);
  const wrong = kept.findIndex((bit, i) => (bit === 1) !== (moved[i] !== start[i]));
  if (wrong >= 0) throw new JobError(`TensorFlow ${version}: element ${wrong} is not masked as the stream says`);
  for (let i = 1; i < STEPS; i++) step();
  const lossAfter = value();
  optimizer.dispose();
  tf.dispose([x, y, filter, weights]);
  if (!(lossAfter < lossBefore)) {
    throw new JobError(`TensorFlow ${version}: the loss did not fall in ${STEPS} steps, ${lossBefore} to ${lossAfter}`);
  }
  return { version, gpu, lossBefore, lossAfter };
}
