import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../backend.ts';
import { Draws } from '../../raster/draws.ts';
import { toInputs } from '../../raster/normalize.ts';
import { MEAN_COLOUR } from '../../raster/raster.ts';
import type { SegmentedPicture } from '../../data/vocExamples.ts';
import { augment, fittingSide, padToFit } from './augment.ts';
import type { SegmentationLogits } from '../../nets/pspnet.ts';
import { VOID } from './metrics.ts';
import type { TestMetrics } from '../task.ts';
import { segmentation } from './task.ts';
import { predictSliding, predictWhole, windowStarts } from './predict.ts';

const test = suite('models/tasks/segmentation/augment');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);

/** Vertical bands of 8 pixels, red 200 where the class is odd. */
function bands(width: number, height: number, classes: number): SegmentedPicture {
  const data = Uint8Array.from({ length: width * height }, (_, i) => Math.floor((i % width) / 8) % classes);
  const colours = new Float32Array(width * height * 3);
  data.forEach((label, i) => colours.set([label % 2 === 1 ? 200 : 0, label * 20, 0], i * 3));
  return { picture: { width, height, data: colours }, mask: { width, height, data } };
}

test('the mask follows the picture, and the margin is void where the picture has the mean colour', () => {
  const example = bands(48, 40, 3);
  let margins = 0;
  for (let index = 0; index < 40; index++) {
    const { picture, mask } = augment(example, 45, new Draws({ seed: 5n, epoch: 2, example: index }));
    assert.equal([picture.width, picture.height, mask.width, mask.height], [45, 45, 45, 45]);
    let agree = 0;
    let counted = 0;
    mask.data.forEach((label, i) => {
      const red = picture.data[i * 3] as number;
      if (label === VOID) {
        margins += 1;
        assert.ok(Math.abs(red - MEAN_COLOUR[0]) < 1e-3);
      } else {
        counted += 1;
        if (red > 100 === (label === 1)) agree += 1;
      }
    });
    // Pixels right at an edge may fall either way.
    assert.ok(agree > 0.9 * counted, `${agree} of ${counted}`);
  }
  assert.ok(margins > 0);
});

test('a crop of one size and scale 1 keeps every pixel of a picture that is smaller', () => {
  const example = bands(20, 10, 2);
  const same = padToFit(example, 33);
  assert.equal([same.picture.width, same.picture.height], [33, 33]);
  assert.is(same.mask.data.filter((label) => label !== VOID).length, 200);
  // In the middle: 20 of 33 columns from the sixth on, 10 of 33 rows from the eleventh on.
  assert.is(same.mask.data[11 * 33 + 6], 0);
  assert.is(same.mask.data[11 * 33 + 5], VOID);
  assert.is(same.mask.data[10 * 33 + 6], VOID);
  assert.is(padToFit(bands(50, 35, 2), 33).picture.width, 57);
});

test('sides fit where they are 8k + 1 and at least the least', () => {
  assert.equal(
    [500, 375, 473, 505, 474].map((extent) => fittingSide(extent, 473)),
    [505, 473, 473, 505, 481],
  );
});

test('sliding windows cover an axis from end to end without leaving it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 3, max: 500 }), (extent, side) => {
      const stride = Math.ceil((side * 2) / 3);
      const starts = windowStarts(extent, side, stride);
      if (extent <= side) {
        assert.equal(starts, [-Math.floor((side - extent) / 2)]);
        return;
      }
      assert.is(starts[0], 0);
      starts.slice(1).forEach((start, i) => {
        assert.ok(start > (starts[i] as number) && start - (starts[i] as number) <= stride);
        assert.ok(start + side <= extent);
      });
      assert.ok(starts.at(-1) + side >= extent);
    }),
    { seed, numRuns: 300, includeErrorInReport: true },
  );
  assert.equal(windowStarts(500, 473, 316), [0, 27]);
});

test('inputs are normalised by the mean and the deviation of ImageNet', async () => {
  await useBackend('cpu');
  const inputs = toInputs([{ width: 2, height: 1, data: Float32Array.of(0, 0, 0, 255, 255, 255) }]);
  assert.equal(inputs.shape, [1, 1, 2, 3]);
  const values = await inputs.data();
  [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225, 0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225].forEach((expected, i) =>
    assert.ok(Math.abs((values[i] as number) - expected) < 1e-5),
  );
  assert.throws(() => toInputs([]), /pictures must not be empty/);
});

/** Says class 1 of every eighth pixel that is red: a network that looks at nothing but the pixel itself. */
const redness = {
  forward: (inputs: tf.Tensor): SegmentationLogits => {
    const red = tf.slice(inputs as tf.Tensor4D, [0, 0, 0, 0], [-1, -1, -1, 1]);
    const sampled = tf.avgPool(red, 1, 8, 'valid');
    return { main: tf.concat([tf.zerosLike(sampled), sampled], 3) };
  },
};

test('whole or in windows, each pixel gets the class of its place in the picture', async () => {
  await useBackend('cpu');
  // Red right of column 60, below row 30.
  const [width, height] = [100, 70];
  const data = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) data[(y * width + x) * 3] = x >= 60 && y >= 30 ? 255 : 0;
  for (const mask of [
    await predictWhole(redness, { width, height, data }, 33),
    (await predictSliding(redness, { width, height, data }, 41)).mask,
    (await predictSliding(redness, { width, height, data }, 129)).mask,
  ]) {
    assert.equal([mask.width, mask.height], [width, height]);
    let wrong = 0;
    mask.data.forEach((label, i) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      // The network sees every eighth pixel: within 8 of the edge it may be either.
      if (Math.abs(x - 60) < 8 || Math.abs(y - 30) < 8 || x > 92 || y > 62) return;
      if (label !== (x >= 60 && y >= 30 ? 1 : 0)) wrong += 1;
    });
    assert.is(wrong, 0);
  }
});

test('windows test a network that looks at single pixels as whole pictures do: loss, mean IoU and pixel accuracy', async () => {
  await useBackend('cpu');
  // At crop 121 these are 121 and 153 pixels wide: one window, and two whose places fit the network's steps of 8.
  for (const width of [473, 598]) {
    const height = 473;
    const colours = new Float32Array(width * height * 3);
    const labels = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        colours[(y * width + x) * 3] = (x * 3 + y) % 256;
        labels[y * width + x] = y < 60 ? VOID : x + y > 400 ? 1 : 0;
      }
    }
    const example = { picture: { width, height, data: colours }, mask: { width, height, data: labels } };
    const examples = { count: 1, read: () => Promise.resolve(example) };
    const net = { name: 'redness', forward: redness.forward, parameters: [], statistics: [], dispose: () => undefined };
    const judge = (evaluation: 'whole' | 'sliding'): Promise<TestMetrics> =>
      segmentation({ net, classes: 2, train: examples, test: examples, optimizer: { applyGradients: () => undefined }, crop: 121, evaluation }).evaluate(); // prettier-ignore
    const [whole, slid] = [await judge('whole'), await judge('sliding')];
    assert.ok(whole.testLoss > 0.1 && (whole.meanIoU as number) > 10);
    for (const key of ['testLoss', 'meanIoU', 'pixelAccuracy'] as const) {
      const [a, b] = [whole[key] as number, slid[key] as number];
      assert.ok(Math.abs(a - b) <= 1e-3 * a, `${width} wide: ${key} ${a} and ${b}`);
    }
  }
});

test.run();
