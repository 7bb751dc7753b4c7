/**
 * What an optimizer does to gradients before the moments see them (accumulation, clipping, the papers' comparators, coupled L2, centralization) and the
 * masks behind it, on every backend of TensorFlow.js against the reference in float64: any combination, tensors of any rank, gradients that are missing, not
 * finite, huge, tiny or subnormal.
 */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import { sgdm } from 'learning-rate-dropout';
import type { LrdOptions } from 'learning-rate-dropout';
import * as ref from 'learning-rate-dropout/ref';
import { tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import * as assert from 'uvu/assert';
import { useBackend } from '../../models/backend.ts';
import { suite } from '../harness/suite.ts';

const SEED = 0x0123456789abcdefn;

/** A conv3d kernel, a dense one, a bias, a scalar, and one without elements. */
const SHAPES = [[2, 1, 2, 2, 3], [3, 4], [5], [], [0, 2]] as const;
const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

const calm = fc.integer({ min: -400, max: 400 }).map((x) => x / 128);
const hostile = fc.oneof(
  { weight: 6, arbitrary: calm },
  { weight: 2, arbitrary: fc.constantFrom(3e25, -4e25, 1e37, 3e-30, -4e-30, 1e-20, 1e-40, -3e-42, 0, -0) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
);

const limit = fc.constantFrom(1, 0.25, 300, 1e-30, 5e25, Infinity);
const options = fc.record(
  {
    clipValue: limit,
    clipNorm: limit,
    clipGlobalNorm: limit,
    gradientKeepProbability: fc.constantFrom(0.5, 0.9),
    noiseEta: fc.constantFrom(0, 0.1),
    sparsity: fc.constantFrom(0, 0.3, 0.75),
    sparseReading: fc.constantFrom('gradients' as const, 'updates' as const),
    centralize: fc.boolean(),
    weightDecay: fc.constantFrom(0, 0.125),
    accumulate: fc.constantFrom(1, 2, 3),
    keepProbability: fc.constantFrom(1, 0.5),
  },
  { requiredKeys: ['keepProbability'] },
);
type Options = LrdOptions & { readonly weightDecay?: number };

type Gradients = readonly (readonly number[] | null)[];
const gradientsOf = (element: fc.Arbitrary<number>): fc.Arbitrary<Gradients> =>
  fc
    .tuple(
      ...SHAPES.map((shape) =>
        fc.option(fc.array(element, { minLength: sizeOf(shape), maxLength: sizeOf(shape) }), { freq: 6 }),
      ),
    )
    .map((list) => list.map((values) => values?.map(Math.fround) ?? null));

/** Calm gradients go on for three steps; a strange one has its say in one, behind which nothing would be comparable. */
const history = fc.oneof(
  fc.array(gradientsOf(calm), { minLength: 3, maxLength: 3 }),
  fc.array(gradientsOf(hostile), { minLength: 1, maxLength: 1 }),
);

/** The reference's parameters after the steps, each of which takes the mean of as many gradients as `accumulate` says. */
function expected(
  given: Options,
  steps: readonly Gradients[],
  values: readonly Float64Array[],
): readonly Float64Array[] {
  const { keepProbability = 1, weightDecay = 0, accumulate = 1, sparsity = 0, sparseReading } = given;
  const masksUpdates = sparseReading === 'updates';
  const transformations = [
    given.clipValue === undefined ? [] : [ref.clipByValue(given.clipValue)],
    given.clipNorm === undefined ? [] : [ref.clipByNorm(given.clipNorm)],
    given.clipGlobalNorm === undefined ? [] : [ref.clipByGlobalNorm(given.clipGlobalNorm)],
    given.gradientKeepProbability === undefined ? [] : [ref.gradientDropout(SEED, given.gradientKeepProbability)],
    given.noiseEta === undefined ? [] : [ref.gradientNoise(SEED, given.noiseEta)],
    masksUpdates ? [] : [ref.sparseGradients(SEED, () => sparsity)],
    given.centralize === true ? [ref.gradientCentralization()] : [],
  ].flat();
  const reference = ref.createOptimizer(
    SHAPES.map((shape, k) => ({ name: `p${k}`, shape: [...shape], values: values[k] as Float64Array })),
    {
      rule: 'sgdm',
      hyper: { learningRate: 1, momentum: 0, weightDecay },
      keepProbability: keepProbability as number,
      masks: { kind: 'stream', seed: SEED },
      transformations,
      updateMasks: masksUpdates ? [ref.sparseUpdates(SEED, () => sparsity)] : [],
    },
  );
  let state = reference.init();
  for (const gradients of steps) {
    ({ state } = reference.step(state, ref.meanGradients(Array.from({ length: accumulate }, () => gradients))));
  }
  return state.tensors.map((tensor) => tensor.values);
}

const largest = (values: Iterable<number>): number => {
  let most = 0;
  for (const value of values) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  return most;
};

const missing = tensorflowMissing('node');
let made = 0;

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const runs = backend !== 'node' || missing === undefined;
  const test = suite(`conformance/transformations on ${backend}`).when(runs, missing ?? '');
  test.before(async () => {
    if (runs) await useBackend(backend);
  });

  test(
    '[LRD-CMP-009] [LRD-CMP-001] any combination, on gradients of any kind: as the reference',
    async () => {
      await fc.assert(
        fc.asyncProperty(options, history, fc.infiniteStream(calm), async (given, steps, drawn) => {
          const values = SHAPES.map((shape) =>
            Float64Array.from({ length: sizeOf(shape) }, () => drawn.next().value as number),
          );
          const variables = SHAPES.map((shape, k) =>
            tf.tidy(() =>
              tf.variable(
                tf.tensor(Float32Array.from(values[k] as Float64Array), [...shape]),
                true,
                `t${backend}${made++}`,
              ),
            ),
          );
          const optimizer = sgdm({ ...given, learningRate: 1, momentum: 0, seed: SEED });
          optimizer.bind(variables);
          for (const gradients of steps) {
            for (let call = 0; call < (given.accumulate ?? 1); call++) {
              tf.tidy(() =>
                optimizer.applyGradients(
                  variables.map(({ name, shape }, k) => ({
                    name,
                    tensor: (gradients[k] === null
                      ? null
                      : tf.tensor(gradients[k] as number[], shape, 'float32')) as tf.Tensor,
                  })),
                ),
              );
            }
          }
          const exact = expected(given, steps, values);
          // What cancels is as exact as what it was made of: the same without centralization, and the parameters.
          const whole = expected({ ...given, centralize: false }, steps, values);
          for (const [k, variable] of variables.entries()) {
            const got = await variable.data<'float32'>();
            const scale = largest(values[k] as Float64Array) + largest(whole[k] as Float64Array);
            exact[k]?.forEach((value, i) => {
              const [found, right] = [got[i] as number, Math.fround(value)];
              const close = Number.isNaN(right)
                ? Number.isNaN(found)
                : Object.is(found, right) ||
                  Math.abs(found - right) <= 2e-6 * steps.length * (scale + Math.abs(right)) + 4e-38;
              assert.ok(close, `${JSON.stringify(given)}, tensor ${k}, element ${i}: ${found}, right is ${value}`);
            });
          }
          optimizer.dispose();
          tf.dispose(variables);
        }),
        { numRuns: backend === 'webgpu' ? 40 : 120, seed: 18 },
      );
    },
    { timeout: 300 },
  );

  test.run();
}
