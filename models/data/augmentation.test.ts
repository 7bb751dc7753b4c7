import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { drawWords } from 'learning-rate-dropout/stream';
import { Draws } from '../raster/draws.ts';
import type { CropFlip } from './augmentation.ts';
import { PADDING, drawCropFlip, drawResizedCrop, withAugmentation } from './augmentation.ts';
import { loadDigits } from './digits.ts';
import { cropInto, memorySplit } from './memoryImages.ts';

const test = suite('models/data/augmentation');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);
const settings = { seed, numRuns: 500, includeErrorInReport: true };

const position = fc.record({
  seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  epoch: fc.integer({ min: 1, max: 1000 }),
  example: fc.integer({ min: 0, max: 2 ** 31 }),
});

test('a crop out of the padded image lies within the padding, and is the words of the example and the epoch', () => {
  fc.assert(
    fc.property(position, (at) => {
      const { top, left, mirrored } = drawCropFlip(new Draws(at));
      assert.ok(Math.abs(top) <= PADDING && Math.abs(left) <= PADDING);
      // From the specification: example i reads block i, with k choices a word chooses floor(word k / 2^32).
      const words = drawWords({ seed: at.seed, stream: 'augmentation', step: at.epoch }, 4 * at.example, 4);
      const pick = (word: number, choices: number): number => Math.floor(((words[word] as number) * choices) / 2 ** 32);
      assert.equal({ top, left, mirrored }, { top: pick(0, 9) - 4, left: pick(1, 9) - 4, mirrored: pick(2, 2) === 1 });
    }),
    settings,
  );
});

test('crops are mirrored half of the time and begin everywhere equally often', () => {
  const counts = new Map<string, number>();
  const add = (key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);
  const examples = 20_000;
  for (let example = 0; example < examples; example++) {
    const { top, left, mirrored } = drawCropFlip(new Draws({ seed: 11n, epoch: 3, example }));
    for (const key of [`top ${top}`, `left ${left}`, `mirrored ${String(mirrored)}`]) add(key);
  }
  assert.is(counts.size, 9 + 9 + 2);
  for (const [key, count] of counts) {
    const p = key.startsWith('mirrored') ? 1 / 2 : 1 / 9;
    // Five standard deviations: one false alarm in 90,000 runs, and the seed is fixed.
    assert.ok(Math.abs(count - examples * p) < 5 * Math.sqrt(examples * p * (1 - p)), `${key}: ${count}`);
  }
});

test('a resized crop lies within the image, with an area and an aspect as torchvision draws them', () => {
  const sides = fc.integer({ min: 1, max: 700 });
  fc.assert(
    fc.property(position, sides, sides, (at, height, width) => {
      const crop = drawResizedCrop(new Draws(at), height, width);
      assert.ok(crop.top >= 0 && crop.left >= 0 && crop.height >= 1 && crop.width >= 1);
      assert.ok(crop.top + crop.height <= height && crop.left + crop.width <= width);
      if (Math.min(height, width) < 40) return;
      // Rounding moves each side by half a pixel.
      const slack = 1.1;
      assert.ok(crop.width / crop.height > 3 / 4 / slack && crop.width / crop.height < (4 / 3) * slack);
      if (height / width < 3 / 4 || height / width > 4 / 3) return;
      assert.ok(crop.height * crop.width > (0.08 * height * width) / slack);
    }),
    settings,
  );
});

test('areas of resized crops are uniform and half of them are mirrored; too long an image gives its middle', () => {
  const shares: number[] = [];
  let mirrored = 0;
  for (let example = 0; example < 5000; example++) {
    const crop = drawResizedCrop(new Draws({ seed: 5n, epoch: 1, example }), 1000, 1000);
    shares.push((crop.height * crop.width) / 1e6);
    mirrored += Number(crop.mirrored);
  }
  assert.ok(Math.abs(mirrored - 2500) < 5 * Math.sqrt(1250), String(mirrored));
  shares.sort((a, b) => a - b);
  assert.ok((shares[0] as number) > 0.079 && Math.max(...shares) <= 1);
  // Windows near the whole image are refused more often, those whose aspect does not fit: below half they never are.
  const share = (low: number, high: number): number => shares.filter((s) => s >= low && s < high).length;
  const [a, b] = [share(0.1, 0.3), share(0.3, 0.5)];
  assert.ok(Math.abs(a - b) < 5 * Math.sqrt(a + b), `${a} ${b}`);
  const { mirrored: _, ...middle } = drawResizedCrop(new Draws({ seed: 5n, epoch: 1, example: 0 }), 10, 1000);
  assert.equal(middle, { top: 0, left: 493, height: 10, width: 13 });
});

