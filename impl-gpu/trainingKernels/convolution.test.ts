import * as tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { drawWords, uniform } from '../random.ts';

const test = suite('impl-gpu/trainingKernels/convolution');
const seed = Number(process.env['LRD_SEED'] ?? 20260422);

interface Case {
  readonly depthwise: boolean;
  /** [batch, height, width, channels] */
  readonly x: readonly [number, number, number, number];
  /** [height, width, in, out or multiplier] */
  readonly filter: readonly [number, number, number, number];
  readonly strides: [number, number];
  readonly pad: 'same' | 'valid' | number | [[number, number], [number, number], [number, number], [number, number]];
  readonly dilations: [number, number];
  /** Through `tf.fused`, with a bias. */
  readonly fused?: boolean;
}

function numbers(count: number, step: number): Float32Array {
  const words = drawWords({ seed: 5n, stream: 'augmentation', step }, 0, count);
  return Float32Array.from(words, (word) => 2 * uniform(word) - 1);
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function convolve(c: Case, x: tf.Tensor4D, filter: tf.Tensor4D, bias: tf.Tensor1D): tf.Tensor4D {
  const { strides, pad, dilations, depthwise, fused = false } = c;
  const rounding = typeof pad === 'number' ? ('floor' as const) : undefined;
  if (fused) {
    const run = depthwise ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
    // Its type leaves out explicit padding, which it takes.
    return run({
      x,
      filter,
      strides,
      pad: pad as 'same',
      dilations,
      ...(rounding ? { dimRoundingMode: rounding } : {}),
      bias,
    });
  }
  const run = depthwise ? tf.depthwiseConv2d : tf.conv2d;
  return tf.add(run(x, filter, strides, pad, 'NHWC', dilations, rounding), bias);
}

interface Values {
  readonly y: Float32Array;
  readonly dx: Float32Array;
  readonly dFilter: Float32Array;
  readonly dBias: Float32Array;
}

/** y, and the gradients of sum(y * r) for a fixed random r. */
async function evaluate(c: Case): Promise<Values> {
  const outputs = c.depthwise ? c.filter[2] * c.filter[3] : c.filter[3];
  const tensors = tf.tidy(() => {
    const x = tf.tensor4d(numbers(size(c.x), 1), [...c.x]);
    const filter = tf.tensor4d(numbers(size(c.filter), 2), [...c.filter]);
    const bias = tf.tensor1d(numbers(outputs, 3));
    const y = convolve(c, x, filter, bias);
    const r = tf.tensor(numbers(y.size, 4), y.shape);
    const gradients = tf.grads((a, b, d) => convolve(c, a as tf.Tensor4D, b as tf.Tensor4D, d as tf.Tensor1D));
    return [y, ...gradients([x, filter, bias], r)];
  });
  const values = await Promise.all(tensors.map((t) => t.data<'float32'>()));
  tensors.forEach((t) => t.dispose());
  return Object.fromEntries(['y', 'dx', 'dFilter', 'dBias'].map((name, i) => [name, values[i]])) as unknown as Values;
}

/** Sums of `terms` products of numbers below 1 in float32, on either side. */
function assertClose(got: Float32Array, expected: ArrayLike<number>, terms: number, what: string): void {
  assert.is(got.length, expected.length, what);
  const bound = 4 * (terms + 2) * Math.sqrt(terms + 1) * 2 ** -24;
  for (let i = 0; i < got.length; i++) {
    const error = Math.abs((got[i] as number) - (expected[i] as number));
    assert.ok(error <= bound, `${what}, element ${i}: ${got[i]} instead of ${expected[i]}`);
  }
}

/** The same in float64, straight from the definition. */
function definition(c: Case): Values {
  const [n, h, w, channels] = c.x;
  const [kh, kw, , last] = c.filter;
  const info = tf.backend_util.computeConv2DInfo(
    [...c.x],
    [...c.filter],
    c.strides,
    c.dilations,
    c.pad,
    typeof c.pad === 'number' ? 'floor' : undefined,
    c.depthwise,
  );
  const { outHeight, outWidth, outChannels, padInfo } = info;
  const [x, filter, bias] = [numbers(size(c.x), 1), numbers(size(c.filter), 2), numbers(outChannels, 3)];
  const y = new Float64Array(n * outHeight * outWidth * outChannels);
  const r = numbers(y.length, 4);
  const [dx, dFilter, dBias] = [
    new Float64Array(x.length),
    new Float64Array(filter.length),
    new Float64Array(outChannels),
  ];
  let at = 0;
  for (let image = 0; image < n; image++) {
    for (let p = 0; p < outHeight; p++) {
      for (let q = 0; q < outWidth; q++) {
        for (let o = 0; o < outChannels; o++, at++) {
          y[at] = bias[o] as number;
          dBias[o] = (dBias[o] as number) + (r[at] as number);
          const inputs = c.depthwise ? [Math.floor(o / last)] : Array.from({ length: channels }, (_, i) => i);
          for (let i = 0; i < kh; i++) {
            for (let j = 0; j < kw; j++) {
              const row = p * c.strides[0] - padInfo.top + i * c.dilations[0];
              const column = q * c.strides[1] - padInfo.left + j * c.dilations[1];
              if (row < 0 || row >= h || column < 0 || column >= w) continue;
              for (const channel of inputs) {
                const from = ((image * h + row) * w + column) * channels + channel;
                const tap = ((i * kw + j) * channels + channel) * last + (c.depthwise ? o % last : o);
                y[at] = (y[at] as number) + (x[from] as number) * (filter[tap] as number);
                dx[from] = (dx[from] as number) + (r[at] as number) * (filter[tap] as number);
                dFilter[tap] = (dFilter[tap] as number) + (r[at] as number) * (x[from] as number);
              }
            }
          }
        }
      }
    }
  }
  return { y, dx, dFilter, dBias } as unknown as Values;
}

async function check(c: Case): Promise<void> {
  const [got, expected] = [await evaluate(c), definition(c)];
  const rows = expected.y.length / expected.dBias.length;
  const taps = c.filter[0] * c.filter[1];
  assertClose(got.y, expected.y, taps * (c.depthwise ? 1 : c.filter[2]), 'y');
  assertClose(got.dx, expected.dx, taps * c.filter[3], 'dx');
  assertClose(got.dFilter, expected.dFilter, rows, 'dFilter');
  assertClose(got.dBias, expected.dBias, rows, 'dBias');
}

const CASES: readonly Case[] = [
  { depthwise: false, x: [2, 7, 9, 3], filter: [3, 3, 3, 5], strides: [1, 1], pad: 'same', dilations: [1, 1] },
  // Stride 2 over an even size: the last column is seen by one tap only.
  { depthwise: false, x: [1, 8, 8, 4], filter: [3, 3, 4, 8], strides: [2, 2], pad: 1, dilations: [1, 1] },
  // Phases without taps: pixels that no output sees.
  { depthwise: false, x: [2, 7, 6, 5], filter: [1, 1, 5, 9], strides: [3, 2], pad: 'valid', dilations: [1, 1] },
  { depthwise: false, x: [3, 7, 6, 5], filter: [2, 4, 5, 9], strides: [2, 3], pad: 'same', dilations: [1, 1] },
  { depthwise: false, x: [2, 6, 5, 7], filter: [1, 1, 7, 9], strides: [1, 1], pad: 'valid', dilations: [1, 1] },
  // A padded 1 x 1 convolution is no plain product.
  { depthwise: false, x: [2, 3, 4, 2], filter: [1, 1, 2, 3], strides: [1, 1], pad: 1, dilations: [1, 1] },
  {
    depthwise: false,
    x: [2, 5, 6, 3],
    filter: [2, 2, 3, 41],
    strides: [2, 1],
    pad: [
      [0, 0],
      [1, 2],
      [0, 3],
      [0, 0],
    ],
    dilations: [1, 1],
  },
  // More than one block of k, in each of the three products.
  { depthwise: false, x: [2, 17, 16, 60], filter: [3, 3, 60, 41], strides: [1, 1], pad: 1, dilations: [1, 1] },
  { depthwise: false, x: [2, 9, 8, 3], filter: [3, 3, 3, 4], strides: [1, 1], pad: 'same', dilations: [2, 3] },
  { depthwise: false, x: [1, 10, 9, 4], filter: [3, 2, 4, 4], strides: [1, 1], pad: 'valid', dilations: [3, 2] },
  // Padding wider than the filter's reach.
  { depthwise: false, x: [1, 5, 6, 2], filter: [2, 2, 2, 3], strides: [1, 1], pad: 4, dilations: [2, 2] },
  { depthwise: true, x: [2, 7, 9, 5], filter: [3, 3, 5, 1], strides: [1, 1], pad: 'same', dilations: [1, 1] },
  { depthwise: true, x: [2, 7, 8, 4], filter: [3, 2, 4, 3], strides: [2, 2], pad: 'same', dilations: [1, 1] },
  { depthwise: true, x: [2, 7, 5, 3], filter: [3, 3, 3, 9], strides: [1, 1], pad: 'same', dilations: [1, 1] },
  { depthwise: true, x: [1, 9, 8, 3], filter: [3, 3, 3, 2], strides: [1, 1], pad: 'same', dilations: [2, 2] },
  { depthwise: true, x: [1, 9, 8, 6], filter: [3, 3, 6, 1], strides: [1, 1], pad: 'valid', dilations: [2, 3] },
];

const name = ({ depthwise, x, filter, strides, pad, dilations, fused = false }: Case): string =>
  `${fused ? 'fused ' : ''}${depthwise ? 'depthwise ' : ''}${x.join('x')} by ${filter.join('x')}, ` +
  `strides ${strides.join('x')}, pad ${JSON.stringify(pad)}, dilations ${dilations.join('x')}`;

for (const backend of ['wasm', 'cpu', 'webgpu']) {
  // WebGPU's own gradients are tfjs's business: only the dilated ones are ours.
  const cases = backend === 'webgpu' ? CASES.filter(({ dilations }) => dilations.some((rate) => rate > 1)) : CASES;
  for (const c of cases) {
    for (const fused of [false, true]) {
      test(`${backend}, ${name({ ...c, fused })}: values and gradients are those of the definition`, async () => {
        await useBackend(backend);
        await check({ ...c, fused });
      });
    }
  }
}

const anyConvolution = async (): Promise<void> => {
  await useBackend('wasm');
  const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  const cases = fc
    .record({
      depthwise: fc.boolean(),
      sizes: fc.tuple(small(3), small(9), small(9), small(9)),
      kernel: fc.tuple(small(4), small(4), small(11)),
      strides: fc.tuple(small(3), small(3)),
      dilations: fc.tuple(small(3), small(3)),
      dilated: fc.boolean(),
      pad: fc.oneof(fc.constantFrom('same' as const, 'valid' as const), fc.integer({ min: 0, max: 3 })),
      fused: fc.boolean(),
    })
    .map(({ sizes, kernel: [kh, kw, last], strides, dilations, dilated, ...rest }): Case => ({
      ...rest,
      x: sizes,
      filter: [kh, kw, sizes[3], rest.depthwise ? Math.min(3, last) : last],
      // tfjs refuses both at once.
      strides: dilated ? [1, 1] : strides,
      dilations: dilated ? dilations : [1, 1],
    }))
    .filter(({ depthwise, x, filter, strides, pad, dilations }) => {
      const [height, width] = ([0, 1] as const).map((i) => (filter[i] - 1) * dilations[i] + 1) as [number, number];
      // With a number for padding, tfjs-core takes the filter's height and the vertical stride for both directions.
      if (typeof pad === 'number' && (height !== width || strides[0] !== strides[1])) return false;
      // wasm's stock depthwise forward kernel takes 'same' padding for negative where a stride exceeds the filter, and gives 0.
      if (depthwise && strides.some((stride, i) => stride > (filter[i] as number))) return false;
      const margin = typeof pad === 'number' ? 2 * pad : 0;
      return pad === 'same' || (height <= x[1] + margin && width <= x[2] + margin);
    });
  await fc.assert(fc.asyncProperty(cases, check), { seed, numRuns: 150, includeErrorInReport: true });
};
test('wasm, any convolution: values and gradients are those of the definition', anyConvolution, { timeout: 240 });

test('gradients agree with finite differences', async () => {
  for (const backend of ['wasm', 'cpu']) {
    await useBackend(backend);
    for (const c of CASES.filter(({ filter }) => filter[2] < 10)) {
      const x = numbers(size(c.x), 1);
      const direction = numbers(x.length, 8);
      // The loss sum(y * r) is linear in x: a difference over any step is exact but for rounding.
      const at = (sign: number): number =>
        tf.tidy(() => {
          const moved = x.map((value, i) => value + sign * 0.5 * (direction[i] as number));
          const filter = tf.tensor4d(numbers(size(c.filter), 2), [...c.filter]);
          const outputs = c.depthwise ? c.filter[2] * c.filter[3] : c.filter[3];
          const y = convolve(c, tf.tensor4d(moved, [...c.x]), filter, tf.tensor1d(numbers(outputs, 3)));
          const values = y.dataSync<'float32'>();
          const r = numbers(values.length, 4);
          return values.reduce((sum, value, i) => sum + value * (r[i] as number), 0);
        });
      const { dx } = await evaluate(c);
      const slope = dx.reduce((sum, value, i) => sum + value * (direction[i] as number), 0);
      const difference = at(1) - at(-1);
      assert.ok(Math.abs(slope - difference) < 1e-3 * (1 + Math.abs(slope)), `${name(c)}: ${slope}, ${difference}`);
    }
  }
});

test('a single image without a batch axis, and channels first, on dilated convolutions', async () => {
  await useBackend('cpu');
  const x = numbers(2 * 7 * 6 * 3, 1);
  const filter = tf.tensor4d(numbers(3 * 3 * 3 * 4, 2), [3, 3, 3, 4]);
  const gradient = (dataFormat: 'NHWC' | 'NCHW', first: tf.Tensor4D): tf.Tensor4D =>
    tf.grad((a: tf.Tensor) => tf.sum(tf.square(tf.conv2d(a as tf.Tensor4D, filter, 1, 'same', dataFormat, 2))))(
      first,
    ) as tf.Tensor4D;
  const image = tf.tensor4d(x, [2, 7, 6, 3]);
  const last = await gradient('NHWC', image).data();
  const first = await tf.transpose(gradient('NCHW', tf.transpose(image, [0, 3, 1, 2])), [0, 2, 3, 1]).data();
  first.forEach((value, i) => assert.ok(Math.abs(value - (last[i] as number)) < 1e-4, `element ${i}`));
  for (const backend of ['wasm', 'cpu']) {
    await useBackend(backend);
    const single = tf.grad((a: tf.Tensor) =>
      tf.sum(tf.square(tf.fused.conv2d({ x: a as tf.Tensor3D, filter, strides: 1, pad: 'same', dilations: 2 }))),
    )(tf.tensor3d(x.slice(0, 7 * 6 * 3), [7, 6, 3]));
    assert.equal(single.shape, [7, 6, 3]);
    (await single.data()).forEach((value, i) => assert.ok(Math.abs(value - (last[i] as number)) < 1e-4));
  }
});

for (const backend of ['wasm', 'cpu']) {
  test(`${backend}: layers with dilation train, and leak nothing`, async () => {
    await useBackend(backend);
    const model = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [8, 8, 2], filters: 4, kernelSize: 3, dilationRate: 2, padding: 'same' }),
        tf.layers.conv2d({ filters: 3, kernelSize: 3, dilationRate: 2, activation: 'relu' }),
        tf.layers.globalAveragePooling2d({}),
        tf.layers.dense({ units: 1 }),
      ],
    });
    model.compile({ optimizer: tf.train.sgd(0.05), loss: 'meanSquaredError' });
    const x = tf.tensor4d(numbers(8 * 8 * 8 * 2, 6), [8, 8, 8, 2]);
    const y = tf.ones([8, 1]);
    const losses: number[] = [];
    let before = 0;
    for (let i = 0; i < 6; i++) {
      losses.push((await model.trainOnBatch(x, y)) as number);
      if (i === 1) before = tf.memory().numTensors;
    }
    assert.is(tf.memory().numTensors, before);
    assert.ok((losses[5] as number) < (losses[0] as number), losses.join(' '));
    tf.dispose([x, y]);
    model.dispose();
  });
}

