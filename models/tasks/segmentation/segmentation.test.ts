import * as tf from '@tensorflow/tfjs';
import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../backend.ts';
import { labelBatch, pixelCrossEntropy, segmentationLoss } from './loss.ts';
import { ConfusionMatrix, VOID } from './metrics.ts';
import { adaptiveAveragePool, alignedWeights, poolingWeights, resizeAligned } from '../../nets/resample.ts';

const test = suite('models/tasks/segmentation/segmentation');
const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8')) as unknown;

interface Case {
  readonly shape: [number, number, number, number];
  readonly x: number[];
  readonly y: number[];
  readonly r: number[];
  readonly dx: number[];
}

const pytorch = read('pytorch') as {
  pooling: (Case & { bins: number })[];
  resizing: (Case & { size: [number, number] })[];
  crossEntropy: {
    shape: [number, number, number, number];
    logits: number[];
    labels: number[];
    loss: number;
    gradient: number[];
  };
};

function assertAllClose(got: ArrayLike<number>, expected: ArrayLike<number>, bound: number, what = ''): void {
  assert.is(got.length, expected.length);
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [got[i] as number, expected[i] as number];
    if (!(Math.abs(a - b) <= bound)) assert.unreachable(`${what} element ${i}: ${a} instead of ${b}`);
  }
}

/** Checks y = f(x) and the gradient of sum(y r). */
async function check({ shape, x, y, r, dx }: Case, f: (x: tf.Tensor4D) => tf.Tensor4D, what: string): Promise<void> {
  const input = tf.tensor4d(x, shape);
  const output = tf.tidy(() => f(input));
  const direction = tf.tensor4d(r, output.shape);
  const gradient = tf.tidy(() => tf.grad((t) => f(t as tf.Tensor4D))(input, direction));
  // The file has six digits.
  assertAllClose(await output.data(), y, 1e-5, `${what}: y`);
  assertAllClose(await gradient.data(), dx, 4e-5, `${what}: dx`);
  tf.dispose([input, output, direction, gradient]);
}

for (const backend of ['cpu', 'wasm', 'webgpu']) {
  test(`${backend}: adaptive average pooling and its gradient are PyTorch's, for bins that divide and that don't`, async () => {
    await useBackend(backend);
    for (const { bins, ...example } of pytorch.pooling) {
      await check(example, (x) => adaptiveAveragePool(x, bins), `[${example.shape}] to ${bins} bins`);
    }
  });

  test(`${backend}: bilinear resizing with aligned corners and its gradient are PyTorch's`, async () => {
    await useBackend(backend);
    for (const { size, ...example } of pytorch.resizing) {
      await check(example, (x) => resizeAligned(x, ...size), `[${example.shape}] to [${size}]`);
    }
  });

  test(`${backend}: cross-entropy over the pixels that count, and its gradient, are PyTorch's`, async () => {
    await useBackend(backend);
    const { shape, logits, labels, loss, gradient } = pytorch.crossEntropy;
    const batch = labelBatch(Uint8Array.from(labels), [shape[0], shape[1], shape[2]]);
    const input = tf.tensor4d(logits, shape);
    const { value, grad } = tf.valueAndGrad((x) => pixelCrossEntropy(x as tf.Tensor4D, batch))(input);
    assertAllClose(await value.data(), [loss], 2e-6);
    assertAllClose(await grad.data(), gradient, 1e-6);
    tf.dispose([input, value, grad, batch.classes, batch.weights]);
  });
}

test('bins are those worked by hand', () => {
  assert.equal([...poolingWeights(4, 2).values], [0.5, 0.5, 0, 0, 0, 0, 0.5, 0.5]);
  // Five values into three bins: 0..1, 1..3, 3..4.
  const third = Math.fround(1 / 3);
  assert.equal([...poolingWeights(5, 3).values], [0.5, 0.5, 0, 0, 0, 0, third, third, third, 0, 0, 0, 0, 0.5, 0.5]);
  // Two values into three bins: both in the middle one.
  assert.equal([...poolingWeights(2, 3).values], [1, 0, 0.5, 0.5, 0, 1]);
});

test('resizing with aligned corners is what is worked by hand', async () => {
  await useBackend('cpu');
  const x = tf.tensor4d([0, 6, 12, 18], [1, 2, 2, 1]);
  assertAllClose(await resizeAligned(x, 3, 4).data(), [0, 2, 4, 6, 6, 8, 10, 12, 12, 14, 16, 18], 1e-6);
  assert.equal([...alignedWeights(3, 5).values], [1, 0, 0, 0.5, 0.5, 0, 0, 1, 0, 0, 0.5, 0.5, 0, 0, 1]);
});

test('the auxiliary output counts .4, and void pixels count nothing', async () => {
  await useBackend('cpu');
  // Two pixels, the second void; two classes.
  const labels = labelBatch(Uint8Array.of(1, VOID), [1, 1, 2]);
  const main = tf.tensor4d([0, 1, 50, -50], [1, 1, 2, 2]);
  const auxiliary = tf.tensor4d([2, 0, -9, 9], [1, 1, 2, 2]);
  const expected = Math.log(1 + Math.exp(-1)) + 0.4 * Math.log(1 + Math.exp(2));
  assertAllClose(await segmentationLoss({ main, auxiliary }, labels).data(), [expected], 1e-6);
  assertAllClose(await segmentationLoss({ main }, labels).data(), [Math.log(1 + Math.exp(-1))], 1e-6);
  assert.is(labels.pixels, 1);
  const nothing = labelBatch(Uint8Array.of(VOID, VOID), [1, 1, 2]);
  assert.is((await segmentationLoss({ main }, nothing).data())[0], 0);
});

test('IoU and accuracy of a case worked by hand', () => {
  const matrix = new ConfusionMatrix(4);
  //           right        taken for 1  void     class 2 found in 1   right
  matrix.add([0, 0, 0, 0, VOID, VOID, 1, 1, 2], [0, 0, 0, 1, 3, 0, 2, 1, 2]);
  // Class 0: 3 of 4. Class 1: 1 right, 1 lost, 1 too many. Class 2: 1 right, 1 too many. Class 3: only predicted on void.
  assert.equal(matrix.iou.slice(0, 3), [3 / 4, 1 / 3, 1 / 2]);
  assert.ok(Number.isNaN(matrix.iou[3]));
  assert.is(matrix.meanIou, (3 / 4 + 1 / 3 + 1 / 2) / 3);
  assert.is(matrix.pixelAccuracy, 5 / 7);
  assert.ok(Number.isNaN(new ConfusionMatrix(2).meanIou));
});

test("confusion, IoU and accuracy are scikit-learn's", () => {
  const { classes, truth, prediction, ...expected } = read('scikit-learn') as {
    classes: number;
    truth: number[];
    prediction: number[];
    confusion: number[][];
    iou: number[];
    meanIou: number;
    accuracy: number;
  };
  const matrix = new ConfusionMatrix(classes);
  // In two parts, as batches come.
  matrix.add(truth.slice(0, 150), prediction.slice(0, 150));
  matrix.add(truth.slice(150), prediction.slice(150));
  assert.equal([...matrix.counts], expected.confusion.flat());
  assertAllClose(matrix.iou.slice(0, classes - 1), expected.iou, 1e-12);
  assertAllClose([matrix.meanIou, matrix.pixelAccuracy], [expected.meanIou, expected.accuracy], 1e-12);
});

test.run();
