import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { createOptimizer } from '../../impl-ref/index.ts';
import { useBackend } from '../../models/backend.ts';
import { FACTORIES } from '../../models/recipes/optimizers.ts';
import type { RuleName } from '../../spec/rules.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import { drawWords, uniform } from '../random.ts';
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import * as lrd from './index.ts';
import type { LrdOptimizer, LrdOptions, MaskRequest } from './index.ts';

lrd.useMasks();

const SEED = 0x0123456789abcdefn;
const SHAPES = [[3, 5], [1], [65], [2, 3, 4]];
const STEPS = 6;
/** The third variable is excluded. */
const EXCLUDED = 2;

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Numbers of several magnitudes, the same on every run. */
function numbers(count: number, position: number): Float32Array {
  const words = drawWords({ seed: 99n, stream: 'augmentation', step: position }, 0, 2 * count);
  return Float32Array.from({ length: count }, (_, i) => {
    const sign = 2 * uniform(words[2 * i] as number) - 1;
    return sign * 2 ** -Math.floor(8 * uniform(words[2 * i + 1] as number));
  });
}

const makeVariables = (): tf.Variable[] =>
  SHAPES.map((shape, k) => tf.tidy(() => tf.variable(tf.tensor(numbers(sizeOf(shape), 1000 + k), shape))));

function apply(optimizer: LrdOptimizer, variables: readonly tf.Variable[], step: number): void {
  const gradients = SHAPES.map((shape, k) => tf.tensor(numbers(sizeOf(shape), step * 10 + k), shape));
  optimizer.applyGradients(variables.map(({ name }, k) => ({ name, tensor: gradients[k] as tf.Tensor })));
  gradients.forEach((gradient) => gradient.dispose());
}

const CASES: readonly (readonly [MaskRequest, RuleName, object])[] = [
  [{ kind: 'skip-update' }, 'adam', {}],
  [{ kind: 'lrd', factor: 'inverse' }, 'sgdm', {}],
  [{ kind: 'magma' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'magma', temperature: 0.5 }, 'rmsprop', {}],
  [{ kind: 'cautious' }, 'adamw', { weightDecay: 0.1 }],
];

const missing = tensorflowMissing('node');

for (const backend of ['cpu', 'wasm', 'webgpu', 'node'] as const) {
  const runs = backend !== 'node' || missing === undefined;
  const test = suite(`impl-gpu/tfjs/masks on ${backend}`).when(runs, missing ?? '');
  test.before(async () => {
    if (runs) await useBackend(backend);
  });

  for (const [mask, rule, hyper] of CASES) {
    test(`[LRD-FAM-001] ${JSON.stringify(mask)} over ${rule} follows the reference, and goes on where it was saved`, async () => {
      const variables = makeVariables();
      const options = (): LrdOptions => ({
        ...hyper,
        mask,
        seed: SEED,
        groups: [{ match: (variables[EXCLUDED] as tf.Variable).name, excluded: true }],
      });
      const create = FACTORIES[rule] as (options: LrdOptions) => LrdOptimizer;
      let optimizer = create(options());
      const reference = createOptimizer(
        SHAPES.map((shape, k) => ({
          name: `w${k}`,
          shape,
          values: numbers(sizeOf(shape), 1000 + k),
          excluded: k === EXCLUDED,
        })),
        { rule, hyper: { ...hyper }, mask, masks: { kind: 'stream', seed: SEED } },
      );
      let state = reference.init();
      for (let step = 1; step <= STEPS; step++) {
        if (step === 4) {
          const weights = await optimizer.getWeights();
          const saved = await Promise.all(
            weights.map(async ({ name, tensor }) => ({
              name,
              tensor: tf.tensor(await tensor.array(), tensor.shape, tensor.dtype),
            })),
          );
          const config = optimizer.getConfig();
          optimizer.dispose();
          const Class = optimizer.constructor as unknown as { new (config: tf.serialization.ConfigDict): LrdOptimizer };
          optimizer = new Class(config);
          await optimizer.setWeights(saved);
          optimizer.bind(variables);
        }
        apply(optimizer, variables, step);
        ({ state } = reference.step(
          state,
          SHAPES.map((shape, k) => numbers(sizeOf(shape), step * 10 + k)),
        ));
      }
      for (const [k, variable] of variables.entries()) {
        const got = await variable.data<'float32'>();
        const expected = state.tensors[k]?.values as Float64Array;
        expected.forEach((value, i) => {
          const error = Math.abs((got[i] as number) - value);
          if (error > 2e-5 * (1 + Math.abs(value))) {
            assert.unreachable(`variable ${k}, element ${i} must be ${value}, got ${got[i]}`);
          }
        });
      }
      optimizer.dispose();
      variables.forEach((variable) => variable.dispose());
    });
  }
  test.run();
}

