import * as tf from '@tensorflow/tfjs';
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { drawWords, uniform } from 'learning-rate-dropout/stream';
import type { Box, CentredBox, GroundTruth } from '../../raster/boxes.ts';
import { toCentred } from '../../raster/boxes.ts';
import { encode } from './coding.ts';
import { averagePrecision, meanAveragePrecision, precisionRecall } from './averagePrecision.ts';
import type { JudgedPicture } from './averagePrecision.ts';
import { detect, suppress } from './detect.ts';

const test = suite('models/tasks/detection/detect');
const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8')) as unknown;

type Corners = [number, number, number, number];
const boxOf = ([xmin, ymin, xmax, ymax]: Corners): Box => ({ xmin, ymin, xmax, ymax });
const rows = (numbers: readonly number[]): Corners[] =>
  Array.from({ length: numbers.length / 4 }, (_, i) => numbers.slice(4 * i, 4 * i + 4) as Corners);

function assertClose(got: number, expected: number, bound: number): void {
  assert.ok(Math.abs(got - expected) <= bound, `${got} instead of ${expected}`);
}

test("suppression keeps what torchvision's keeps", () => {
  const { suppression } = read('torchvision') as {
    suppression: { boxes: number[]; kept: Record<string, number[]> };
  };
  const boxes = rows(suppression.boxes).map(boxOf);
  for (const [limit, kept] of Object.entries(suppression.kept)) assert.equal(suppress(boxes, Number(limit)), kept);
});

test("suppression keeps what tfjs's own operation keeps", async () => {
  const words = drawWords({ seed: 3n, stream: 'augmentation', step: 1 }, 0, 400);
  const boxes = Array.from({ length: 100 }, (_, i): Box => {
    const [x, y, w, h] = [...words.subarray(4 * i, 4 * i + 4)].map(uniform) as Corners;
    return { xmin: x, ymin: y, xmax: x + 0.1 + w / 2, ymax: y + 0.1 + h / 2 };
  });
  const tensor = tf.tensor2d(boxes.map(({ xmin, ymin, xmax, ymax }) => [ymin, xmin, ymax, xmax]));
  const scores = boxes.map((_, i) => 1 - i / 200);
  const kept = await tf.image.nonMaxSuppressionAsync(tensor, scores, 100, 0.45);
  assert.equal(suppress(boxes, 0.45), [...(await kept.data())]);
  tf.dispose([tensor, kept]);
});

const PRIORS: CentredBox[] = [
  { cx: 0.3, cy: 0.3, w: 0.2, h: 0.2 },
  { cx: 0.31, cy: 0.3, w: 0.2, h: 0.2 },
  { cx: 0.7, cy: 0.7, w: 0.2, h: 0.2 },
  { cx: 0.95, cy: 0.5, w: 0.2, h: 0.2 },
];

test('detections are decoded, cut at the edge, suppressed class by class, and sorted', () => {
  const target: Box = { xmin: 0.55, ymin: 0.6, xmax: 0.85, ymax: 0.8 };
  const offsets = new Float32Array(16);
  offsets.set(encode(target, PRIORS[2] as CentredBox), 8);
  // Columns: background, two classes.
  const scores = Float32Array.of(0.1, 0.6, 0.3, 0.2, 0.7, 0.1, 0.1, 0.1, 0.8, 0.985, 0.01, 0.005);
  const found = detect(offsets, scores, PRIORS);
  const seen = found.map(({ label, score }) => [label, Math.round(score * 1000) / 1000]);
  // .6 of class 1 overlaps .7 and goes; both of class 2 stay apart from class 1; .1 at boxes 1 (class 2) goes before .3 at box 0.
  assert.equal(seen, [
    [2, 0.8],
    [1, 0.7],
    [2, 0.3],
    [1, 0.1],
  ]);
  for (const key of ['xmin', 'ymin', 'xmax', 'ymax'] as const) {
    assertClose((found[0] as { box: Box }).box[key], target[key], 1e-6);
  }
  const low = detect(offsets, scores, PRIORS, { minimumScore: 0.005, maximum: 10 });
  const edge = low.find(({ score }) => Math.abs(score - 0.01) < 1e-6);
  assertClose((edge as { box: Box }).box.xmax, 1, 1e-12);
  assert.is(detect(offsets, scores, PRIORS, { maximum: 2 }).length, 2);
  assert.is(detect(offsets, scores, PRIORS, { candidates: 1 }).length, 2);
});

const unit = (x: number): Box => ({ xmin: x, ymin: 0, xmax: x + 1, ymax: 1 });
const truth = (x: number, difficult = false, label = 1): GroundTruth => ({ box: unit(x), label, difficult });

