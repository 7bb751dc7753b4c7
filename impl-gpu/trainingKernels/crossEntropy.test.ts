import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import { tensorflow } from '../tfjs/bridges/tensorflow.ts';
import { crossEntropyTraining } from './crossEntropy.ts';

const test = suite('impl-gpu/trainingKernels/crossEntropy');
const missing = tensorflowMissing('node');

/** A gradient's gradient: by central differences of the gradient below. */
const STEP = 1e-4;

/** In float64, by definition: the mean of log sum exp of a row less its right logit. */
function lossOf(logits: readonly number[], labels: readonly number[], classes: number): number {
  const rows = labels.map((label, r) => {
    const row = logits.slice(r * classes, (r + 1) * classes);
    const most = Math.max(...row);
    return most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0)) - (row[label] as number);
  });
  return rows.reduce((sum, value) => sum + value, 0) / rows.length;
}

/** (softmax - one-hot) / rows. */
function slopesOf(logits: readonly number[], labels: readonly number[], classes: number): number[] {
  return labels.flatMap((label, r) => {
    const row = logits.slice(r * classes, (r + 1) * classes);
    const most = Math.max(...row);
    const shares = row.map((value) => Math.exp(value - most));
    const total = shares.reduce((sum, value) => sum + value, 0);
    return shares.map((share, c) => (share / total - (c === label ? 1 : 0)) / labels.length);
  });
}

function closeTo(found: ArrayLike<number>, expected: readonly number[], tolerance: number, what: string): void {
  assert.is(found.length, expected.length, what);
  expected.forEach((value, i) => {
    const difference = Math.abs((found[i] as number) - value);
    assert.ok(difference <= tolerance * Math.max(1, Math.abs(value)), `${what}, ${i}: ${found[i]}, expected ${value}`);
  });
}

/** Random logits of a spread, and labels; float32 values. */
function drawn(rows: number, classes: number, spread: number): readonly [logits: number[], labels: number[]] {
  const values = [...tf.randomUniform([rows * classes], -spread, spread, 'float32', rows + classes).dataSync()];
  return [values, values.slice(0, rows).map((value) => Math.abs(Math.round(value * 1000)) % classes)];
}

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const runs = backend === 'node' ? test.when(missing === undefined, missing ?? '') : test;
  runs(`${backend}: loss, gradient and the gradient's gradient are those of the definition in float64, and nothing is left over`, async () => {
    for (const [rows, classes, spread] of [[3, 4, 2], [1, 1, 5], [2, 300, 9], [130, 10, 1], [4, 3, 60]] as const) {
      await useBackend('cpu');
      const [logits, labels] = drawn(rows, classes, spread);
      const weights = drawn(rows, classes, 1)[0];
      await useBackend(backend);
      const alive = (): readonly number[] => [tf.memory().numTensors, backend === 'node' ? tensorflow().alive() : 0];
      const before = alive();
      const right = tf.tensor1d(labels, 'int32');
      const at = tf.tensor2d(logits, [rows, classes]);
      const seed = tf.tensor2d(weights, [rows, classes]);
      const loss = (x: tf.Tensor): tf.Scalar => crossEntropyTraining(x as tf.Tensor2D, right);
      const found = tf.tidy(() => [
        loss(at),
        tf.grad(loss)(at, tf.scalar(3)),
        tf.grad((x) => tf.sum(tf.mul(tf.grad(loss)(x), seed)))(at),
      ]);
      const [value, slope, curvature] = await Promise.all(found.map((tensor) => tensor.data()));
      tf.dispose([...found, right, at, seed]);
      assert.equal(alive(), before);

      const what = `${rows} x ${classes}, ${spread}`;
      closeTo(value as Float32Array, [lossOf(logits, labels, classes)], 2e-6, what);
      closeTo(slope as Float32Array, slopesOf(logits, labels, classes).map((x) => 3 * x), 2e-6, what);
      const moved = (sign: number): number[] =>
        slopesOf(logits.map((x, i) => x + sign * STEP * (weights[i] as number)), labels, classes);
      const ahead = moved(1);
      const behind = moved(-1);
      closeTo(curvature as Float32Array, ahead.map((x, i) => (x - (behind[i] as number)) / (2 * STEP)), 1e-5, what);
    }
  }); // prettier-ignore
}

test('logits that are no number give no number, and rows of theirs alone a gradient that is none', async () => {
  for (const backend of ['cpu', 'wasm', ...(missing === undefined ? (['node'] as const) : [])] as const) {
    await useBackend(backend);
    tf.tidy(() => {
      const labels = tf.tensor1d([0, 1], 'int32');
      const { value, grad } = tf.valueAndGrad((x) => crossEntropyTraining(x as tf.Tensor2D, labels))(
        tf.tensor2d([NaN, 1, 0, 0], [2, 2]),
      );
      assert.is(String(value.dataSync()[0]), 'NaN');
      const slopes = [...grad.dataSync()];
      assert.equal(slopes.slice(0, 2).map(String), ['NaN', 'NaN'], backend);
      assert.equal(slopes.slice(2), [0.25, -0.25], backend);
    });
  }
});

test('what does not fit is refused with its shape', async () => {
  await useBackend('cpu');
  tf.tidy(() => {
    const logits = tf.ones<tf.Rank.R2>([2, 3]);
    const labels = tf.tensor1d([0, 2], 'int32');
    const refuse = (work: () => unknown, message: RegExp): void => assert.throws(work, message);
    refuse(() => crossEntropyTraining(tf.ones([2, 3, 1]) as never, labels), /^logits must be float32 of rank 2 with at least one row and one class, got float32 of shape \[2,3,1\]$/); // prettier-ignore
    refuse(
      () => crossEntropyTraining(tf.ones([2, 3], 'int32'), labels),
      /^logits must be .* got int32 of shape \[2,3\]$/,
    );
    refuse(() => crossEntropyTraining(tf.ones([0, 3]), tf.zeros([0], 'int32')), /^logits must be .* got float32 of shape \[0,3\]$/); // prettier-ignore
    refuse(() => crossEntropyTraining(logits, tf.zeros([2])), /^labels must be int32, one for each of the 2 rows of logits, got float32 of shape \[2\]$/); // prettier-ignore
    refuse(
      () => crossEntropyTraining(logits, tf.zeros([3], 'int32')),
      /^labels must be int32, .* got int32 of shape \[3\]$/,
    );
  });
});

test.run();
