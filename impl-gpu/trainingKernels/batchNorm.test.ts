import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { drawNormals } from '../random.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import { tensorflow } from '../tfjs/bridges/tensorflow.ts';
import { batchNormTraining } from './batchNorm.ts';

const test = suite('impl-gpu/trainingKernels/batchNorm');
const missing = tensorflowMissing('node');
const onTensorflow = test.when(missing === undefined, missing ?? '');

interface Case {
  readonly shape: [number, number, number, number];
  readonly relu: boolean;
  readonly residual: boolean;
  /** Added to x: a mean far from 0 must not cancel. */
  readonly level?: number;
}

/** Channels that fill vectors and blocks, some that don't, and rows beyond a tile. */
const CASES: readonly Case[] = [
  { shape: [2, 5, 3, 16], relu: false, residual: false },
  { shape: [3, 7, 5, 21], relu: true, residual: false },
  { shape: [2, 8, 8, 12], relu: true, residual: true },
  { shape: [1, 2, 1, 3], relu: false, residual: true },
  // No clamp: rounding at 1000 decides the sign of what is near 0.
  { shape: [4, 6, 6, 37], relu: false, residual: true, level: 1000 },
];

const EPSILON = 1e-5;
/** Where running statistics start. */
const START = { mean: 0.5, variance: 2 } as const;

const normals = (count: number, step: number, level = 0): Float64Array =>
  drawNormals({ seed: 8n, stream: 'augmentation', step }, 0, count).map((z) => Math.fround(z + level));

interface Results {
  readonly y: ArrayLike<number>;
  /** Running statistics, moved on. */
  readonly mean: ArrayLike<number>;
  readonly variance: ArrayLike<number>;
  /** Of x, scale, offset and, where there is one, the residual, for a random gradient of y. */
  readonly gradients: readonly ArrayLike<number>[];
}

function operands({ shape, level }: Case): Record<'x' | 'scale' | 'offset' | 'residual' | 'dy', Float64Array> {
  const size = tf.util.sizeFromShape(shape);
  const [, , , channels] = shape;
  return {
    x: normals(size, 1, level),
    scale: normals(channels, 2),
    offset: normals(channels, 3),
    residual: normals(size, 4),
    dy: normals(size, 5),
  };
}

/** Straight from Ioffe and Szegedy 2015, algorithm 1 and the equations of section 3, in float64. */
function definition(c: Case, momentum: number): Results {
  const { x, scale, offset, residual, dy } = operands(c);
  const [, , , channels] = c.shape;
  const rows = x.length / channels;
  const sums = (value: (i: number, channel: number) => number): Float64Array => {
    const total = new Float64Array(channels);
    for (let i = 0; i < x.length; i++) total[i % channels] = (total[i % channels] as number) + value(i, i % channels);
    return total;
  };
  const at = (list: Float64Array, i: number): number => list[i] as number;
  const mean = sums((i) => at(x, i)).map((s) => s / rows);
  const variance = sums((i, k) => (at(x, i) - at(mean, k)) ** 2).map((s) => s / rows);
  const sigma = variance.map((v) => Math.sqrt(v + EPSILON));
  const normal = x.map((value, i) => (value - at(mean, i % channels)) / at(sigma, i % channels));
  const sum = normal.map(
    (value, i) => value * at(scale, i % channels) + at(offset, i % channels) + (c.residual ? at(residual, i) : 0),
  );
  const dz = dy.map((value, i) => (c.relu && !(at(sum, i) > 0) ? 0 : value));
  const dVariance = sums(
    (i, k) => at(dz, i) * at(scale, k) * (at(x, i) - at(mean, k)) * -0.5 * (at(variance, k) + EPSILON) ** -1.5,
  );
  const dMean = sums((i, k) => (-at(dz, i) * at(scale, k)) / at(sigma, k));
  const dx = x.map((value, i) => {
    const k = i % channels;
    const direct = (at(dz, i) * at(scale, k)) / at(sigma, k);
    return direct + (at(dVariance, k) * 2 * (value - at(mean, k))) / rows + at(dMean, k) / rows;
  });
  const dScale = sums((i) => at(dz, i) * at(normal, i));
  const dOffset = sums((i) => at(dz, i));
  return {
    y: c.relu ? sum.map((value) => Math.max(0, value)) : sum,
    mean: mean.map((value) => START.mean + momentum * (value - START.mean)),
    variance: variance.map((value) => START.variance + momentum * ((value * rows) / (rows - 1) - START.variance)),
    gradients: [dx, dScale, dOffset, ...(c.residual ? [dz] : [])],
  };
}