const test = suite('impl-gpu/tfjs/masks');

test('[LRD-FAM-015] options that contradict a mask are refused in one line, by name', () => {
  const refuse = (options: LrdOptions, message: RegExp): void => {
    assert.throws(
      () => lrd.adam(options),
      (error: unknown) =>
        error instanceof InvalidArgumentError && message.test(error.message) && !error.message.includes('\n'),
      message.source,
    );
  };
  refuse(
    { mask: { kind: 'skip' } as never },
    /^mask\.kind must be one of lrd, skip-update, magma, cautious, got "skip"$/,
  );
  refuse({ mask: 'magma' as never }, /^mask must be an object such as \{ kind: 'magma' \}, got "magma"$/);
  refuse({ mask: { kind: 'magma', temperature: 0 } }, /^mask\.temperature must be a finite number above 0, got 0$/);
  refuse(
    { mask: { kind: 'skip-update', temperature: 2 } },
    /^mask\.temperature must be left out without the factor alignment, got 2 for skip-update$/,
  );
  refuse(
    { mask: { kind: 'cautious' }, keepProbability: 0.5 },
    /^keepProbability must be left out with mask\.kind cautious, got 0\.5$/,
  );
  refuse(
    { mask: { kind: 'cautious' }, groups: [{ match: '*', keepProbability: 0.5 }] },
    /^keepProbability must be left out with mask\.kind cautious, got 0\.5$/,
  );
  refuse({ mask: { kind: 'magma' }, keepProbability: 0 }, /^keepProbability must be in \[2\^-16, 1\], got 0$/);
  refuse({ mask: { kind: 'magma' }, trained: { rate: 1 } }, /^trained must be left out with mask\.kind magma$/);
  assert.throws(
    () => lrd.sgdmAvg({ mask: { kind: 'magma' } }),
    (error: unknown) =>
      error instanceof UnsupportedError && /^mask\.kind magma runs on .* got sgdm-avg$/.test(error.message),
  );
  const cautious = lrd.adam({ mask: { kind: 'cautious' } });
  assert.throws(
    () => (cautious.keepProbability = 0.5),
    /^keepProbability must be left out with mask\.kind cautious, got 0\.5$/,
  );
  assert.is(cautious.getConfig()['keepProbability'], undefined);
});

test('[LRD-FAM-013] an exclusion that matches no variable is refused', () => {
  const variable = tf.variable(tf.zeros([2]), true, 'family/kernel');
  const optimizer = lrd.adam({
    mask: { kind: 'magma' },
    groups: [{ match: ['*kernel', '*embeding*'], excluded: true }],
  });
  assert.throws(
    () => optimizer.bind([variable]),
    /^an excluded group's match must match a variable \(family\/kernel\), got "\*embeding\*"$/,
  );
  variable.dispose();
});

test('learning rate dropout by its name is learning rate dropout', () => {
  const optimizer = lrd.adam({ mask: { kind: 'lrd' }, keepProbability: 0.3 });
  assert.is(optimizer.getConfig()['mask'], undefined);
  assert.is(optimizer.keepProbability, 0.3);
});

test.run();
