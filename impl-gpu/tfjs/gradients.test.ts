import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import * as ref from '../../impl-ref/index.ts';
import { useBackend } from '../../models/backend.ts';
import { drawWords, uniform } from '../random.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import * as lrd from './index.ts';
import type { LrdOptimizer, LrdOptions } from './index.ts';

const SEED = 0xfeedfacecafebeefn;
const SHAPES = [[4, 6], [7], [2, 1, 2, 2, 3]];
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function numbers(count: number, step: number): Float32Array {
  const words = drawWords({ seed: 12n, stream: 'augmentation', step }, 0, count);
  return Float32Array.from(words, (word) => 2 * uniform(word) - 1);
}

/** A transformation alone and with LRD: the options here, and what the reference does for them. */
interface Case {
  readonly name: string;
  readonly options: LrdOptions;
  readonly transformations?: readonly ref.GradientTransformation[];
  readonly updateMasks?: readonly ref.UpdateMask[];
}

const CASES: readonly Case[] = [
  { name: 'clipping by value', options: { clipValue: 0.3 }, transformations: [ref.clipByValue(0.3)] },
  { name: 'clipping by global norm', options: { clipGlobalNorm: 0.5 }, transformations: [ref.clipByGlobalNorm(0.5)] },
  { name: "clipping by each variable's norm", options: { clipNorm: 0.5 }, transformations: [ref.clipByNorm(0.5)] },
  { name: 'a norm within the limit', options: { clipGlobalNorm: 1e6 }, transformations: [ref.clipByGlobalNorm(1e6)] },
  {
    name: 'dropout on gradients',
    options: { gradientKeepProbability: 0.4 },
    transformations: [ref.gradientDropout(SEED, 0.4)],
  },
  { name: 'gradient noise', options: { noiseEta: 0.1 }, transformations: [ref.gradientNoise(SEED)] },
  { name: 'Sparse Gradients', options: { sparsity: 0.5 }, transformations: [ref.sparseGradients(SEED, () => 0.5)] },
  {
    name: 'Sparse Gradients read as masked updates',
    options: { sparsity: 0.5, sparseReading: 'updates' },
    updateMasks: [ref.sparseUpdates(SEED, () => 0.5)],
  },
  { name: 'gradient centralization', options: { centralize: true }, transformations: [ref.gradientCentralization()] },
  {
    name: 'all of them, in order',
    options: { clipGlobalNorm: 0.5, gradientKeepProbability: 0.6, noiseEta: 0.01, sparsity: 0.3, centralize: true },
    transformations: [
      ref.clipByGlobalNorm(0.5),
      ref.gradientDropout(SEED, 0.6),
      ref.gradientNoise(SEED, 0.01),
      ref.sparseGradients(SEED, () => 0.3),
      ref.gradientCentralization(),
    ],
  },
];