async function compute(c: Case, momentum: number): Promise<Results> {
  const { x, scale, offset, residual, dy } = operands(c);
  const channels = scale.length;
  const running = [START.mean, START.variance].map((value) => tf.variable(tf.fill<tf.Rank.R1>([channels], value)));
  const [mean, variance] = running as [tf.Variable<tf.Rank.R1>, tf.Variable<tf.Rank.R1>];
  const tensors = tf.tidy(() => {
    const input = tf.tensor4d(Float32Array.from(x), c.shape);
    const [gamma, beta] = [scale, offset].map((values) => tf.tensor1d(Float32Array.from(values))) as [
      tf.Tensor1D,
      tf.Tensor1D,
    ];
    const other = tf.tensor4d(Float32Array.from(residual), c.shape);
    const options = { relu: c.relu, ...(c.residual ? { residual: other } : {}) };
    const normalise = (...args: tf.Tensor[]): tf.Tensor => {
      const [a, b, d, residual] = args as [tf.Tensor, tf.Tensor1D, tf.Tensor1D, tf.Tensor | undefined];
      return batchNormTraining(a, b, d, { ...options, ...(residual === undefined ? {} : { residual }) });
    };
    const inputs = [input, gamma, beta, ...(c.residual ? [other] : [])];
    const gradients = tf.grads(normalise)(inputs, tf.tensor4d(Float32Array.from(dy), c.shape));
    return [batchNormTraining(input, gamma, beta, { ...options, running: { mean, variance, momentum } }), ...gradients];
  });
  const [y, ...rest] = await Promise.all([...tensors, ...running].map((tensor) => tensor.data()));
  const results = {
    y: y as Float32Array,
    mean: rest.at(-2) as Float32Array,
    variance: rest.at(-1) as Float32Array,
    gradients: rest.slice(0, -2) as Float32Array[],
  };
  tf.dispose([...tensors, ...running]);
  return results;
}

function assertClose(got: ArrayLike<number>, want: ArrayLike<number>, bound: number, what: string): void {
  assert.is(got.length, want.length, what);
  let scale = 0;
  for (let i = 0; i < want.length; i++) scale = Math.max(scale, Math.abs(want[i] as number));
  for (let i = 0; i < want.length; i++) {
    const error = Math.abs((got[i] as number) - (want[i] as number)) / scale;
    assert.ok(error <= bound, `${what}, element ${i}: ${got[i]} instead of ${want[i]}`);
  }
}

