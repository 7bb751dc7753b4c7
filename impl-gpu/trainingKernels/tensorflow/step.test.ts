import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import { tensorflow } from '../../tfjs/bridges/tensorflow.ts';

const test = suite('impl-gpu/trainingKernels/tensorflow/step');
const missing = tensorflowMissing('node');
const whenInstalled = test.when(missing === undefined, missing ?? '');

/** What float32 has at its ends and between them. */
const VALUES = [NaN, 1, -1, 0, -0, Infinity, -Infinity, 2 ** -126, -(2 ** -126), 3.4e38, -3.4e38, 0.5];

whenInstalled('the step function is that of tfjs on any number, of any type, with any slope, and so are the gradients of clamps', async () => {
  const all = new Map<string, readonly (readonly number[])[]>();
  for (const backend of ['cpu', 'node'] as const) {
    await useBackend(backend);
    const alive = (): readonly number[] => [tf.memory().numTensors, backend === 'node' ? tensorflow().alive() : 0];
    const before = alive();
    const results = tf.tidy(() => {
      const x = tf.tensor(VALUES, [3, 4]);
      const dy = tf.reshape(tf.range(1, 13), [3, 4]);
      const whole = tf.tensor([-2, 0, 7], [3], 'int32');
      const twice = tf.grad((at: tf.Tensor) => tf.grad((y: tf.Tensor) => tf.relu(tf.mul(y, y)))(at));
      const made = [
        tf.step(x),
        tf.step(x, 0.25),
        tf.step(whole),
        tf.step(whole, -3.5),
        tf.step(tf.zeros([0, 3])),
        tf.step(tf.scalar(4)),
        tf.grad(tf.relu)(x, dy),
        tf.grad(tf.relu6)(x, dy),
        tf.grad(tf.abs)(x, dy),
        twice(tf.tensor1d([1, -2, 3])),
      ];
      return made.map((tensor) => [...tensor.shape, ...tensor.dataSync()]);
    });
    all.set(backend, results);
    assert.equal(alive(), before, backend);
  }
  // Zeros have no sign here.
  const plain = (list = all.get('cpu')): unknown => JSON.stringify(list, (_, value: unknown) => (typeof value === 'number' ? String(value === 0 ? 0 : value) : value)); // prettier-ignore
  assert.is(plain(all.get('node')), plain());
}); // prettier-ignore

test.run();
