import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import type { Box, CentredBox } from '../../raster/boxes.ts';
import { area, intersect, iou, toCentred, toCorners } from '../../raster/boxes.ts';
import { decode, encode } from './coding.ts';
import { SSD300_MAPS, boxesPerCell, defaultBoxes } from '../../nets/defaultBoxes.ts';
import { UNMATCHED, match } from './matching.ts';
import { targetsOf } from './targets.ts';

const test = suite('models/tasks/detection/boxes');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);
const fuzz = { seed, numRuns: 300, includeErrorInReport: true };

const torchvision = JSON.parse(readFileSync(new URL('fixtures/torchvision.json', import.meta.url), 'utf8')) as {
  defaultBoxes: { count: number; rows: { index: number; corners: number[] }[]; sums: number[] };
  overlaps: { a: number[]; b: number[]; iou: number[] };
};

function boxAt(numbers: readonly number[], row: number): Box {
  const [xmin, ymin, xmax, ymax] = numbers.slice(row * 4, row * 4 + 4) as [number, number, number, number];
  return { xmin, ymin, xmax, ymax };
}

function assertClose(got: number, expected: number, bound: number): void {
  assert.ok(Math.abs(got - expected) <= bound, `${got} instead of ${expected}`);
}

const side = fc.double({ min: 0.01, max: 0.6, noNaN: true });
const corner = fc.double({ min: -0.2, max: 0.9, noNaN: true });
const box = fc
  .tuple(corner, corner, side, side)
  .map(([xmin, ymin, w, h]): Box => ({ xmin, ymin, xmax: xmin + w, ymax: ymin + h }));

test('SSD300 has 8,732 default boxes: 5776, 2166, 600, 150, 36 and 4 on its maps', () => {
  const counts = SSD300_MAPS.map((map) => map.cells ** 2 * boxesPerCell(map));
  assert.equal(counts, [5776, 2166, 600, 150, 36, 4]);
  assert.is(defaultBoxes().length, 8732);
});

test("the default boxes are torchvision's for the same scales, in the same order", () => {
  const boxes = defaultBoxes().map(toCorners);
  assert.is(boxes.length, torchvision.defaultBoxes.count);
  for (const { index, corners } of torchvision.defaultBoxes.rows) {
    const { xmin, ymin, xmax, ymax } = boxes[index] as Box;
    [xmin, ymin, xmax, ymax].forEach((value, i) => assertClose(value, corners[i] as number, 2e-6));
  }
  (['xmin', 'ymin', 'xmax', 'ymax'] as const).forEach((key, i) => {
    const sum = boxes.reduce((total, each) => total + each[key], 0);
    assertClose(sum, torchvision.defaultBoxes.sums[i] as number, 0.005);
  });
});

test('the first default boxes of conv4_3 and conv7 are those computed by hand', () => {
  const boxes = defaultBoxes();
  const first = boxes[0] as CentredBox;
  assert.equal([first.cx * 300, first.cy * 300, first.w * 300, first.h * 300], [4, 4, 30, 30]);
  assertClose((boxes[1] as CentredBox).w * 300, Math.sqrt(30 * 60), 1e-9);
  assertClose((boxes[2] as CentredBox).w * 300, 30 * Math.SQRT2, 1e-9);
  assertClose((boxes[3] as CentredBox).h * 300, 30 * Math.SQRT2, 1e-9);
  // The second cell lies to the right of the first, not below.
  assert.is((boxes[4] as CentredBox).cx * 300, 12);
  assert.is((boxes[4] as CentredBox).cy * 300, 4);
  const upright = boxes[5776 + 5] as CentredBox;
  assertClose(upright.w * 300, 60 / Math.sqrt(3), 1e-9);
  assertClose(upright.h * 300, 60 * Math.sqrt(3), 1e-9);
});

test("overlaps are torchvision's", () => {
  const { a, b, iou: expected } = torchvision.overlaps;
  for (let i = 0; i < 6; i++) {
    for (let j = 0; j < 5; j++) assertClose(iou(boxAt(a, i), boxAt(b, j)), expected[i * 5 + j] as number, 2e-6);
  }
});

test('an overlap is symmetric, 1 with itself, 0 with what it does not touch, and cannot exceed the ratio of the areas', () => {
  fc.assert(
    fc.property(box, box, (a, b) => {
      const value = iou(a, b);
      assert.is(value, iou(b, a));
      assertClose(iou(a, a), 1, 1e-12);
      assert.ok(value <= Math.min(area(a), area(b)) / Math.max(area(a), area(b)) + 1e-12);
      if (a.xmax <= b.xmin || b.ymax <= a.ymin) assert.is(value, 0);
      assert.ok(area(intersect(a, b)) <= Math.min(area(a), area(b)));
    }),
    fuzz,
  );
  const empty = { xmin: 0.5, ymin: 0.5, xmax: 0.5, ymax: 0.5 };
  assert.is(iou(empty, empty), 0);
});

