import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { createJsEngine } from '../../engines/js.ts';
import { planStep } from '../../engines/plan.ts';
import { drawKept, keyOf, layOut } from '../../random.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import type { HyperValues } from '../../validate.ts';
import { stateNames } from '../../validate.ts';
import type { RuleName } from '../../../spec/rules.ts';
import type { Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES, tensorflow } from '../bridges/tensorflow.ts';
import * as lrd from '../index.ts';
import type { LrdOptimizer } from '../index.ts';
import { tensorflowStepper } from './tensorflow.ts';
import type { MaskRequest } from './tensorflowMasks.ts';
import { MaskSource } from './tensorflowMasks.ts';

const suiteOfAll = suite('impl-gpu/tfjs/steppers/tensorflow');
const missing = tensorflowMissing('node');
const test = suiteOfAll.when(missing === undefined, missing ?? '');
const SEED = 0xfedcba9876543210n;
const RULES = {
  sgdm: lrd.sgdm,
  rmsprop: lrd.rmsprop,
  adam: lrd.adam,
  amsgrad: lrd.amsgrad,
  radam: lrd.radam,
  adamw: lrd.adamw,
} as const;

suiteOfAll.before(async () => {
  if (missing === undefined) await useBackend('node');
});

/** Reads a handle through a tensor of tfjs, which then owns it. */
function read(below: Tensorflow, shape: readonly number[], handle: number): Uint8Array {
  const tensor = below.adopt(shape, 'bool', handle);
  const values = tensor.dataSync<'bool'>();
  tensor.dispose();
  return values.slice();
}

for (const onDevice of [true, false]) {
  test(`[LRD-MASK-001] masks drawn ${onDevice ? 'by TensorFlow' : 'for it'} are the stream, at odd sizes, far positions and several thresholds`, () => {
    const below = tensorflow();
    assert.is(below.gpu, false);
    const alive = below.alive();
    const masks = new MaskSource(below, onDevice);
    const at = (base: number, size: number, threshold: number): MaskRequest => ({
      base,
      size,
      shape: [size],
      threshold,
    });
    const far = 2 ** 34 + 640;
    const lists: readonly (readonly MaskRequest[])[] = [
      [1, 2, 3, 8, 63, 64, 65, 129, 1000].map((size, k, sizes) => at(layOut(sizes)[k] as number, size, 32768)),
      [at(0, 7, 1), at(64, 7, 65535), at(128, 65, 65535), at(64 * 40, 9, 65535)],
      [at(far, 77, 12345), at(far + 128, 31, 12345)],
      [at(0, 2 ** 20 + 5, 32768), at(2 ** 20 + 64, 3, 32768)],
    ];
    for (const stream of ['mask', 'gradientDropout'] as const) {
      for (const step of [1, 2 ** 31 + 7]) {
        for (const requests of lists) {
          const found: Uint8Array[] = [];
          masks.each({ key: keyOf(SEED), stream, step }, requests, (index, mask) => {
            assert.is(index, found.length);
            const float = [below.attribute.type('T', TYPES.bool)];
            found.push(read(below, requests[index]?.shape ?? [], below.run('Identity', float, mask)));
          });
          requests.forEach(({ base, size, threshold }, k) => {
            const expected = drawKept({ seed: SEED, stream, step }, base, size, threshold);
            assert.is(Buffer.compare(found[k] as Uint8Array, expected), 0, `${stream} ${step} ${base} ${size}`);
          });
        }
      }
    }
    assert.is(below.alive(), alive);
  });
}

interface Variant {
  readonly rule: Exclude<RuleName, 'sgdm-avg'>;
  readonly hyper: HyperValues;
}

const VARIANTS: readonly Variant[] = [
  { rule: 'sgdm', hyper: { momentum: 0 } },
  { rule: 'sgdm', hyper: { momentum: 0.9, weightDecay: 0.1 } },
  { rule: 'sgdm', hyper: { momentum: 0.9, nesterov: true } },
  { rule: 'sgdm', hyper: { momentum: 0.9, dampening: 0.3 } },
  { rule: 'rmsprop', hyper: {} },
  { rule: 'rmsprop', hyper: { weightDecay: 0.1, rho: 0.2 } },
  { rule: 'rmsprop', hyper: { centered: true, momentum: 0.5 } },
  { rule: 'rmsprop', hyper: { epsilonPlacement: 'inside' } },
  { rule: 'adam', hyper: {} },
  { rule: 'adam', hyper: { epsilonMode: 'hat', weightDecay: 0.1 } },
  { rule: 'adam', hyper: { beta1: 0, beta2: 0.4 } },
  { rule: 'amsgrad', hyper: {} },
  { rule: 'amsgrad', hyper: { maxOf: 'corrected' } },
  { rule: 'radam', hyper: { weightDecay: 0.1 } },
  { rule: 'adamw', hyper: { weightDecay: 0.1 } },
];

