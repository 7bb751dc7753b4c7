import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import { TYPES, tensorflow } from './tensorflow.ts';

const test = suite('impl-gpu/tfjs/bridges/tensorflow');
const missing = tensorflowMissing('node');
const whenInstalled = test.when(missing === undefined, missing ?? '');

test('without the backend, or with another one in its place, there is an error', () => {
  assert.throws(() => tensorflow(null), /the tensorflow backend is not registered/);
  const stranger = { tensorMap: new Map() } as unknown as Parameters<typeof tensorflow>[0];
  assert.throws(() => tensorflow(stranger), /the binding of the tensorflow backend was not found/);
});

whenInstalled("a variable takes another handle; a clone keeps the old one's values", async () => {
  await useBackend('node');
  const below = tensorflow();
  const before = [below.alive(), tf.memory().numTensors];
  const variable = tf.tidy(() => tf.variable(tf.tensor1d([1, 2, 3])));
  const float = [below.attribute.type('T', TYPES.float32)];
  const double = (): number => below.run('AddV2', float, below.handle(variable), below.handle(variable));
  below.replace(variable, double());
  assert.equal([...variable.dataSync()], [2, 4, 6]);
  const clone = variable.clone();
  assert.is(below.refCount(variable), 2);
  below.replace(variable, double());
  assert.is(below.refCount(variable), 1);
  assert.equal([...variable.dataSync()], [4, 8, 12]);
  assert.equal([...clone.dataSync()], [2, 4, 6]);
  // A variable of another backend is brought over by tfjs before it gets here.
  assert.throws(() => below.handle({ dataId: {}, shape: [1], dtype: 'float32' }), /disposed or foreign/);
  tf.dispose([variable, clone]);
  assert.throws(() => below.handle(variable), /disposed or foreign/);
  assert.equal([below.alive(), tf.memory().numTensors], before);
});

whenInstalled(
  'types that tfjs lacks pass from operation to operation, and an error of TensorFlow is thrown',
  async () => {
    await useBackend('node');
    const below = tensorflow();
    const before = below.alive();
    const bytes = below.tensor([2], TYPES.uint8, Uint8Array.of(1, 2));
    const half = below.run(
      'Bitcast',
      [below.attribute.type('T', TYPES.uint8), below.attribute.type('type', TYPES.uint16)],
      bytes,
    );
    const less = below.run('Less', [below.attribute.type('T', TYPES.uint16)], half, half);
    const result = below.adopt([], 'bool', less);
    assert.equal([...result.dataSync()], [0]);
    assert.throws(() => below.run('NoSuchOperation', []), /NoSuchOperation/);
    result.dispose();
    below.free(bytes);
    below.free(half);
    assert.is(below.alive(), before);
  },
);

test.run();