async function check(c: Case, momentum: number): Promise<void> {
  const [got, want] = [await compute(c, momentum), definition(c, momentum)];
  // At 1000, sums of 144 float32 values are off by some twelve roundings of 2^-7, so the mean by 7e-4, in whichever order; squares that cancel would be off by 6e-2. Of two
  // rows the gradient is a small difference.
  const bound = c.level !== undefined ? 2e-3 : c.shape[0] * c.shape[1] * c.shape[2] > 2 ? 2e-5 : 5e-5;
  const what = JSON.stringify(c);
  assertClose(got.y, want.y, bound, `${what} y`);
  assertClose(got.mean, want.mean, 1e-6, `${what} mean`);
  assertClose(got.variance, want.variance, bound, `${what} variance`);
  const names = ['dx', 'dscale', 'doffset', 'dresidual'];
  want.gradients.forEach((values, i) => {
    assertClose(got.gradients[i] as ArrayLike<number>, values, bound, `${what} ${names[i]}`);
  });
}

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const here = backend === 'node' ? onTensorflow : test;
  here(`${backend}: values, statistics and gradients are those of the definition in float64`, async () => {
    await useBackend(backend);
    const cases = backend === 'webgpu' ? CASES.slice(2, 3) : CASES;
    for (const [k, c] of cases.entries()) await check(c, k % 2 === 0 ? 0.25 : 1);
  });

  here(`${backend}: tensors of every rank are normalised as pictures are`, async () => {
    await useBackend(backend);
    const picture = tf.tensor4d(Float32Array.from(normals(2 * 3 * 4 * 5, 6)), [2, 3, 4, 5]);
    const [scale, offset] = [2, 3].map((step) => tf.tensor1d(Float32Array.from(normals(5, step)))) as [tf.Tensor1D, tf.Tensor1D]; // prettier-ignore
    const residual = tf.ones([2, 3, 4, 5]);
    const of = (shape: number[]): tf.Tensor[] => {
      const at = (x: tf.Tensor): tf.Tensor => tf.reshape(x, shape);
      const normalise = (...[x, a, b, other]: tf.Tensor[]): tf.Tensor =>
        batchNormTraining(x as tf.Tensor, a as tf.Tensor1D, b as tf.Tensor1D, { relu: true, residual: other as tf.Tensor }); // prettier-ignore
      const inputs = [at(picture), scale, offset, at(residual)];
      return [normalise(...inputs), ...tf.grads(normalise)(inputs, at(picture))];
    };
    const values = async (shape: number[]): Promise<ArrayLike<number>[]> => {
      const tensors = tf.tidy(() => of(shape));
      const read = await Promise.all(tensors.map((tensor) => tensor.data()));
      tf.dispose(tensors);
      return read;
    };
    const expected = await values([2, 3, 4, 5]);
    for (const shape of [
      [24, 5],
      [2, 12, 5],
      [1, 2, 3, 4, 5],
    ]) {
      const found = await values(shape);
      found.forEach((got, k) => assertClose(got, expected[k] as ArrayLike<number>, 2e-5, `${shape}, ${k}`));
    }
    tf.dispose([picture, scale, offset, residual]);
  });
}

for (const backend of ['wasm', 'node'] as const) {
  const here = backend === 'node' ? onTensorflow : test;
  here(`${backend}: a NaN stays one, and nothing is left behind`, async () => {
    await useBackend(backend);
    const alive = (): readonly number[] => {
      const { numTensors, numBytes } = tf.memory();
      return [numTensors, numBytes, backend === 'node' ? tensorflow().alive() : 0];
    };
    const before = alive();
    const x = tf.tensor4d([1, 2, NaN, 4], [2, 1, 1, 2]);
    const [scale, offset] = [tf.ones<tf.Rank.R1>([2]), tf.zeros<tf.Rank.R1>([2])];
    const y = batchNormTraining(x, scale, offset);
    assert.equal([...(await y.data())].map(Number.isNaN), [true, false, true, false]);
    const gradients = tf.grads((...[a, b, c]: tf.Tensor[]) => batchNormTraining(a as tf.Tensor, b as tf.Tensor1D, c as tf.Tensor1D, { relu: true, residual: x }))([x, scale, offset]); // prettier-ignore
    tf.dispose([x, scale, offset, y, gradients]);
    assert.equal(alive(), before);
  });
}

test('shapes that do not fit, and a single value a channel, are named', async () => {
  await useBackend('wasm');
  tf.tidy(() => {
    const [two, three] = [tf.ones<tf.Rank.R1>([2]), tf.ones<tf.Rank.R1>([3])];
    assert.throws(() => batchNormTraining(tf.ones([4, 3]), two, three), /the 3 channels of x, got 2 and 3/);
    assert.throws(() => batchNormTraining(tf.ones([1, 1, 1, 2]), two, two), /more than one value a channel/);
    assert.throws(
      () => batchNormTraining(tf.ones([4, 2]), two, two, { residual: tf.ones([2, 2]) }),
      /residual must be of x's shape \[4,2\], got \[2,2\]/,
    );
    const [mean, variance] = [tf.variable(two), tf.variable(two)];
    const runs = (running: object, message: RegExp): void =>
      assert.throws(() => batchNormTraining(tf.ones([4, 2]), two, two, { running: running as never }), message);
    runs({ mean, variance: two }, /^running\.variance must be a float32 variable of shape \[2\], got /);
    const other = tf.variable(three);
    runs({ mean: other, variance }, /^running\.mean must be a float32 variable of shape \[2\], got /);
    for (const momentum of [0, -1, 1.5, NaN, '1']) runs({ mean, variance, momentum }, /^running\.momentum must be above 0 and at most 1, got /); // prettier-ignore
    tf.dispose([mean, variance, other]);
  });
});

test.run();
