import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import { tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import * as lrd from '../../tfjs/index.ts';

const test = suite('impl-gpu/trainingKernels/tensorflow/shortcuts');
const missing = tensorflowMissing('node');
const whenInstalled = test.when(missing === undefined, missing ?? '');

const alive = (): readonly number[] => [tf.memory().numTensors, tensorflow().alive()];

/** Whole numbers, of which sums and products are exact. */
const whole = (shape: number[], seed: number): tf.Tensor =>
  tf.tidy(() => tf.round(tf.randomUniform(shape, -9, 9, 'float32', seed)));

whenInstalled('products of matrices are those of the cpu backend, transposed or not, empty ones and their gradients too', async () => {
  const results = new Map<string, unknown>();
  for (const backend of ['cpu', 'node'] as const) {
    await useBackend(backend);
    const made: unknown[] = [];
    for (const [m, k, n] of [[3, 4, 5], [1, 1, 1], [7, 1, 2], [0, 3, 2], [2, 3, 0], [2, 0, 3], [33, 65, 17]] as const) { // prettier-ignore
      for (const turnA of [false, true]) {
        for (const turnB of [false, true]) {
          const before = backend === 'node' ? alive() : [];
          const values = tf.tidy(() => {
            const [a, b] = [whole(turnA ? [k, m] : [m, k], 1), whole(turnB ? [n, k] : [k, n], 2)];
            const product = (x: tf.Tensor, y: tf.Tensor): tf.Tensor => tf.matMul(x, y, turnA, turnB);
            const [da, db] = tf.grads(product)([a, b], whole([m, n], 3)) as [tf.Tensor, tf.Tensor];
            return [product(a, b), da, db].map((x) => [x.shape, [...x.dataSync()].map((value) => value + 0)]);
          });
          made.push(values);
          if (backend === 'node') assert.equal(alive(), before);
        }
      }
    }
    // Not of matrices, and not of float32.
    made.push(tf.tidy(() => [...tf.matMul(whole([2, 3, 4], 1), whole([1, 4, 2], 2)).dataSync()]));
    made.push(tf.tidy(() => [...tf.matMul(tf.ones([2, 3], 'int32'), tf.ones([3, 2], 'int32')).dataSync()]));
    made.push(tf.tidy(() => String(tf.matMul(tf.tensor2d([[NaN, 1]]), tf.tensor2d([[1], [2]])).dataSync()[0])));
    results.set(backend, made);
  }
  assert.equal(results.get('node'), results.get('cpu'));
}); // prettier-ignore

whenInstalled('a reshape to the same shape and a cast to the same type are the tensor itself, which lives until both are disposed of', async () => {
  await useBackend('node');
  const before = alive();
  for (const [values, dtype] of [[[1, 2, 3, 4], 'float32'], [[1, -2, 3, 4], 'int32'], [[1, 0, 0, 1], 'bool']] as const) { // prettier-ignore
    const first = tf.tensor2d([...values], [2, 2], dtype);
    const same = tf.reshape(first, [2, 2]);
    const cast = tf.cast(first, dtype);
    const other = tf.reshape(first, [4]);
    const converted = tf.cast(first, dtype === 'int32' ? 'float32' : 'int32');
    assert.is((same as unknown as tf.TensorInfo).dataId, (first as unknown as tf.TensorInfo).dataId);
    first.dispose();
    for (const left of [same, cast, other, converted]) {
      assert.equal([...left.dataSync()], [...values]);
      left.dispose();
    }
  }
  const text = tf.tensor1d(['a', 'b']);
  const again = tf.reshape(text, [2]);
  text.dispose();
  assert.equal(again.dataSync(), ['a', 'b']);
  again.dispose();
  assert.equal(alive(), before);
}); // prettier-ignore

whenInstalled('what a reshape or a cast of a variable gave keeps its values while optimizers step in place', async () => {
  await useBackend('node');
  const before = alive();
  for (const optimizer of [lrd.sgdm({ learningRate: 0.5, momentum: 0.9 }), lrd.adam({ keepProbability: 0.5, seed: 1n })]) { // prettier-ignore
    const variable = tf.tidy(() => tf.variable(tf.ones([40, 3])));
    const minimize = (): void => void optimizer.minimize(() => tf.sum(tf.square(variable)), false, [variable]);
    // In place from the second step on.
    for (let k = 0; k < 2; k++) minimize();
    const values = [...variable.dataSync()];
    const kept = [tf.reshape(variable, [40, 3]), tf.cast(variable, 'float32')];
    for (let k = 0; k < 2; k++) minimize();
    assert.not.equal([...variable.dataSync()], values);
    for (const one of kept) assert.equal([...one.dataSync()], values);
    tf.dispose([variable, ...kept]);
    optimizer.dispose();
  }
  assert.equal(alive(), before);
}); // prettier-ignore

test.run();
