import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { drawWords, uniform } from '../../random.ts';

const test = suite('impl-gpu/trainingKernels/wasm/matMul');
test.before(async () => {
  await useBackend('wasm');
});

function numbers(count: number, step: number): Float32Array {
  const words = drawWords({ seed: 4n, stream: 'augmentation', step }, 0, count);
  return Float32Array.from(words, (word) => 2 * uniform(word) - 1);
}

interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** op(A) op(B) in float64. */
function product(a: Float32Array, b: Float32Array, { m, n, k }: Sizes, ta: boolean, tb: boolean): number[] {
  return Array.from({ length: m * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let l = 0; l < k; l++) {
      sum += (a[ta ? l * m + i : i * k + l] as number) * (b[tb ? j * k + l : l * n + j] as number);
    }
    return sum;
  });
}

/** |got - expected| <= (k + 2) 2^-24 sum |a||b| <= (k + 2) k 2^-24 for entries in [-1, 1]: the bound of a sum in any order. */
function close(got: ArrayLike<number>, expected: readonly number[], k: number): void {
  assert.is(got.length, expected.length);
  expected.forEach((value, i) => {
    const error = Math.abs((got[i] as number) - value);
    assert.ok(error <= (k + 2) * k * 2 ** -24, `element ${i}: ${got[i]} instead of ${value}`);
  });
}

const SIZES: readonly Sizes[] = [
  { m: 1, n: 1, k: 1 },
  { m: 5, n: 7, k: 3 },
  { m: 4, n: 8, k: 513 },
  { m: 131, n: 9, k: 40 },
  { m: 3, n: 1030, k: 12 },
  { m: 33, n: 65, k: 1100 },
];

for (const ta of [false, true]) {
  for (const tb of [false, true]) {
    test(`products are right at awkward sizes, transposes ${ta}, ${tb}`, async () => {
      for (const sizes of SIZES) {
        const { m, n, k } = sizes;
        const [a, b] = [numbers(m * k, 1), numbers(k * n, 2)];
        const out = tf.tidy(() =>
          tf.matMul(tf.tensor(a, ta ? [k, m] : [m, k]), tf.tensor(b, tb ? [n, k] : [k, n]), ta, tb),
        );
        close(await out.data(), product(a, b, sizes, ta, tb), k);
        out.dispose();
      }
    });
  }
}

test('bias and relu are fused, and other activations still work', async () => {
  const sizes = { m: 6, n: 11, k: 20 };
  const [a, b, bias] = [numbers(120, 1), numbers(220, 2), numbers(11, 3)];
  const plain = product(a, b, sizes, false, false).map((value, i) => value + (bias[i % 11] as number));
  for (const [activation, apply] of [
    ['linear', (x: number): number => x],
    ['relu', (x: number): number => Math.max(0, x)],
    ['relu6', (x: number): number => Math.min(6, Math.max(0, x))],
  ] as const) {
    const out = tf.tidy(() =>
      tf.fused.matMul({ a: tf.tensor2d(a, [6, 20]), b: tf.tensor2d(b, [20, 11]), bias: tf.tensor1d(bias), activation }),
    );
    close(await out.data(), plain.map(apply), 21);
    out.dispose();
  }
});

test('NaN passes through relu, as it does in the stock kernel', async () => {
  const out = tf.tidy(() =>
    tf.fused.matMul({ a: tf.tensor2d([[NaN]]), b: tf.tensor2d([[1]]), bias: tf.tensor1d([0]), activation: 'relu' }),
  );
  assert.ok(Number.isNaN((await out.data())[0]));
  out.dispose();
});

test('batches, and one matrix for a whole batch', async () => {
  const [a, b] = [numbers(3 * 10, 1), numbers(3 * 20, 2)];
  const sizes = { m: 2, n: 4, k: 5 };
  const both = tf.tidy(() => tf.matMul(tf.tensor3d(a, [3, 2, 5]), tf.tensor3d(b, [3, 5, 4])));
  const shared = tf.tidy(() => tf.matMul(tf.tensor3d(a, [3, 2, 5]), tf.tensor3d(b.slice(0, 20), [1, 5, 4])));
  const [x, y] = [await both.data(), await shared.data()];
  for (let i = 0; i < 3; i++) {
    const left = a.subarray(i * 10, i * 10 + 10);
    close(x.subarray(i * 8, i * 8 + 8), product(left, b.subarray(i * 20, i * 20 + 20), sizes, false, false), 5);
    close(y.subarray(i * 8, i * 8 + 8), product(left, b.subarray(0, 20), sizes, false, false), 5);
  }
  both.dispose();
  shared.dispose();
});

test('empty products go to the stock kernel', async () => {
  const out = tf.tidy(() => tf.matMul(tf.zeros([0, 3]), tf.zeros([3, 2])));
  assert.equal(out.shape, [0, 2]);
  out.dispose();
});

test('gradients agree with the cpu backend', async () => {
  const [x, w, c] = [numbers(7 * 13, 1), numbers(13 * 5, 2), numbers(5, 3)];
  const gradients = async (): Promise<Float32Array[]> => {
    const grads = tf.tidy(() =>
      tf.grads((a, b, bias) =>
        tf.sum(
          tf.square(
            tf.fused.matMul({
              a: a,
              b: b,
              bias: bias,
              activation: 'relu',
            }),
          ),
        ),
      )([tf.tensor2d(x, [7, 13]), tf.tensor2d(w, [13, 5]), tf.tensor1d(c)]),
    );
    const values = await Promise.all(grads.map((g) => g.data<'float32'>()));
    grads.forEach((g) => g.dispose());
    return values;
  };
  const ours = await gradients();
  await useBackend('cpu');
  const theirs = await gradients();
  await useBackend('wasm');
  ours.forEach((values, k) =>
    values.forEach((value, i) => assert.ok(Math.abs(value - (theirs[k]?.[i] as number)) < 2e-5, `${k} ${i}`)),
  );
});

test.run();