/** What a crop is by definition: pixel (y, x) of the padded image's window, mirrored or not. */
function byDefinition(image: Uint8Array, height: number, width: number, channels: number, crop: CropFlip): Uint8Array {
  const out = new Uint8Array(image.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromY, fromX] = [y + crop.top, (crop.mirrored ? width - 1 - x : x) + crop.left];
      if (fromY < 0 || fromY >= height || fromX < 0 || fromX >= width) continue;
      for (let c = 0; c < channels; c++) {
        out[(y * width + x) * channels + c] = image[(fromY * width + fromX) * channels + c] as number;
      }
    }
  }
  return out;
}

test('a crop of a 3 x 3 image, by hand', () => {
  const image = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9);
  const crop = (top: number, left: number, mirrored: boolean): number[] => {
    const out = new Uint8Array(9).fill(255);
    cropInto(out, image, [3, 3, 1], { top, left, mirrored });
    return [...out];
  };
  assert.equal(crop(0, 0, false), [...image]);
  assert.equal(crop(1, -1, false), [0, 4, 5, 0, 7, 8, 0, 0, 0]);
  assert.equal(crop(1, -1, true), [5, 4, 0, 8, 7, 0, 0, 0, 0]);
  assert.equal(crop(0, 0, true), [3, 2, 1, 6, 5, 4, 9, 8, 7]);
  assert.equal(crop(-2, 2, false), [0, 0, 0, 0, 0, 0, 3, 0, 0]);
  assert.equal(crop(4, 0, false), new Array<number>(9).fill(0));
});

test('crops are what their definition says, at every size and offset', () => {
  const property = fc.record({
    height: fc.integer({ min: 1, max: 7 }),
    width: fc.integer({ min: 1, max: 7 }),
    channels: fc.constantFrom(1, 3),
    top: fc.integer({ min: -PADDING, max: PADDING }),
    left: fc.integer({ min: -PADDING, max: PADDING }),
    mirrored: fc.boolean(),
  });
  fc.assert(
    fc.property(property, ({ height, width, channels, ...crop }) => {
      const image = Uint8Array.from({ length: height * width * channels }, (_, i) => i + 1);
      const out = new Uint8Array(image.length).fill(255);
      cropInto(out, image, [height, width, channels], crop);
      assert.is(Buffer.compare(out, byDefinition(image, height, width, channels, crop)), 0);
    }),
    settings,
  );
});

test('a split in memory gives the same bytes for the same draws, and others for another epoch', () => {
  const images = Uint8Array.from({ length: 2 * 12 * 12 * 3 }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const split = memorySplit([12, 12, 3], images, [0, 1]);
  const view = (epoch: number): Buffer => {
    const out = new Uint8Array(12 * 12 * 3);
    void split.images.read(1, { augmentation: 'crop-flip', draws: new Draws({ seed: 1n, epoch, example: 1 }) }, out);
    return Buffer.from(out);
  };
  assert.is(Buffer.compare(view(1), view(1)), 0);
  assert.not.equal(Buffer.compare(view(1), view(2)), 0);
});

test('an augmentation that a set does not know is answered with those that it does', async () => {
  const digits = await loadDigits();
  assert.is(withAugmentation(digits, 'crop-flip').augmentation, 'crop-flip');
  assert.throws(
    () => withAugmentation(digits, 'resized-crop-flip'),
    /--augment must be one of none, crop-flip for digits, got "resized-crop-flip"/,
  );
});

test.run();
