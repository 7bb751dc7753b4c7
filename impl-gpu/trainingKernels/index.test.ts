import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { wasmHeap } from '../tfjs/bridges/wasm.ts';
import { sgdm } from '../tfjs/index.ts';
import { enableTraining } from './index.ts';

const test = suite('impl-gpu/trainingKernels');
test.before(async () => {
  await useBackend('wasm');
});

test('a second call changes nothing, and a wrong number of threads is refused', () => {
  const kernels = (): tf.KernelConfig[] => tf.getKernelsForBackend('wasm');
  const before = kernels();
  enableTraining();
  enableTraining({ threads: 3 });
  assert.is(kernels().length, before.length);
  kernels().forEach((kernel, i) => assert.is(kernel, before[i]));
  for (const threads of [0, 1.5, -1, NaN]) {
    assert.throws(
      () => enableTraining({ threads }),
      new RegExp(`^threads must be a whole number of at least 1, got ${threads}$`),
    );
  }
});

test('clones share their data, whatever the type, and outlive the original', async () => {
  const tensors = tf.memory().numTensors;
  for (const original of [tf.tensor([1, 2, 3]), tf.tensor([1, 2], [2], 'int32'), tf.tensor([true, false])]) {
    const values = [...(await original.data())];
    const clone = original.clone();
    assert.is(wasmHeap().pointer(clone), wasmHeap().pointer(original));
    original.dispose();
    assert.equal([...(await clone.data())], values);
    clone.dispose();
  }
  const text = tf.tensor(['a', 'b']);
  const copy = text.clone();
  assert.equal(await copy.data<'string'>(), ['a', 'b']);
  tf.dispose([text, copy]);
  assert.is(tf.memory().numTensors, tensors);
});

test('a clone keeps its values while the variable trains in place', async () => {
  const variable = tf.variable(tf.tensor([1, 2, 3, 4]));
  const clone = variable.clone();
  const optimizer = sgdm({ learningRate: 0.5, keepProbability: 1, seed: 1n });
  optimizer.minimize(() => tf.sum(variable), false, [variable]);
  assert.equal([...(await clone.data())], [1, 2, 3, 4]);
  assert.equal([...(await variable.data())], [0.5, 1.5, 2.5, 3.5]);
  tf.dispose([variable, clone]);
  optimizer.dispose();
});

test('a step whose clones are gone again writes in place, without a copy of the weights', () => {
  const weights = tf.variable(tf.ones([64, 64]));
  const optimizer = sgdm({ learningRate: 0.5, seed: 1n });
  const step = (): void =>
    void optimizer.minimize(() => tf.sum(tf.matMul(tf.ones([2, 64]), weights)), false, [weights]);
  step();
  const at = wasmHeap().pointer(weights);
  step();
  assert.is(wasmHeap().pointer(weights), at);
  weights.dispose();
  optimizer.dispose();
});

test('the kernels go along when the backend is disposed of and started again', async () => {
  const product = async (): Promise<number[]> => {
    const values = tf.tidy(() => tf.matMul(tf.ones([2, 3]), tf.ones([2, 3]), false, true));
    const grads = tf.tidy(() =>
      tf.grad((x) => tf.conv2d(x as tf.Tensor4D, tf.ones([2, 2, 1, 8]), 1, 'same'))(tf.ones([1, 3, 3, 1])),
    );
    // A case of tfjs's own kernel, which has to know the new heap too.
    const sigmoid = tf.tidy(() => tf.fused.matMul({ a: tf.ones([1, 2]), b: tf.zeros([2, 1]), activation: 'sigmoid' }));
    const all = [...(await values.data()), ...(await grads.data()), ...(await sigmoid.data())];
    tf.dispose([values, grads, sigmoid]);
    return all;
  };
  const expected = [3, 3, 3, 3, 8, 16, 16, 16, 32, 32, 16, 32, 32, 0.5];
  assert.equal(await product(), expected);
  const factory = tf.findBackendFactory('wasm');
  const restarts: readonly (() => void)[] = [
    () => tf.engine().reset(),
    () => {
      tf.removeBackend('wasm');
      tf.registerBackend('wasm', factory);
    },
  ];
  for (const restart of restarts) {
    const before = tf.backend();
    restart();
    await tf.setBackend('wasm');
    assert.is.not(tf.backend(), before);
    assert.equal(await product(), expected);
    enableTraining();
    assert.equal(await product(), expected);
    const variable = tf.variable(tf.tensor([1, 2]));
    const optimizer = sgdm({ learningRate: 0.5, keepProbability: 1, seed: 1n });
    optimizer.minimize(() => tf.sum(variable), false, [variable]);
    assert.equal([...(await variable.data())], [0.5, 1.5]);
    variable.dispose();
    optimizer.dispose();
  }
});

test.run();