const missing = tensorflowMissing('node');

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const runs = backend !== 'node' || missing === undefined;
  const test = suite(`impl-gpu/tfjs/gradients on ${backend}`).when(runs, missing ?? '');
  test.before(async () => {
    if (runs) await useBackend(backend);
  });

  for (const { name, options, transformations = [], updateMasks = [] } of CASES) {
    for (const keepProbability of [1, 0.5]) {
      test(`${name}, p = ${keepProbability}: as the reference does, with coupled L2`, async () => {
        const values = SHAPES.map((shape, k) => numbers(sizeOf(shape), 100 + k));
        const variables = SHAPES.map((shape, k) =>
          tf.tidy(() => tf.variable(tf.tensor(values[k] as Float32Array, shape))),
        );
        const hyper = { learningRate: 0.1, momentum: 0.9, weightDecay: 0.05 };
        const optimizer: LrdOptimizer = lrd.sgdm({ ...hyper, ...options, keepProbability, seed: SEED });
        const reference = ref.createOptimizer(
          SHAPES.map((shape, k) => ({ name: `p${k}`, shape, values: values[k] as Float32Array })),
          { rule: 'sgdm', hyper, keepProbability, masks: { kind: 'stream', seed: SEED }, transformations, updateMasks },
        );
        let state = reference.init();
        for (let step = 1; step <= 4; step++) {
          const gradients = SHAPES.map((shape, k) => numbers(sizeOf(shape), 10 * step + k));
          tf.tidy(() =>
            optimizer.applyGradients(
              variables.map((v, k) => ({ name: v.name, tensor: tf.tensor(gradients[k] as Float32Array, v.shape) })),
            ),
          );
          ({ state } = reference.step(state, gradients));
        }
        for (const [k, variable] of variables.entries()) {
          const got = await variable.data();
          state.tensors[k]?.values.forEach((expected, i) => {
            const error = Math.abs((got[i] as number) - expected);
            assert.ok(error < 5e-6, `tensor ${k}, element ${i}: ${got[i]} instead of ${expected}`);
          });
        }
        optimizer.dispose();
        variables.forEach((variable) => variable.dispose());
      });
    }
  }

  test(
    'not-a-numbers, infinities, huge and tiny gradients come out as the reference has them',
    async () => {
      const hostile = [NaN, Infinity, -Infinity, 0, -0, 3e38, -3e38, 3e25, 4e25, 3e-30, -4e-30, 1e-20, 1, -2.5, 300];
      const element = fc.constantFrom(...hostile).map(Math.fround);
      const calm = fc.constantFrom(3e25, 4e25, 3e-30, -4e-30, 1, -2.5, 300, 0).map(Math.fround);
      const gradient = (size: number): fc.Arbitrary<number[]> =>
        fc.oneof(
          fc.array(element, { minLength: size, maxLength: size }),
          fc.array(calm, { minLength: size, maxLength: size }),
        );
      const limit = fc.constantFrom(1, 1e-30, 5e25, Infinity);
      const change = fc.oneof(
        limit.map((clipValue) => [{ clipValue }, [ref.clipByValue(clipValue)]] as const),
        limit.map((clipNorm) => [{ clipNorm }, [ref.clipByNorm(clipNorm)]] as const),
        limit.map((clipGlobalNorm) => [{ clipGlobalNorm }, [ref.clipByGlobalNorm(clipGlobalNorm)]] as const),
        fc.constant([{ gradientKeepProbability: 0.5 }, [ref.gradientDropout(SEED, 0.5)]] as const),
        fc.constant([{ noiseEta: 0.1 }, [ref.gradientNoise(SEED)]] as const),
        fc.constant([{ sparsity: 0.5 }, [ref.sparseGradients(SEED, () => 0.5)]] as const),
        fc.constant([{ centralize: true }, [ref.gradientCentralization()]] as const),
        fc.constant([{}, []] as const),
      );
      const shapes = [[2, 3], [4], [0], [1, 1, 1, 2, 1, 2]];
      const gradients = fc.tuple(...shapes.map((shape) => gradient(sizeOf(shape))));
      await fc.assert(
        fc.asyncProperty(change, gradients, async ([options, transformations], values) => {
          const variables = shapes.map((shape) => tf.tidy(() => tf.variable(tf.zeros(shape))));
          const hyper = { learningRate: 1, momentum: 0 };
          const optimizer = lrd.sgdm({ ...hyper, ...options, keepProbability: 1, seed: SEED });
          const reference = ref.createOptimizer(
            shapes.map((shape, k) => ({ name: `p${k}`, shape, values: new Float64Array(sizeOf(shape)) })),
            { rule: 'sgdm', hyper, keepProbability: 1, transformations },
          );
          const { state } = reference.step(reference.init(), values);
          tf.tidy(() =>
            optimizer.applyGradients(
              variables.map((v, k) => ({ name: v.name, tensor: tf.tensor(values[k] as number[], v.shape, 'float32') })),
            ),
          );
          for (const [k, variable] of variables.entries()) {
            const got = await variable.data<'float32'>();
            state.tensors[k]?.values.forEach((exact, i) => {
              const [value, expected] = [got[i] as number, Math.fround(exact)];
              const close =
                Object.is(Math.abs(value), Math.abs(expected)) ||
                // Of a mean the elements' own rounding counts, where they cancel.
                Math.abs(value - expected) <= 1e-5 * Math.abs(expected) + 4e-38 ||
                ('centralize' in options && Math.abs(value - expected) <= 1e-6 * Math.max(...(values[k] as number[]).map(Math.abs))); // prettier-ignore
              assert.ok(close, `${JSON.stringify(options)} ${values.join(' | ')}: ${k}, ${i}: ${value}, not ${exact}`);
            });
          }
          optimizer.dispose();
          variables.forEach((variable) => variable.dispose());
        }),
        { numRuns: backend === 'webgpu' ? 60 : 200, seed: 4 },
      );
    },
    { timeout: 240 },
  );

  test('accumulation makes one step, one mask and one count of the mean of several gradients', async () => {
    const make = (): tf.Variable => tf.tidy(() => tf.variable(tf.tensor1d(numbers(40, 1))));
    const [summed, direct] = [make(), make()];
    const accumulating = lrd.adam({ seed: SEED, accumulate: 3, learningRate: 0.1 });
    const plain = lrd.adam({ seed: SEED, learningRate: 0.1 });
    const parts = [2, 3, 4].map((step) => tf.tensor1d(numbers(40, step)));
    const before = tf.memory().numTensors;
    for (const [index, tensor] of parts.entries()) {
      accumulating.applyGradients([{ name: summed.name, tensor }]);
      assert.is(accumulating.iterations, index === 2 ? 1 : 0);
    }
    const state = 2;
    assert.is(tf.memory().numTensors, before + state);
    tf.tidy(() => plain.applyGradients([{ name: direct.name, tensor: tf.div(tf.addN(parts), 3) }]));
    const [a, b] = [await summed.data(), await direct.data()];
    a.forEach((value, i) => assert.ok(Math.abs(value - (b[i] as number)) < 1e-6));
    [summed, direct, ...parts].forEach((tensor) => tensor.dispose());
    accumulating.dispose();
    plain.dispose();
  });

  test('a sparse pattern stays while its share does, through a save and a load too', async () => {
    const start = numbers(200, 1);
    const variable = tf.tidy(() => tf.variable(tf.tensor1d(start)));
    const gradient = tf.ones([200]);
    let optimizer = lrd.sgdm({ seed: SEED, keepProbability: 1, momentum: 0, learningRate: 1, sparsity: 0.5 });
    const moved = async (): Promise<string> => {
      const old = (await variable.data()).slice();
      optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
      return Array.from(await variable.data<'float32'>(), (value, i) => (value === old[i] ? '0' : '1')).join('');
    };
    const first = await moved();
    assert.is(await moved(), first);
    const weights = await optimizer.getWeights();
    const loaded = lrd.sgdm(optimizer.getConfig());
    await loaded.setWeights(weights);
    optimizer.dispose();
    optimizer = loaded;
    assert.is(await moved(), first);
    optimizer.sparsity = 0.3;
    const second = await moved();
    assert.is.not(second, first);
    optimizer.sparsity = 0;
    assert.is(await moved(), '1'.repeat(200));
    optimizer.sparsity = 0.3;
    assert.is.not(await moved(), second);
    assert.throws(() => (optimizer.sparsity = 1), /sparsity must be in \[0, 1 - 2\^-16\], got 1/);
    [variable, gradient, ...weights.map(({ tensor }) => tensor)].forEach((tensor) => tensor.dispose());
    optimizer.dispose();
  });

  if (backend === 'webgpu') {
    test('a trained keep probability is refused where nothing can be read at once, before anything changes', async () => {
      const variable = tf.tidy(() => tf.variable(tf.ones([3])));
      const gradient = tf.ones([3]);
      const optimizer = lrd.sgdm({ trained: { rate: 1 } });
      const apply = (): void => optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
      assert.throws(apply, /needs synchronous reads, which the webgpu backend lacks/);
      assert.equal([...(await variable.data())], [1, 1, 1]);
      optimizer.dispose();
      variable.dispose();
      gradient.dispose();
    });
  } else {
    for (const scope of ['global', 'groups'] as const) {
      test(`a trained keep probability moves as the reference's does, scope ${scope}, and survives a save`, async () => {
        const values = SHAPES.map((shape, k) => numbers(sizeOf(shape), 100 + k));
        const variables = SHAPES.map((shape, k) =>
          tf.tidy(() => tf.variable(tf.tensor(values[k] as Float32Array, shape), true, `${scope}-${backend}-${k}`)),
        );
        const trained = { rate: 0.05, minimum: 0.1, maximum: 0.9, scope };
        const groups = [{ match: `${scope}-${backend}-1` }];
        const hyper = { learningRate: 0.3, momentum: 0.5, weightDecay: 0.01 };
        let optimizer: LrdOptimizer = lrd.sgdm({ ...hyper, trained, groups, seed: SEED });
        const base = ref.createOptimizer(
          SHAPES.map((shape, k) => ({ name: `p${k}`, shape, values: values[k] as Float32Array })),
          { rule: 'sgdm', hyper, masks: { kind: 'stream', seed: SEED } },
        );
        const reference = ref.trainKeepProbability(base, SHAPES.length, {
          ...trained,
          scope: scope === 'global' ? 'global' : [1, 0, 1],
        });
        let state = reference.init();
        for (let step = 1; step <= 8; step++) {
          // A linear loss with a little noise: its gradient barely changes, so p is driven one way.
          const gradients = SHAPES.map((shape, k) => numbers(sizeOf(shape), k).map((g) => g + 0.01 * step));
          tf.tidy(() =>
            optimizer.applyGradients(
              variables.map((v, k) => ({ name: v.name, tensor: tf.tensor(gradients[k] as Float32Array, v.shape) })),
            ),
          );
          ({ state } = reference.step(state, gradients));
          optimizer.trainedKeepProbabilities.forEach((p, index) =>
            assert.ok(Math.abs(p - (state.keepProbabilities[index] as number)) < 1e-5, `step ${step}: ${p}`),
          );
          if (step === 4) {
            const weights = await optimizer.getWeights();
            const restored = lrd.sgdm(optimizer.getConfig());
            await restored.setWeights(weights);
            optimizer.dispose();
            optimizer = restored;
          }
        }
        assert.is.not(optimizer.trainedKeepProbabilities[0], 0.5);
        for (const [k, variable] of variables.entries()) {
          const got = await variable.data();
          state.optimizer.tensors[k]?.values.forEach((expected, i) =>
            assert.ok(Math.abs((got[i] as number) - expected) < 1e-5, `tensor ${k}, element ${i}`),
          );
        }
        optimizer.dispose();
        variables.forEach((variable) => variable.dispose());
      });
    }
  }

  test('an option out of range is named with its value and rule', () => {
    const refused = (options: LrdOptions, pattern: RegExp): void => assert.throws(() => lrd.adam(options), pattern);
    refused({ clipValue: 0 }, /clipValue must be above 0, got 0/);
    refused({ clipGlobalNorm: NaN }, /clipGlobalNorm must be above 0/);
    refused({ gradientKeepProbability: 0 }, /gradientKeepProbability must be in \[2\^-16, 1\], got 0/);
    refused({ noiseEta: -1 }, /noiseEta must be a finite number of at least 0, got -1/);
    refused({ accumulate: 1.5 }, /accumulate must be a whole number of at least 1, got 1.5/);
    refused({ trained: { rate: -1 } }, /trained.rate must be a finite number of at least 0, got -1/);
    refused({ trained: { rate: 1, minimum: 0 } }, /trained.minimum must be in \[2\^-16, 1\], got 0/);
    refused({ trained: { rate: 1 }, keepProbability: 0.01 }, /keepProbability must start in \[minimum, maximum\]/);
    refused({ sparseReading: 'both' as 'updates' }, /sparseReading must be one of gradients, updates, got "both"/);
  });

  test.run();
}