const bytesOf = (values: unknown): Buffer => Buffer.from((values as Float32Array).slice().buffer);

const wave = (size: number, pace: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(pace * (i + 1)) + 1.5);

const SHAPES = [[5, 13], [1], [], [128]];
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

for (const keepProbability of [0.5, 1]) {
  test(`every rule and form steps as the JavaScript engine does, 8 steps at p = ${keepProbability}`, () => {
    const engine = createJsEngine();
    for (const { rule, hyper } of VARIANTS) {
      const title = `${rule} ${JSON.stringify(hyper)}`;
      const optimizer = (RULES[rule] as (options: object) => LrdOptimizer)({ ...hyper, keepProbability, seed: SEED });
      const names = stateNames(rule, { ...hyper, momentum: hyper['momentum'] ?? (rule === 'sgdm' ? 0.9 : 0) });
      const variables = SHAPES.map((shape) => tf.tidy(() => tf.variable(tf.tensor(wave(sizeOf(shape), 0.9), shape))));
      const bases = layOut(SHAPES.map(sizeOf));
      const own = SHAPES.map((shape) => ({
        parameter: wave(sizeOf(shape), 0.9),
        gradient: new Float32Array(sizeOf(shape)),
        state: Object.fromEntries(names.map((name) => [name, new Float32Array(sizeOf(shape))])),
      }));
      for (let step = 1; step <= 8; step++) {
        const gradients = own.map(({ gradient }, k) => {
          gradient.set(wave(gradient.length, 0.3 * step).map((value) => value - 1.2));
          return tf.tensor(gradient.slice(), SHAPES[k]);
        });
        optimizer.applyGradients(variables.map(({ name }, k) => ({ name, tensor: gradients[k] as tf.Tensor })));
        const request = { rule, key: keyOf(SEED), step };
        const tensors = own.map(({ parameter }, k) => ({
          base: bases[k] as number,
          size: parameter.length,
          count: step,
          hyper,
          keepProbability,
        }));
        engine.step(planStep({ ...request, tensors }), own);
        tf.dispose(gradients);
      }
      variables.forEach((variable, k) => {
        const expected = own[k]?.parameter as Float32Array;
        const found = variable.dataSync<'float32'>();
        expected.forEach((value, i) => {
          const gap = Math.abs(value - (found[i] as number));
          assert.ok(
            gap <= 2e-5 * Math.max(1, Math.abs(value)),
            `${title}, tensor ${k}[${i}]: ${found[i]}, not ${value}`,
          );
        });
      });
      optimizer.dispose();
      tf.dispose(variables);
    }
  });
}

test('no handle and no tensor is left over, step by step and after dispose, with groups and absent gradients', () => {
  const below = tensorflow();
  const before = [below.alive(), tf.memory().numTensors];
  for (const { rule, hyper } of VARIANTS) {
    const optimizer = (RULES[rule] as (options: object) => LrdOptimizer)({
      ...hyper,
      seed: SEED,
      groups: [{ match: 'leak1', excluded: true }],
    });
    const variables = [0, 1, 2].map((k) =>
      tf.tidy(() => tf.variable(tf.ones([70]), true, `leak${k}${rule}${Math.random()}`)),
    );
    const gradients = variables.map(() => tf.ones([70]));
    optimizer.bind(variables);
    let steady = 0;
    for (let step = 1; step <= 40; step++) {
      // The last one has a gradient at every other step.
      const present = step % 2 === 0 ? variables : variables.slice(0, 2);
      optimizer.applyGradients(present.map(({ name }, k) => ({ name, tensor: gradients[k] as tf.Tensor })));
      // RAdam's first steps are by the formula; then TensorFlow's own variables come once.
      if (step === 20) steady = below.alive();
      if (step > 20) assert.is(below.alive(), steady, `${rule} step ${step}`);
    }
    optimizer.dispose();
    tf.dispose([...variables, ...gradients]);
    assert.equal([below.alive(), tf.memory().numTensors], before, `${rule} ${JSON.stringify(hyper)}`);
  }
});