/** Two pictures, three objects of class 1; by falling score: right, wrong (nothing there), right, wrong (found before), right. */
const worked: JudgedPicture[] = [
  {
    truths: [truth(0), truth(10)],
    detections: [
      { box: unit(0.1), label: 1, score: 0.9 },
      { box: unit(5), label: 1, score: 0.8 },
      { box: unit(0), label: 1, score: 0.6 },
      { box: unit(10), label: 1, score: 0.5 },
    ],
  },
  { truths: [truth(0)], detections: [{ box: unit(0), label: 1, score: 0.7 }] },
];

test('average precision of a case worked by hand, both ways', () => {
  const curve = precisionRecall(worked, 1);
  assert.is(curve.objects, 3);
  curve.precision.forEach((value, i) => assertClose(value, [1, 1 / 2, 2 / 3, 2 / 4, 3 / 5][i] as number, 1e-12));
  curve.recall.forEach((value, i) => assertClose(value, [1 / 3, 1 / 3, 2 / 3, 2 / 3, 1][i] as number, 1e-12));
  // Best precision at or beyond recall 0 .. .3: 1; .4 .. .6: 2/3; .7 .. 1: 3/5.
  assertClose(averagePrecision(curve, '11-point'), (4 * 1 + 3 * (2 / 3) + 4 * (3 / 5)) / 11, 1e-12);
  assertClose(averagePrecision(curve, 'area'), (1 + 2 / 3 + 3 / 5) / 3, 1e-12);
});

test('a difficult object is neither to be found nor wrong to find', () => {
  const pictures: JudgedPicture[] = [
    {
      truths: [truth(0), truth(10, true)],
      detections: [
        { box: unit(10), label: 1, score: 0.9 },
        { box: unit(10.1), label: 1, score: 0.8 },
        { box: unit(0), label: 1, score: 0.7 },
      ],
    },
  ];
  const curve = precisionRecall(pictures, 1);
  assert.equal(curve, { precision: [1], recall: [1], objects: 1 });
  assert.ok(Number.isNaN(averagePrecision(precisionRecall(pictures, 2), 'area')));
});

test('a detection looks at the object that it overlaps most, even if that has been found', () => {
  const pictures: JudgedPicture[] = [
    {
      truths: [truth(0), truth(0.3)],
      detections: [
        { box: unit(0), label: 1, score: 0.9 },
        { box: unit(0.1), label: 1, score: 0.8 },
      ],
    },
  ];
  assert.equal(precisionRecall(pictures, 1).precision, [1, 0.5]);
});

test('an overlap of exactly .5 is enough, and the mean is over the classes that occur', () => {
  const half: JudgedPicture[] = [
    {
      truths: [{ box: { xmin: 0, ymin: 0, xmax: 2, ymax: 1 }, label: 1, difficult: false }, truth(8, false, 3)],
      detections: [{ box: unit(0), label: 1, score: 0.5 }],
    },
  ];
  const result = meanAveragePrecision(half, 4, 'area');
  assert.equal([result.byClass[1], result.byClass[3], result.mean], [1, 0, 0.5]);
  assert.ok(Number.isNaN(result.byClass[2]) && Number.isNaN(result.byClass[0]));
  assert.ok(Number.isNaN(meanAveragePrecision([], 4, '11-point').mean));
});

test("average precision is pycocotools' on random detections", () => {
  const reference = read('pycocotools') as {
    classes: number;
    truths: { picture: number; label: number; difficult: boolean; corners: Corners }[];
    detections: { picture: number; label: number; score: number; corners: Corners }[];
    elevenPoint: number[];
    manyPoint: number[];
  };
  const { truths, detections, classes } = reference;
  const count = 1 + Math.max(...truths.map(({ picture }) => picture));
  const pictures = Array.from({ length: count }, (_, index): JudgedPicture => {
    return {
      truths: truths
        .filter(({ picture }) => picture === index)
        .map(({ label, difficult, corners }) => ({ box: boxOf(corners), label, difficult })),
      detections: detections
        .filter(({ picture }) => picture === index)
        .map(({ label, score, corners }) => ({ box: boxOf(corners), label, score })),
    };
  });
  const eleven = meanAveragePrecision(pictures, classes, '11-point').byClass;
  const areas = meanAveragePrecision(pictures, classes, 'area').byClass;
  for (let label = 1; label < classes; label++) {
    assertClose(eleven[label] as number, reference.elevenPoint[label - 1] as number, 1e-9);
    // It reads the curve at 20,001 recalls.
    assertClose(areas[label] as number, reference.manyPoint[label - 1] as number, 1e-3);
  }
});

test('a box and its centred form are one', () => {
  assert.equal(toCentred({ xmin: 1, ymin: 2, xmax: 3, ymax: 6 }), { cx: 2, cy: 4, w: 2, h: 4 });
});

test.run();