test('the second derivative of a dilated convolution is right, or refused', async () => {
  const second = (): tf.Tensor => {
    const x = tf.tensor4d(numbers(5 * 5, 1), [1, 5, 5, 1]);
    const filter = tf.tensor4d(numbers(4, 2), [2, 2, 1, 1]);
    const inner = (a: tf.Tensor): tf.Tensor =>
      tf.sum(
        tf.square(
          tf.grad((b: tf.Tensor) => tf.sum(tf.square(tf.conv2d(b as tf.Tensor4D, filter, 1, 'valid', 'NHWC', 2))))(a),
        ),
      );
    return tf.grad(inner)(x);
  };
  await useBackend('cpu');
  assert.equal(second().shape, [1, 5, 5, 1]);
  await useBackend('wasm');
  assert.throws(second, /DilatedConv2DBackprop/);
});

test('the gradient of gather adds up repeated rows', async () => {
  const run = async (): Promise<Float32Array> => {
    const out = tf.tidy(() =>
      tf.grad((x: tf.Tensor) =>
        tf.mul(
          tf.gather(
            x,
            tf.tensor2d(
              [
                [3, 0],
                [3, 5],
              ],
              [2, 2],
              'int32',
            ),
          ),
          2,
        ),
      )(tf.zeros([6, 3]), tf.tensor(numbers(12, 1), [2, 2, 3])),
    );
    const values = await out.data<'float32'>();
    out.dispose();
    return values;
  };
  await useBackend('wasm');
  const ours = await run();
  await useBackend('cpu');
  assert.equal([...ours], [...(await run())]);
});

test.run();
