/** An optimizer's whole life with a kind of mask, beside the reference: whatever joins, stands still, is excluded, accumulated or saved. */
import fc from 'fast-check';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { createOptimizer } from '../../impl-ref/index.ts';
import { useBackend } from '../../models/backend.ts';
import { FACTORIES } from '../../models/recipes/optimizers.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import * as lrd from './index.ts';
import type { LrdOptimizer, MaskRequest } from './index.ts';

lrd.useMasks();

const SHAPES = [[3, 5], [], [65], [0], [2, 3, 4], [1000]] as const;
const SIZES = SHAPES.map((shape) => shape.reduce<number>((a, b) => a * b, 1));
const SEED = 77n;
/** Never masked. */
const EXCLUDED = 2;
/** Has settings of its own. */
const GROUPED = 4;
/** Joins at the third step. */
const LATE = SHAPES.length - 1;

const aligned = {
  temperature: fc.constantFrom(0.1, 2),
  smoothing: fc.constantFrom(0, 0.9),
  firstAlignment: fc.constantFrom('half', 'one', 'measured'),
  moment: fc.constantFrom('rule', 'own'),
  momentTime: fc.constantFrom('after', 'before'),
};
const decay = fc.constantFrom('scaled', 'masked', 'plain');
const requests = fc.oneof(
  fc.record({ kind: fc.constant('lrd'), granularity: fc.constant('tensor'), factor: fc.constantFrom('one', 'inverse'), decay }), // prettier-ignore
  fc.record({ kind: fc.constant('skip-update'), granularity: fc.constantFrom('element', 'tensor'), decay }),
  fc.record({ kind: fc.constant('magma'), granularity: fc.constantFrom('element', 'tensor'), decay, ...aligned }),
  fc.record({ kind: fc.constant('cautious'), normalization: fc.constantFrom('mean', 'count'), decay }),
) as fc.Arbitrary<MaskRequest>;
const rules = fc.constantFrom(
  ...([
    ['sgdm', { momentum: 0 }],
    ['sgdm', { momentum: 0.9, nesterov: true }],
    ['rmsprop', { epsilon: 1e-3 }],
    ['rmsprop', { epsilon: 1e-3, momentum: 0.9, centered: true }],
    ['adam', {}],
    ['amsgrad', {}],
    ['radam', {}],
    ['adamw', { weightDecay: 0.1 }],
  ] as const),
);
/** By step and variable: the seed of its values; none where it is a multiple of 5. */
const steps = fc.array(fc.array(fc.nat(), { minLength: SHAPES.length, maxLength: SHAPES.length }), { minLength: 4, maxLength: 7 }); // prettier-ignore

/** Numbers of one magnitude from 1e-3 to 10, some of them 0. */
function values(size: number, seed: number): Float32Array {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const magnitude = 10 ** (Math.floor(5 * next()) - 3);
  return Float32Array.from({ length: size }, () => (next() < 0.05 ? 0 : (2 * next() - 1) * magnitude));
}

/** Another optimizer in its place, from what was saved. */
async function reloaded(optimizer: LrdOptimizer): Promise<LrdOptimizer> {
  const weights = await optimizer.getWeights();
  const saved = await Promise.all(
    weights.map(async ({ name, tensor }) => ({
      name,
      tensor: tf.tensor(await tensor.data(), tensor.shape, tensor.dtype),
    })),
  );
  const config = JSON.parse(JSON.stringify(optimizer.getConfig())) as tf.serialization.ConfigDict;
  const Class = optimizer.constructor as unknown as new (config: tf.serialization.ConfigDict) => LrdOptimizer;
  optimizer.dispose();
  const next = new Class(config);
  await next.setWeights(saved);
  return next;
}

const missing = tensorflowMissing('node');

for (const [backend, numRuns] of [
  ['cpu', 30],
  ['wasm', 30],
  ['node', 30],
] as const) {
  const runs = backend !== 'node' || missing === undefined;
  const test = suite(`impl-gpu/tfjs/masksLife on ${backend}`).when(runs, missing ?? '');
  test.before(async () => {
    if (runs) await useBackend(backend);
  });

  test('[LRD-FAM-001] [LRD-FAM-013] masked optimizers follow the reference through joins, absent gradients, accumulation and saves', () =>
    fc.assert(
      fc.asyncProperty(
        requests,
        rules,
        steps,
        fc.constantFrom(1, 2),
        fc.nat(20),
        async (mask, [rule, hyper], life, accumulate, saveAt) => {
          // prettier-ignore
          const names = SHAPES.map((_, k) => `life/${k}`);
          const drawn = mask.kind === 'cautious' ? {} : { keepProbability: 0.5 };
          const own = { learningRate: 0.05, ...(mask.kind === 'cautious' ? {} : { keepProbability: 0.75 }) };
          const variables = SHAPES.map((shape, k) => tf.variable(tf.tensor(values(SIZES[k] as number, k), [...shape]), true, names[k])); // prettier-ignore
          let optimizer = FACTORIES[rule]({
            ...hyper,
            ...drawn,
            ...(accumulate === 1 ? {} : { accumulate }),
            learningRate: 0.01,
            mask,
            seed: SEED,
            groups: [
              { match: names[EXCLUDED], excluded: true },
              { match: names[GROUPED], ...own },
            ],
          });
          const { learningRate, ...keep } = own;
          const reference = createOptimizer(
            SHAPES.map((shape, k) => ({
              name: names[k] as string,
              shape,
              values: values(SIZES[k] as number, k),
              excluded: k === EXCLUDED,
              ...(k === GROUPED ? { hyper: { learningRate }, ...keep } : {}),
            })),
            { rule, hyper: { ...hyper, learningRate: 0.01 }, mask, ...drawn, masks: { kind: 'stream', seed: SEED } },
          );
          let state = reference.init();
          let calls = 0;
          for (const [t, seeds] of life.entries()) {
            const joined = SHAPES.map((_, k) => k).filter((k) => k !== LATE || t >= 2);
            const has = (k: number): boolean => joined.includes(k) && (k === 0 || (seeds[k] as number) % 5 !== 0);
            const sums = SIZES.map((size, k) => (has(k) ? new Float64Array(size) : null));
            for (let call = 0; call < accumulate; call++) {
              const gradients = joined.map((k) => {
                if (!has(k)) return { name: names[k] as string, tensor: null as unknown as tf.Tensor };
                const gradient = values(SIZES[k] as number, (seeds[k] as number) + call);
                gradient.forEach((value, i) => ((sums[k] as Float64Array)[i] = ((sums[k] as Float64Array)[i] as number) + value / accumulate)); // prettier-ignore
                return { name: names[k] as string, tensor: tf.tensor(gradient, [...(SHAPES[k] as readonly number[])]) };
              });
              optimizer.applyGradients(gradients);
              gradients.forEach(({ tensor }) => (tensor as tf.Tensor | null)?.dispose());
              if (calls++ === saveAt) optimizer = await reloaded(optimizer);
            }
            ({ state } = reference.step(state, sums));
          }
          for (const [k, variable] of variables.entries()) {
            const got = await variable.data<'float32'>();
            state.tensors[k]?.values.forEach((value, i) => {
              const error = Math.abs((got[i] as number) - value) / (1 + Math.abs(value));
              assert.ok(error < 3e-4, `variable ${k}, element ${i} must be ${value}, got ${got[i]}`);
            });
          }
          optimizer.dispose();
          variables.forEach((variable) => variable.dispose());
        },
      ),
      { numRuns },
    ));
  test.run();
}