test('what is encoded decodes to itself, and a default box encodes to zeros', () => {
  fc.assert(
    fc.property(box, box, (target, around) => {
      const prior = toCentred(around);
      const back = decode(encode(target, prior), prior);
      for (const key of ['xmin', 'ymin', 'xmax', 'ymax'] as const) assertClose(back[key], target[key], 1e-9);
      encode(toCorners(prior), prior).forEach((value) => assertClose(value, 0, 1e-9));
    }),
    fuzz,
  );
});

test('offsets are in units of the variances: a tenth of the width to the right is 1, a fifth of a log size is 1', () => {
  const prior = { cx: 0.5, cy: 0.5, w: 0.4, h: 0.2 };
  const moved = toCorners({ cx: 0.54, cy: 0.5, w: 0.4 * Math.exp(0.2), h: 0.2 });
  encode(moved, prior).forEach((value, i) => assertClose(value, [1, 0, 1, 0][i] as number, 1e-9));
});

/** Two rows of four unit squares, [0, 1] x [0, 1] first. */
const grid = Array.from({ length: 8 }, (_, i): CentredBox => {
  return { cx: (i % 4) + 0.5, cy: Math.floor(i / 4) + 0.5, w: 1, h: 1 };
});

test('default boxes from an overlap of .5 on are matched, the best one always', () => {
  // Covers cell 0 whole and .5 of cell 1: overlaps 1 / 1.5 and .5 / 2.
  const wide: Box = { xmin: 0, ymin: 0, xmax: 1.5, ymax: 1 };
  assert.equal([...match([wide], grid)], [0, -1, -1, -1, -1, -1, -1, -1]);
  // Cells 0 and 1 whole: an overlap of exactly .5 each. The first is the best, the second at the threshold.
  assert.equal([...match([{ xmin: 0, ymin: 0, xmax: 2, ymax: 1 }], grid)], [0, 0, -1, -1, -1, -1, -1, -1]);
  // Too small for any threshold: its best box is forced.
  assert.equal([...match([{ xmin: 2.1, ymin: 1.1, xmax: 2.2, ymax: 1.2 }], grid)], [-1, -1, -1, -1, -1, -1, 0, -1]);
  assert.equal(
    [...match([], grid)],
    Array.from(grid, () => UNMATCHED),
  );
  assert.equal(
    [...match([{ xmin: 9, ymin: 9, xmax: 9.5, ymax: 9.5 }], grid)],
    Array.from(grid, () => UNMATCHED),
  );
});

test('two objects with the same best default box get one each: the better pair first', () => {
  const better: Box = { xmin: 0, ymin: 0, xmax: 1, ymax: 0.9 };
  const worse: Box = { xmin: 0.1, ymin: 0, xmax: 1.1, ymax: 0.8 };
  for (const truths of [
    [better, worse],
    [worse, better],
  ]) {
    const matched = match(truths, grid);
    assert.is(truths[matched[0] as number], better);
    assert.is(truths[matched[1] as number], worse);
  }
});

test('every object that touches a default box has one, and all others are matched by their largest overlap', () => {
  const priors = defaultBoxes([{ cells: 4, step: 75, minimumSize: 60, maximumSize: 120, aspectRatios: [2] }]);
  const corners = priors.map(toCorners);
  // Large enough that five of them find five boxes in any place.
  const inside = box.map((b) => intersect(b, { xmin: 0, ymin: 0, xmax: 1, ymax: 1 })).filter((b) => area(b) > 0.04);
  fc.assert(
    fc.property(fc.array(inside, { minLength: 1, maxLength: 5 }), (truths) => {
      const matched = match(truths, priors);
      assert.equal(
        truths.map((_, i) => matched.includes(i)),
        truths.map(() => true),
      );
      let forced = 0;
      matched.forEach((index, prior) => {
        const overlaps = truths.map((truth) => iou(truth, corners[prior] as Box));
        const best = Math.max(...overlaps);
        if (index === UNMATCHED) assert.ok(best < 0.5);
        else if (overlaps[index] !== best || best < 0.5) forced += 1;
      });
      assert.ok(forced <= truths.length);
    }),
    { ...fuzz, numRuns: 100 },
  );
});

test('targets carry the class and the offsets of matched boxes, and background elsewhere', () => {
  const truth: Box = { xmin: 0, ymin: 0, xmax: 1.5, ymax: 1 };
  const { offsets, labels, positives } = targetsOf([{ box: truth, label: 7, difficult: true }], grid);
  assert.equal([...labels], [7, 0, 0, 0, 0, 0, 0, 0]);
  assert.is(positives, 1);
  encode(truth, grid[0] as CentredBox).forEach((value, i) => assertClose(offsets[i] as number, value, 1e-6));
  assert.ok(offsets.subarray(4).every((value) => value === 0));
});

test.run();
