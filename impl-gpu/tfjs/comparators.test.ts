import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import * as ref from '../../impl-ref/index.ts';
import { useBackend } from '../../models/backend.ts';
import * as lrd from './index.ts';

const test = suite('impl-gpu/tfjs/comparators');
const SEED = 0x1122334455667788n;
test.before(async () => {
  await useBackend('wasm');
});

test('noisy labels are those of the reference, change with the step, and leave the rest alone', () => {
  const labels = Array.from({ length: 500 }, (_, i) => i % 10);
  const options = { seed: SEED, classes: 10, rate: 0.3 };
  const got = lrd.noisyLabels(labels, { ...options, step: 4 });
  assert.equal([...got], ref.noisyLabels(labels, { ...options, step: 4 }));
  const disturbed = labels.filter((label, i) => label !== got[i]).length;
  assert.ok(disturbed > 100 && disturbed < 200, String(disturbed));
  assert.not.equal([...lrd.noisyLabels(labels, { ...options, step: 5 })], [...got]);
  assert.equal([...lrd.noisyLabels(labels, { ...options, rate: 0, step: 1 })], labels);
  assert.throws(() => lrd.noisyLabels([0], { ...options, rate: 2, step: 1 }), /rate must be in \[0, 1\], got 2/);
  assert.throws(
    () => lrd.noisyLabels([10], { ...options, step: 1 }),
    /labels must be whole numbers in \[0, 9\], got 10/,
  );
  assert.throws(() => lrd.noisyLabels([0], { ...options, classes: 1, step: 1 }), /classes must be/);
});

test("standard dropout draws the reference's bits, layer after layer, anew each step, and scales what it keeps", async () => {
  const optimizer = { seed: `0x${SEED.toString(16)}`, iterations: 6 };
  const stream = new lrd.DropoutStream(optimizer);
  const check = async (size: number, base: number, step: number): Promise<void> => {
    const values = Float32Array.from({ length: size }, (_, i) => i - 20);
    const out = tf.tidy(() => stream.drop(tf.tensor1d(values), 0.7));
    const expected = ref.standardDropout(Float64Array.from(values), { key: ref.parseSeed(SEED), step, base }, 0.7);
    (await out.data()).forEach((x, i) => {
      assert.ok(Math.abs(x - (expected[i] as number)) <= 1e-6 * Math.abs(expected[i] as number), `element ${i}`);
    });
    out.dispose();
  };
  await check(100, 0, 7);
  await check(30, 128, 7);
  optimizer.iterations = 7;
  await check(100, 0, 8);
});

test('[LRD-DIST-010] rows of several processes drop what they do in the whole batch, layer after layer', () => {
  for (const [rows, columns] of [
    [10, 7],
    [9, 64],
    [5, 3],
  ] as const) {
    const optimizer = { seed: `0x${SEED.toString(16)}`, iterations: 3 };
    const layers = [tf.ones([rows, columns]), tf.ones([rows, 2, columns])];
    const stream = new lrd.DropoutStream(optimizer);
    const whole = layers.map((layer) => [...stream.drop(layer, 0.6).dataSync()]);
    for (const size of [2, 4]) {
      const parts = Array.from({ length: size }, (_, rank) => {
        const own = new lrd.DropoutStream(optimizer);
        const first = Math.floor((rows * rank) / size);
        const count = Math.floor((rows * (rank + 1)) / size) - first;
        return layers.map((layer) => [
          ...own.drop(tf.slice(layer, first, count), 0.6, { first, all: rows }).dataSync(),
        ]);
      });
      whole.forEach((expected, layer) =>
        assert.equal(
          parts.flatMap((part) => part[layer] as number[]),
          expected,
        ),
      );
    }
  }
});

test('a model trains with the dropout layer, evaluates without it, and saves and loads', async () => {
  const model = tf.sequential();
  model.add(tf.layers.dense({ inputShape: [4], units: 64, activation: 'relu' }));
  model.add(new lrd.StandardDropout({ retain: 0.5 }));
  model.add(tf.layers.dense({ units: 1 }));
  const optimizer = lrd.adam({ seed: SEED, learningRate: 0.01 });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const x = tf.ones([32, 4]);
  const y = tf.ones([32, 1]);
  let message = '';
  await model.fit(x, y, { epochs: 1, verbose: 0 }).catch((error: unknown) => ({ message } = error as Error));
  assert.match(message, /must be attached before training/);
  lrd.attachDropout(model, optimizer);
  const { history } = await model.fit(x, y, { epochs: 30, verbose: 0 });
  const losses = history['loss'] as number[];
  assert.ok((losses.at(-1) ?? 9) < 0.5 * (losses[0] ?? 0), losses.join(' '));
  const [a, b] = [model.predict(x) as tf.Tensor, model.predict(x) as tf.Tensor];
  assert.equal(await a.data(), await b.data());
  const copy = await tf.models.modelFromJSON(model.toJSON(null, false) as never);
  const layer = copy.layers.find((candidate) => candidate instanceof lrd.StandardDropout) as lrd.StandardDropout;
  assert.is(layer.retain, 0.5);
  assert.throws(() => new lrd.StandardDropout({ retain: 0 }), /retain must be in \[2\^-16, 1\], got 0/);
  [x, y, a, b].forEach((tensor) => tensor.dispose());
});

test.run();
