import * as tf from '@tensorflow/tfjs';
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../backend.ts';
import type { CentredBox } from '../../raster/boxes.ts';
import { toCentred } from '../../raster/boxes.ts';
import { encode } from './coding.ts';
import type { MultiboxLoss, TargetBatch } from './multiboxLoss.ts';
import type { Predictions } from '../../nets/ssd300.ts';
import { disposeTargets, hardNegatives, multiboxLoss, smoothL1, targetBatch } from './multiboxLoss.ts';
import type { Targets } from './targets.ts';

const test = suite('models/tasks/detection/multiboxLoss');

const { loss: reference } = JSON.parse(readFileSync(new URL('fixtures/torchvision.json', import.meta.url), 'utf8')) as {
  loss: {
    shape: [number, number, number];
    priors: number[];
    truths: number[][];
    labels: number[][];
    matched: number[][];
    regression: number[];
    logits: number[];
    localisation: number;
    confidence: number;
    regressionGradient: number[];
    logitsGradient: number[];
  };
};

const corners = (numbers: readonly number[], row: number): CentredBox => {
  const [xmin, ymin, xmax, ymax] = numbers.slice(4 * row, 4 * row + 4) as [number, number, number, number];
  return toCentred({ xmin, ymin, xmax, ymax });
};

/** The reference's matches as targets. */
function referenceTargets(): Targets[] {
  return reference.matched.map((matched, picture): Targets => {
    const offsets = new Float32Array(matched.length * 4);
    const labels = new Uint8Array(matched.length);
    matched.forEach((truth, prior) => {
      if (truth < 0) return;
      const { cx, cy, w, h } = corners(reference.truths[picture] as number[], truth);
      const box = { xmin: cx - w / 2, ymin: cy - h / 2, xmax: cx + w / 2, ymax: cy + h / 2 };
      offsets.set(encode(box, corners(reference.priors, prior)), prior * 4);
      labels[prior] = (reference.labels[picture] as number[])[truth] as number;
    });
    return { offsets, labels, positives: matched.filter((truth) => truth >= 0).length };
  });
}

const total = ({ localisation, confidence }: MultiboxLoss): tf.Scalar => tf.add(localisation, confidence);

interface Judged {
  readonly localisation: number;
  readonly confidence: number;
  readonly offsetGradient: Float32Array;
  readonly logitGradient: Float32Array;
}

async function judge(
  offsets: Float32Array,
  logits: Float32Array,
  targets: TargetBatch,
  classes: number,
): Promise<Judged> {
  const [batch, boxes] = targets.labels.shape;
  const results = tf.tidy(() => {
    const predictions: Predictions = {
      offsets: tf.tensor3d(offsets, [batch, boxes, 4]),
      logits: tf.tensor3d(logits, [batch, boxes, classes]),
    };
    const { localisation, confidence } = multiboxLoss(predictions, targets);
    const gradients = tf.grads((a, b) =>
      total(multiboxLoss({ offsets: a as tf.Tensor3D, logits: b as tf.Tensor3D }, targets)),
    )([predictions.offsets, predictions.logits]);
    return [localisation, confidence, ...gradients];
  });
  const values = await Promise.all(results.map((tensor) => tensor.data<'float32'>()));
  tf.dispose(results);
  const [localisation, confidence, offsetGradient, logitGradient] = values as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  return {
    localisation: localisation[0] as number,
    confidence: confidence[0] as number,
    offsetGradient,
    logitGradient,
  };
}

function assertAllClose(got: ArrayLike<number>, expected: ArrayLike<number>, bound: number): void {
  assert.is(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [got[i] as number, expected[i] as number];
    if (!(Math.abs(a - b) <= bound)) assert.unreachable(`element ${i}: ${a} instead of ${b}`);
  }
}

for (const backend of ['cpu', 'wasm', 'webgpu']) {
  test(`${backend}: the loss and its gradients are torchvision's`, async () => {
    await useBackend(backend);
    const targets = targetBatch(referenceTargets());
    const before = tf.memory().numTensors;
    const offsets = Float32Array.from(reference.regression);
    const logits = Float32Array.from(reference.logits);
    const judged = await judge(offsets, logits, targets, reference.shape[2]);
    assertAllClose([judged.localisation, judged.confidence], [reference.localisation, reference.confidence], 2e-5);
    assertAllClose(judged.offsetGradient, reference.regressionGradient, 2e-6);
    assertAllClose(judged.logitGradient, reference.logitsGradient, 2e-6);
    assert.is(tf.memory().numTensors, before);
    disposeTargets(targets);
  });
}

