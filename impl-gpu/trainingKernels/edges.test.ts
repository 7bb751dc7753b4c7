/** What tfjs-core lets through to its backends, and they compute as if it were right: paddings below zero, indices that lie outside. */
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { drawWords } from '../random.ts';

const test = suite('impl-gpu/trainingKernels/edges');

/** For each element of a padded tensor the place of its element in x, or -1. */
function placesOf(shape: readonly number[], paddings: readonly (readonly [number, number])[]): number[] {
  const out = shape.map((extent, axis) => extent + (paddings[axis]?.[0] as number) + (paddings[axis]?.[1] as number));
  return Array.from({ length: out.reduce((a, b) => a * b, 1) }, (_, i) => {
    let [rest, place, stride, inside] = [i, 0, 1, true];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const at = (rest % (out[axis] as number)) - (paddings[axis]?.[0] as number);
      rest = Math.floor(rest / (out[axis] as number));
      inside &&= at >= 0 && at < (shape[axis] as number);
      place += at * stride;
      stride *= shape[axis] as number;
    }
    return inside ? place : -1;
  });
}

for (const backend of ['cpu', 'wasm', 'webgpu']) {
  test(`${backend}: paddings below zero take away, values and gradients`, async () => {
    await useBackend(backend);
    for (let round = 0; round < 40; round++) {
      const words = drawWords({ seed: 31n, stream: 'augmentation', step: round }, 0, 12);
      const rank = 1 + (round % 3);
      const shape = Array.from({ length: rank }, (_, axis) => 4 + ((words[axis] as number) % 3));
      const paddings = shape.map((_, axis): [number, number] => [
        ((words[3 + axis] as number) % 4) - 1,
        ((words[6 + axis] as number) % 4) - 2,
      ]);
      const places = placesOf(shape, paddings);
      const size = shape.reduce((a, b) => a * b, 1);
      const values = Float32Array.from({ length: size }, (_, i) => i + 1);
      const weights = Float32Array.from(places, (_, i) => 1 + (i % 7));
      const x = tf.tensor(values, shape);
      const padded = tf.pad(x, paddings, 9);
      const what = `[${shape}] by ${JSON.stringify(paddings)}`;
      assert.equal(Array.from(await padded.data()), places.map((place) => (place < 0 ? 9 : (values[place] as number))), what); // prettier-ignore
      const expected = new Float32Array(size);
      places.forEach((place, i) => {
        if (place >= 0) expected[place] = weights[i] as number;
      });
      const gradient = tf.grad((q: tf.Tensor) =>
        tf.sum(tf.mul(tf.pad(q, paddings, 9), tf.tensor(weights, padded.shape))),
      )(x);
      assert.equal(Array.from(await gradient.data()), Array.from(expected), `gradient of ${what}`);
      tf.dispose([x, padded, gradient]);
    }
    assert.throws(() => tf.pad(tf.tensor1d([1, 2]), [[-2, -1]]), /take away more than shape \[2\] has/);
  });
}

for (const backend of ['wasm', 'webgpu']) {
  test(`${backend}: a reduction of nothing is what TensorFlow gives, whatever the memory held`, async () => {
    await useBackend(backend);
    // What uninitialised memory might hold.
    for (let round = 0; round < 5; round++)
      tf.dispose(tf.tidy(() => [tf.fill([6], 7), tf.fill([3], 7), tf.fill([2], 9)]));
    const operations = [
      ['sum', tf.sum, 0],
      ['prod', tf.prod, 1],
      ['mean', tf.mean, NaN],
      ['max', tf.max, -Infinity],
      ['min', tf.min, Infinity],
      ['any', tf.any, 0],
      ['all', tf.all, 1],
    ] as const;
    for (const [name, operation, value] of operations) {
      const of = (shape: number[]): tf.Tensor => tf.zeros(shape, name === 'any' || name === 'all' ? 'bool' : 'float32');
      for (const [shape, axis, keep, out] of [
        [[0, 2], [0], false, [2]],
        [[3, 0, 2], [1], true, [3, 1, 2]],
        [[0], undefined, false, []],
        [[2, 0, 3], [0, 2], false, [0]],
      ] as const) {
        const found = tf.tidy(() => operation(of([...shape]), axis && [...axis], keep));
        assert.equal(found.shape, [...out], `${name} of [${shape}]`);
        assert.equal(
          [...(await found.data())],
          Array.from({ length: found.size }, () => value),
          `${name} of [${shape}]`,
        );
        found.dispose();
      }
    }
    const ofIntegers = tf.tidy(() => tf.max(tf.zeros([0, 1], 'int32'), 0));
    assert.equal([...(await ofIntegers.data())], [-(2 ** 31)]);
    ofIntegers.dispose();
  });
}