test("a step never writes into a caller's array, a clone or what was read before", () => {
  // 64-byte aligned memory is what TensorFlow takes without a copy: some of these are.
  for (let round = 0; round < 4; round++) {
    const array = new Float32Array(4096).fill(1);
    const optimizer = lrd.adam({ learningRate: 0.1, keepProbability: 1 });
    const tensor = tf.tensor1d(array);
    const variable = tf.variable(tensor);
    const gradient = tf.ones([4096]);
    const step = (): void => optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    step();
    assert.ok(array.every((value) => value === 1));
    assert.ok(tensor.dataSync().every((value) => value === 1));
    const read = variable.dataSync<'float32'>();
    const first = read[0] as number;
    const clone = variable.clone();
    const view = tf.reshape(variable, [64, 64]);
    step();
    step();
    for (const old of [read, clone.dataSync(), view.dataSync()]) assert.ok(old.every((value) => value === first));
    assert.ok((variable.dataSync()[0] as number) < first);
    // What a caller assigns is what the next step starts from.
    variable.assign(tensor);
    step();
    assert.ok(Math.abs((variable.dataSync()[0] as number) - 0.9) < 0.02);
    assert.ok(array.every((value) => value === 1));
    optimizer.dispose();
    tf.dispose([tensor, variable, gradient, clone, view]);
  }
});

test('[LRD-MASK-004] a dropped coordinate keeps its bits: NaN, subnormals, -0', () => {
  const bits = Uint32Array.from({ length: 256 }, (_, i) => [0x7fc00001, 1, 0x80000000, 0xff800000][i % 4] as number);
  for (const rule of ['adam', 'sgdm', 'rmsprop', 'adamw'] as const) {
    const variable = tf.variable(tf.tensor1d(new Float32Array(bits.buffer)));
    const gradient = tf.fill([256], Infinity);
    const optimizer = RULES[rule]({ keepProbability: 0.5, seed: SEED, weightDecay: 0.1 });
    optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
    const after = new Uint32Array(variable.dataSync<'float32'>().slice().buffer);
    const kept = drawKept({ seed: SEED, stream: 'mask', step: 1 }, 0, 256, 32768);
    kept.forEach((bit, i) => {
      if (bit === 0) assert.is(after[i], bits[i], `${rule} ${i}`);
    });
    optimizer.dispose();
    tf.dispose([variable, gradient]);
  }
});

test('an operation that fails leaves parameters and state as they were, and the next step is right', () => {
  const below = tensorflow();
  for (const rule of ['adam', 'adamw', 'sgdm', 'amsgrad', 'rmsprop'] as const) {
    for (const keepProbability of [0.5, 1]) {
      const before = below.alive();
      const stepper = tensorflowStepper();
      const names = stateNames(rule, rule === 'sgdm' ? { momentum: 0.9 } : { momentum: 0 });
      const make = (): tf.Variable => tf.tidy(() => tf.variable(tf.ones([100]), false));
      const variable = make();
      const state = Object.fromEntries(names.map((name) => [name, make()]));
      const [right, wrong] = [tf.ones([100]), tf.ones([7])];
      const attempt = (count: number, gradient: tf.Tensor): void => {
        const tensors = [{ base: 0, size: 100, count, hyper: { weightDecay: 0.1 }, keepProbability }];
        stepper.step(planStep({ rule, key: keyOf(SEED), step: count, tensors }), [{ variable, gradient, state }], 100);
      };
      attempt(2, right);
      const all = [variable, ...Object.values(state)];
      const values = all.map((tensor) => tensor.dataSync<'float32'>().slice());
      // The first attempt hands the gradient over, whose handle stays.
      assert.throws(() => attempt(3, wrong));
      const alive = below.alive();
      for (let i = 0; i < 3; i++) assert.throws(() => attempt(3, wrong));
      assert.is(below.alive(), alive);
      all.forEach((tensor, k) => assert.is(Buffer.compare(bytesOf(tensor.dataSync()), bytesOf(values[k])), 0, rule));
      attempt(3, right);
      assert.not(bytesOf(variable.dataSync()).equals(bytesOf(values[0])));
      stepper.dispose();
      tf.dispose([...all, right, wrong]);
      assert.is(below.alive(), before);
    }
  }
});

suiteOfAll.run();
