import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { drawWords } from '../../random.ts';

const test = suite('impl-gpu/trainingKernels/wasm/numberTypes');
test.before(async () => {
  await useBackend('wasm');
});

type Dtype = 'bool' | 'int32';

/** Random numbers of a type: small, so that they repeat, or as large as float32 cannot tell apart. */
function drawn(shape: readonly number[], dtype: Dtype, step: number): tf.Tensor {
  const words = drawWords({ seed: 21n, stream: 'augmentation', step }, 0, tf.util.sizeFromShape([...shape]));
  const values = Array.from(words, (word) =>
    dtype === 'bool' ? word & 1 : (word & 6) === 0 ? (word | 1) >> 1 : (word >>> 8) % 7,
  );
  return tf.tensor(dtype === 'bool' ? values : values.map((value) => value | 0), [...shape], dtype);
}

/** What only moves numbers, or asks about them: the same on every backend. */
const MOVES: Readonly<Record<string, (x: tf.Tensor, y: tf.Tensor, dtype: Dtype, step: number) => tf.Tensor[]>> = {
  where: (x, y, _, step) => [tf.where(drawn(x.shape, 'bool', step + 2), x, y)],
  'where, one': (x, y) => [tf.where(tf.scalar(true), x, y)],
  reverse: (x) => [tf.reverse(x), tf.reverse(x, 0)],
  stridedSlice: (x) => [
    tf.stridedSlice(x, [0, 0], x.shape, [2, 1]),
    tf.stridedSlice(x, [-1, 0], [0, 0], [-1, 2], 2, 3),
    tf.stridedSlice(x, [1, 0], [1, 0], [1, 1], 0, 2, 0, 0, 0),
    tf.stridedSlice(x, [0, 0], [1, 0], [1, 1], 0, 2, 0, 0, 1),
  ],
  oneHot: (x, _, dtype) => [tf.oneHot(tf.abs(tf.mod(tf.cast(x, 'int32'), tf.scalar(5, 'int32'))), 5, 1, 0, dtype)],
  unique: (x) => {
    const { values, indices } = tf.unique(x);
    const rows = tf.unique(x, 1);
    return [values, indices, rows.values, rows.indices];
  },
  concat: (x, y) => [tf.concat([x, y], 0), tf.concat([x, y], 1)],
  stack: (x, y) => [tf.stack([x, y], 1), ...tf.unstack(x)],
  slice: (x) => [tf.slice(x, [0, (x.shape[1] as number) - 1])],
  transpose: (x) => [tf.transpose(x)],
  tile: (x) => [tf.tile(x, [2, 3])],
  pad: (x) => [
    tf.pad(
      x,
      [
        [1, 2],
        [0, 1],
      ],
      1,
    ),
  ],
  gather: (x) => [tf.gather(x, tf.tensor1d([0, 0], 'int32')), tf.gather(x, tf.tensor1d([0], 'int32'), 1)],
  compare: (x, y) => [tf.equal(x, y), tf.notEqual(x, y), tf.less(x, y), tf.greaterEqual(x, y)],
  logic: (x, y) => [
    tf.logicalAnd(tf.cast(x, 'bool'), tf.cast(y, 'bool')),
    tf.logicalXor(tf.cast(x, 'bool'), tf.cast(y, 'bool')),
  ],
  cast: (x) => [tf.cast(x, 'int32'), tf.cast(x, 'bool')],
  isFinite: (x) => [tf.isFinite(x), tf.isInf(x), tf.isNaN(x)],
  clip: (x) => [tf.clipByValue(tf.cast(x, 'int32'), -2.5, 3.5), tf.clipByValue(tf.cast(x, 'int32'), -Infinity, 1e12)],
};

/** What has no integer for a result: computed of float32. */
const FUNCTIONS = [
  tf.acos,
  tf.acosh,
  tf.asin,
  tf.asinh,
  tf.atan,
  tf.atanh,
  tf.exp,
  tf.expm1,
  tf.log1p,
  tf.logSigmoid,
  tf.reciprocal,
  tf.relu6,
  tf.round,
  tf.selu,
  tf.sinh,
  tf.softplus,
] as const;

type Numbers = readonly (readonly [dtype: string, shape: readonly number[], values: readonly number[]])[];

async function on(backend: string, compute: () => tf.Tensor[]): Promise<Numbers> {
  await tf.setBackend(backend);
  return tf.tidy(() => compute().map((x) => [x.dtype, x.shape, Array.from(x.dataSync())] as const));
}

test('bools and integers are moved as they are, and nothing beside them is written', async () => {
  await tf.setBackend('wasm');
  // Small tensors all over the heap: who writes behind an output meets one, or what the heap keeps its books in.
  const guards = Array.from({ length: 60 }, (_, i) => tf.fill([1 + (i % 5)], i + 0.5));
  for (let round = 0; round < 12; round++) {
    const [rows = 0, columns = 0] = drawWords({ seed: 22n, stream: 'augmentation', step: round }, 0, 2);
    const shape = [1 + (rows % 7), 1 + (columns % 9)];
    for (const dtype of ['bool', 'int32'] as const) {
      for (const [name, move] of Object.entries(MOVES)) {
        const compute = (): tf.Tensor[] =>
          move(drawn(shape, dtype, 4 * round), drawn(shape, dtype, 4 * round + 1), dtype, 4 * round);
        const expected = await on('cpu', compute);
        assert.equal(await on('wasm', compute), expected, `${name} of ${dtype} [${shape}]`);
        guards[round]?.dispose();
        guards[round] = tf.fill([1 + (round % 5)], round + 0.5);
      }
    }
    guards.forEach((guard, i) =>
      assert.ok(
        guard.dataSync().every((value) => value === i + 0.5),
        `tensor ${i} was written`,
      ),
    );
  }
  tf.dispose(guards);
});

test('functions of bools and integers are those of the same numbers in float32', async () => {
  for (const dtype of ['bool', 'int32'] as const) {
    for (const f of FUNCTIONS) {
      const values = [0, 1, 1, 0, 1, ...(dtype === 'int32' ? [-1, 2, -3, 5] : [])];
      const [[, , expected] = ['', [], []]] = await on('cpu', () => [f(tf.tensor1d(values, 'float32'))]);
      const [[type, , got] = ['', [], []]] = await on('wasm', () => [f(tf.tensor1d(values, dtype))]);
      const near = got.every((value, i) => {
        const wanted = type === 'int32' ? Math.trunc(expected[i] as number) || 0 : (expected[i] as number);
        return (
          Object.is(value, wanted) ||
          Math.abs(value - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted)) ||
          (Number.isNaN(value) && Number.isNaN(wanted))
        );
      });
      assert.ok(near, `${f.name} of ${dtype}: ${got} in place of ${expected}`);
    }
  }
});

test.run();
