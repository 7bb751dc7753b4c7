import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { drawWords } from 'learning-rate-dropout/stream';
import { Draws } from './draws.ts';
import type { Mask, Picture } from './raster.ts';
import { cropMask, cropPicture, flipMask, flipPicture, resizeMask, resizePicture, resizeWindow } from './raster.ts';

const test = suite('models/raster');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);

/** A picture whose red, green and blue at (x, y) are given by a function. */
function paint(width: number, height: number, colour: (x: number, y: number) => readonly number[]): Picture {
  const data = new Float32Array(width * height * 3);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set(colour(x, y), (y * width + x) * 3);
  return { width, height, data };
}

const small: Mask = { width: 3, height: 2, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };

test('a window that reaches out of a mask is filled there', () => {
  const cut = cropMask(small, { x: -1, y: -1, width: 3, height: 4 }, 255);
  assert.equal([...cut.data], [255, 255, 255, 255, 1, 2, 255, 4, 5, 255, 255, 255]);
  assert.equal([...cropMask(small, { x: 1, y: 1, width: 2, height: 1 }, 255).data], [5, 6]);
  assert.equal([...cropMask(small, { x: 7, y: 0, width: 1, height: 2 }, 9).data], [9, 9]);
});

test('picture and mask are cut and mirrored alike', () => {
  fc.assert(
    fc.property(
      fc.record({
        width: fc.integer({ min: 1, max: 6 }),
        height: fc.integer({ min: 1, max: 6 }),
        window: fc.record({
          x: fc.integer({ min: -7, max: 7 }),
          y: fc.integer({ min: -7, max: 7 }),
          width: fc.integer({ min: 1, max: 9 }),
          height: fc.integer({ min: 1, max: 9 }),
        }),
      }),
      ({ width, height, window }) => {
        const picture = paint(width, height, (x, y) => [y * width + x, 100, 200]);
        const mask: Mask = { width, height, data: Uint8Array.from({ length: width * height }, (_, i) => i) };
        const cut = flipPicture(cropPicture(picture, window, [77, 0, 0]));
        const expected = flipMask(cropMask(mask, window, 77));
        for (let i = 0; i < expected.data.length; i++) assert.is(cut.data[i * 3], expected.data[i]);
      },
    ),
    { seed, numRuns: 200, includeErrorInReport: true },
  );
});

test('resizing interpolates between pixel centres at halves and repeats the edges', () => {
  const ramp = paint(2, 1, (x) => [x * 100, 0, 255]);
  const wide = resizePicture(ramp, 4, 1);
  // Centres of the new pixels in old coordinates: -.25, .25, .75, 1.25; PyTorch's interpolate(align_corners=False) gives the same.
  assert.equal(
    [0, 1, 2, 3].map((x) => wide.data[x * 3]),
    [0, 25, 75, 100],
  );
  assert.equal(
    [0, 1, 2, 3].map((x) => wide.data[x * 3 + 2]),
    [255, 255, 255, 255],
  );
  assert.is(resizePicture(ramp, 2, 1), ramp);
});

test('resizing a plane gives the plane wherever no edge is near', () => {
  const plane = paint(9, 7, (x, y) => [3 * (x + 0.5) + 5 * (y + 0.5), 0, 0]);
  const big = resizePicture(plane, 23, 31);
  for (let y = 3; y < 28; y++) {
    for (let x = 2; x < 21; x++) {
      const expected = (3 * (x + 0.5) * 9) / 23 + (5 * (y + 0.5) * 7) / 31;
      assert.ok(Math.abs((big.data[(y * 23 + x) * 3] as number) - expected) < 1e-4);
    }
  }
});

test('a window resized is the window cut and then resized, also where it reaches out of the picture', () => {
  const picture = paint(5, 4, (x, y) => [x * 17, y * 31, (x * y * 13) % 255]);
  const fill = [9, 99, 199] as const;
  for (const window of [
    { x: 1, y: 1, width: 3, height: 2 },
    { x: -3, y: -2, width: 11, height: 9 },
    { x: 4, y: 3, width: 6, height: 1 },
  ]) {
    const expected = resizePicture(cropPicture(picture, window, fill), 7, 8);
    assert.equal([...resizeWindow(picture, window, fill, 7, 8).data], [...expected.data]);
  }
});

test('a mask is resized to the classes that it has', () => {
  assert.equal(
    [...resizeMask(small, 6, 4).data],
    [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 4, 4, 5, 5, 6, 6],
  );
  assert.equal([...resizeMask(small, 1, 1).data], [5]);
});

test('an example draws its own words of the augmentation stream, however many it takes', () => {
  const draws = new Draws({ seed: 7n, epoch: 3, example: 5 });
  const taken = Array.from({ length: 10 }, () => draws.choice(2 ** 32));
  const position = { seed: 7n, stream: 'augmentation', step: 3 } as const;
  const block = (number: number): number[] => [...drawWords(position, number * 4, 4)];
  assert.equal(taken, [...block(5), ...block(5 + 2 ** 32), ...block(5 + 2 ** 33).slice(0, 2)]);
  assert.not.equal(taken.slice(4, 8), block(6));
});

test('draws keep within their bounds', () => {
  const draws = new Draws({ seed: 1n, epoch: 1, example: 0 });
  let heads = 0;
  for (let i = 0; i < 4000; i++) {
    const value = draws.between(-2, 3);
    assert.ok(value > -2 && value < 3);
    const choice = draws.choice(7);
    assert.ok(Number.isInteger(choice) && choice >= 0 && choice < 7);
    if (draws.chance(0.25)) heads += 1;
  }
  // Six standard deviations of a binomial with n = 4000, p = .25.
  assert.ok(Math.abs(heads - 1000) < 6 * Math.sqrt(4000 * 0.25 * 0.75));
});

test.run();
