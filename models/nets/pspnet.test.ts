import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../backend.ts';
import { labelBatch, segmentationLoss } from '../tasks/segmentation/loss.ts';
import { countParameters } from './net.ts';
import { pspnet } from './pspnet.ts';

const test = suite('models/nets/pspnet');

test('PSPNet on ResNet-50 for VOC has 48,957,802 parameters: those of its layers, added up by hand', async () => {
  await useBackend('cpu');
  const net = pspnet({ classes: 21, seed: 1n });
  const of = (prefix: string): number =>
    net.parameters.filter(({ name }) => name.startsWith(prefix)).reduce((sum, { variable }) => sum + variable.size, 0);
  // torchvision's resnet50 has 25,557,032, of which fc = 2048 x 1000 + 1000.
  assert.is(of('conv1/') + of('bn1/') + of('layer'), 25557032 - 2049000);
  assert.is(of('ppm/'), 4 * (2048 * 512 + 2 * 512));
  assert.is(of('cls/'), 4096 * 512 * 9 + 2 * 512 + 512 * 21 + 21);
  assert.is(of('aux/'), 1024 * 256 * 9 + 2 * 256 + 256 * 21 + 21);
  assert.is(countParameters(net), 48957802);
  net.dispose();
});

test('scores come at (side - 1) / 8 + 1 pixels, and every tensor gets a gradient', async () => {
  await useBackend('wasm');
  const net = pspnet({ classes: 3, width: 4, seed: 2n });
  const image = tf.tidy(() => tf.sin(tf.range(0, 2 * 57 * 73 * 3)).reshape([2, 57, 73, 3]));
  const labels = labelBatch(
    Uint8Array.from({ length: 2 * 57 * 73 }, (_, i) => Math.floor(i / 17) % 3),
    [2, 57, 73],
  );
  const { value, grads } = tf.variableGrads(
    () => {
      const logits = net.forward(image, { training: true, step: 1 });
      assert.equal(logits.main.shape, [2, 8, 10, 3]);
      assert.equal(logits.auxiliary?.shape, [2, 8, 10, 3]);
      return segmentationLoss(logits, labels);
    },
    net.parameters.map(({ variable }) => variable),
  );
  for (const { name, variable } of net.parameters) {
    const gradient = grads[variable.name];
    assert.ok(gradient !== undefined, name);
    assert.ok((await gradient.abs().max().data())[0] !== 0, name);
  }
  assert.ok(Number.isFinite((await value.data())[0]));
  const said = net.forward(image, { training: false, step: 1 });
  assert.is(said.auxiliary, undefined);
  net.dispose();
});

test('an odd width is refused', () => {
  assert.throws(() => pspnet({ classes: 21, width: 3, seed: 1n }), /--width must be a multiple of 2 for pspnet, got 3/);
});

test.run();
