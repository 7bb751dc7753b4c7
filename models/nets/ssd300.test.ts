import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import { NetBuilder } from './builder.ts';
import { countParameters } from './net.ts';
import { l2Norm, ssd300 } from './ssd300.ts';

const test = suite('models/nets/ssd300');

test('SSD300 for VOC has 26,285,486 parameters: those of its layers, added up by hand', async () => {
  await useBackend('cpu');
  const net = ssd300({ classes: 21, seed: 1n });
  const of = (prefix: string): number =>
    net.parameters.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { variable }) => sum + variable.size, 0);
  // VGG-16's convolutions (torchvision's vgg16().features), fc6 = 512 x 1024 x 9 + 1024, fc7 = 1024 x 1024 + 1024.
  assert.equal([of('conv'), of('fc6/'), of('fc7/'), of('l2norm/')], [14714688, 4719616, 1049600, 512]);
  assert.is(of('extras/'), 262400 + 1180160 + 65664 + 295168 + 32896 + 295168 + 32896 + 295168);
  // 512, 1024, 512, 256, 256 and 256 channels with 4, 6, 6, 6, 4 and 4 boxes a cell.
  const products = 512 * 4 + 1024 * 6 + 512 * 6 + 256 * 6 + 256 * 4 + 256 * 4;
  assert.equal([of('offsets/'), of('scores/')], [products * 9 * 4 + 30 * 4, products * 9 * 21 + 30 * 21]);
  assert.is(countParameters(net), 26285486);
  net.dispose();
});

test('a narrow SSD300 says something of each of 8,732 boxes, and every tensor gets a gradient', async () => {
  await useBackend('wasm');
  const net = ssd300({ classes: 5, width: 4, seed: 2n });
  const image = tf.tidy(() => tf.sin(tf.range(0, 300 * 300 * 3)).reshape([1, 300, 300, 3]));
  const { offsets, logits } = net.forward(image, { training: true, step: 1 });
  assert.equal(
    [offsets.shape, logits.shape],
    [
      [1, 8732, 4],
      [1, 8732, 5],
    ],
  );
  const { value, grads } = tf.variableGrads(
    () => {
      const { offsets: o, logits: l } = net.forward(image, { training: true, step: 1 });
      return tf.add(tf.sum(tf.square(o)), tf.sum(tf.square(l)));
    },
    net.parameters.map(({ variable }) => variable),
  );
  for (const { name, variable } of net.parameters) {
    const gradient = grads[variable.name];
    assert.ok(gradient !== undefined, name);
    assert.ok((await gradient.abs().max().data())[0] !== 0, name);
  }
  assert.ok(Number.isFinite((await value.data())[0]));
  net.dispose();
  tf.dispose([image, offsets, logits, value, grads]);
});

for (const backend of ['cpu', 'wasm', 'webgpu']) {
  test(`${backend}: the norm of conv4_3 is scaled to 20, its gradient is that of finite differences`, async () => {
    await useBackend(backend);
    const builder = new NetBuilder('norm', { seed: 1n });
    const layer = l2Norm(builder, 'l2norm', 3);
    const pass = builder.pass({ training: true, step: 1 });
    const values = [3, 0, 4, 1, -2, 2, 0.5, 0.25, -0.125, 0.1, 0.2, 0.2];
    const weights = [1, -2, 0.5, 2, 1, 1, -1, 0.25, 3, 1, 1, 2];
    const x = tf.tensor4d(values, [1, 2, 2, 3]);
    const y = await tf.tidy(() => layer(x, pass)).data<'float32'>();
    [12, 0, 16, 20 / 3, -40 / 3, 40 / 3].forEach((expected, i) =>
      assert.ok(Math.abs((y[i] as number) - expected) < 1e-4, `${y[i]} instead of ${expected}`),
    );
    const dx = await tf
      .tidy(() => tf.grad((input) => layer(input as tf.Tensor4D, pass))(x, tf.tensor4d(weights, [1, 2, 2, 3])))
      .data<'float32'>();
    const value = (at: number, change: number): number => {
      const moved = values.map((v, i) => (i === at ? v + change : v));
      return moved.reduce((sum, v, i) => {
        const pixel = moved.slice(i - (i % 3), i - (i % 3) + 3);
        return sum + (((weights[i] as number) * v) / Math.hypot(...pixel)) * 20;
      }, 0);
    };
    values.forEach((_, i) => {
      const expected = (value(i, 1e-5) - value(i, -1e-5)) / 2e-5;
      assert.ok(Math.abs((dx[i] as number) - expected) < 2e-3, `${dx[i]} instead of ${expected}`);
    });
    builder.net(() => x).dispose();
    x.dispose();
  });
}

test('a width that does not divide into the narrow layers is refused', () => {
  assert.throws(() => ssd300({ classes: 21, width: 6, seed: 1n }), /--width must be a multiple of 4 for ssd300, got 6/);
});

test.run();