test('wasm: indices that lie outside are refused, and nothing is read or written there', async () => {
  await useBackend('wasm');
  const one = tf.tensor2d([[2, 0]], [1, 2], 'int32');
  const x = tf.ones([2, 2]);
  const wrong: readonly (readonly [string, () => tf.Tensor])[] = [
    ['GatherNd', () => tf.gatherND(x, one)],
    ['GatherNd', () => tf.gatherND(x, tf.tensor2d([[0, -1]], [1, 2], 'int32'))],
    ['ScatterNd', () => tf.scatterND(one, tf.tensor1d([1]), [2, 2])],
    ['ScatterNd', () => tf.scatterND(tf.tensor1d([0, 4], 'int32'), tf.ones([2, 2]), [4, 2])],
    ['TensorScatterUpdate', () => tf.tensorScatterUpdate(x, one, tf.tensor1d([1]))],
    ['SparseToDense', () => tf.sparseToDense(tf.tensor1d([4], 'int32'), tf.tensor1d([1]), [4], tf.scalar(0))],
    ['CropAndResize', () => tf.image.cropAndResize(tf.ones([1, 4, 4, 1]), [[0, 0, 1, 1]], [1], [2, 2])],
  ];
  const tensors = tf.memory().numTensors;
  tf.tidy(() => {
    for (const [name, compute] of wrong)
      assert.throws(compute, new RegExp(`^${name}: the index \\[.*\\] lies outside`));
  });
  assert.is(tf.memory().numTensors, tensors);
  tf.tidy(() => {
    assert.equal(Array.from(tf.gatherND(x, tf.tensor2d([[1, 1]], [1, 2], 'int32')).dataSync()), [1]);
    assert.equal(
      Array.from(
        tf.sparseToDense(tf.tensor2d([[1, 0]], [1, 2], 'int32'), tf.tensor1d([5]), [2, 2], tf.scalar(0)).dataSync(),
      ),
      [0, 0, 5, 0],
    );
    assert.equal(
      Array.from(tf.scatterND(tf.tensor2d([[3]], [1, 1], 'int32'), tf.tensor1d([5]), [4]).dataSync()),
      [0, 0, 0, 5],
    );
    assert.equal(
      Array.from(tf.scatterND(tf.tensor1d([0, 3], 'int32'), tf.tensor1d([5, 6]), [4]).dataSync()),
      [5, 0, 0, 6],
    );
  });
});

for (const backend of ['cpu', 'wasm']) {
  test(`${backend}: null for dilations is 1, in gradients too`, async () => {
    await useBackend(backend);
    tf.tidy(() => {
      const [x, filter] = [tf.ones<tf.Rank.R4>([1, 4, 4, 2]), tf.ones<tf.Rank.R4>([3, 3, 2, 1])];
      const gradient = (dilations: number | null): number[] => {
        const layer = (value: tf.Tensor): tf.Tensor =>
          tf.depthwiseConv2d(value as tf.Tensor4D, filter, 1, 'same', 'NHWC', dilations as number);
        return [...tf.grad(layer)(x).dataSync()];
      };
      assert.equal(gradient(null), gradient(1));
    });
  });
}

test.run();