/** The definition, in float64, one box at a time. */
function definition(offsets: Float64Array, logits: Float64Array, targets: readonly Targets[], classes: number): number {
  let sum = 0;
  let matches = 0;
  targets.forEach((target, picture) => {
    const boxes = target.labels.length;
    const losses = Array.from(target.labels, (label, box) => {
      const row = logits.subarray((picture * boxes + box) * classes, (picture * boxes + box + 1) * classes);
      return Math.log(row.reduce((total, value) => total + Math.exp(value), 0)) - (row[label] as number);
    });
    const negatives = losses.filter((_, box) => target.labels[box] === 0).sort((a, b) => b - a);
    sum += negatives.slice(0, 3 * target.positives).reduce((total, value) => total + value, 0);
    target.labels.forEach((label, box) => {
      if (label === 0) return;
      matches += 1;
      sum += losses[box] as number;
      for (let k = 0; k < 4; k++) {
        const at = (picture * boxes + box) * 4 + k;
        const x = Math.abs((offsets[at] as number) - (target.offsets[box * 4 + k] as number));
        sum += x < 1 ? x * x * 0.5 : x - 0.5;
      }
    });
  });
  return sum / matches;
}

test('the gradients are those of the definition by finite differences', async () => {
  await useBackend('cpu');
  const targets = referenceTargets();
  const [, , classes] = reference.shape;
  const offsets = Float64Array.from(reference.regression);
  const logits = Float64Array.from(reference.logits);
  const batch = targetBatch(targets);
  const judged = await judge(Float32Array.from(offsets), Float32Array.from(logits), batch, classes);
  disposeTargets(batch);
  assertAllClose([judged.localisation + judged.confidence], [definition(offsets, logits, targets, classes)], 2e-5);
  const step = 1e-6;
  const slope = (values: Float64Array, at: number): number => {
    const held = values[at] as number;
    values[at] = held + step;
    const above = definition(offsets, logits, targets, classes);
    values[at] = held - step;
    const below = definition(offsets, logits, targets, classes);
    values[at] = held;
    return (above - below) / (2 * step);
  };
  assertAllClose(
    judged.offsetGradient,
    Float64Array.from(offsets, (_, i) => slope(offsets, i)),
    3e-6,
  );
  assertAllClose(
    judged.logitGradient,
    Float64Array.from(logits, (_, i) => slope(logits, i)),
    3e-6,
  );
});

test('smooth L1 meets itself at 1 with one value and one slope', async () => {
  await useBackend('cpu');
  const x = tf.tensor1d([-3, -1, -0.5, 0, 0.5, 1, 3]);
  assertAllClose(await smoothL1(x).data(), [2.5, 0.5, 0.125, 0, 0.125, 0.5, 2.5], 1e-7);
  assertAllClose(await tf.grad(smoothL1)(x).data(), [-1, -1, -0.5, 0, 0.5, 1, 1], 1e-7);
});

for (const backend of ['cpu', 'wasm', 'webgpu']) {
  test(`${backend}: three negatives for each positive, though all losses are equal`, async () => {
    await useBackend(backend);
    const target = (positives: readonly number[]): Targets => ({
      offsets: new Float32Array(40),
      labels: Uint8Array.from({ length: 10 }, (_, box) => (positives.includes(box) ? 1 : 0)),
      positives: positives.length,
    });
    // The third has but six boxes left for its twelve negatives; the last has no object and so no negatives.
    const targets = targetBatch([target([2]), target([0, 9]), target([1, 3, 5, 7]), target([])]);
    const chosen = hardNegatives(tf.zeros([4, 10, 3]), targets);
    const values = await chosen.data<'float32'>();
    const counts = [0, 1, 2, 3].map((row) => values.subarray(row * 10, row * 10 + 10).reduce((sum, v) => sum + v, 0));
    assert.equal(counts, [3, 6, 6, 0]);
    const positive = await targets.positive.data<'float32'>();
    values.forEach((value, i) => assert.ok(value * (positive[i] as number) === 0));
    chosen.dispose();
    disposeTargets(targets);
  });
}

test('the negatives are those that the network is most wrong about', async () => {
  await useBackend('cpu');
  const targets = targetBatch([
    { offsets: new Float32Array(24), labels: Uint8Array.of(0, 0, 1, 0, 0, 0), positives: 1 },
  ]);
  const logits = tf.tensor3d([0, 1, 0, 5, 0, 9, 0, -2, 0, 3, 0, 2], [1, 6, 2]);
  assert.equal([...(await hardNegatives(logits, targets).data())], [0, 1, 0, 0, 1, 1]);
});

test('a batch without any object has no loss and no gradient', async () => {
  await useBackend('cpu');
  const targets = targetBatch([{ offsets: new Float32Array(8), labels: Uint8Array.of(0, 0), positives: 0 }]);
  const judged = await judge(new Float32Array(8).fill(3), Float32Array.of(1, 2, 3, 4, 5, 6), targets, 3);
  assert.is(judged.localisation + judged.confidence, 0);
  assert.ok([...judged.offsetGradient, ...judged.logitGradient].every((value) => Math.abs(value) === 0));
});

test.run();
