import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { createArrayEngine, createJsEngine } from '../../engines/checked.ts';
import { MEASURED, stateSize } from '../../engines/engine.ts';
import { planStep } from '../../engines/plan.ts';
import { resolveMask } from '../../masks/mask.ts';
import type { MaskRequest as FamilyRequest } from '../../masks/resolve.ts';
import { drawKept, keyOf, layOut } from '../../random.ts';
import { installationFolder, readInstallation } from '../../tensorflow/installation.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import { nativeVersion } from '../../tensorflow/native.ts';
import type { HyperValues } from '../../validate.ts';
import { resolveHyper, stateNames } from '../../validate.ts';
import type { RuleName } from '../../../spec/rules.ts';
import type { Tensorflow } from '../bridges/tensorflow.ts';
import { TYPES, tensorflow } from '../bridges/tensorflow.ts';
import * as lrd from '../index.ts';
import type { LrdOptimizer } from '../index.ts';
import { tensorflowStepper } from './tensorflow.ts';
import { hasNativeOperations } from '../bridges/tensorflowAddon.ts';
import type { MaskRequest } from './tensorflowMasks.ts';
import { MaskSource } from './tensorflowMasks.ts';

const suiteOfAll = suite('impl-gpu/tfjs/steppers/tensorflow');
const missing = tensorflowMissing('node');
const test = suiteOfAll.when(missing === undefined, missing ?? '');
const installation = readInstallation(installationFolder('node'));
const withoutNative =
  missing ??
  (typeof installation !== 'string' && installation.native === nativeVersion()
    ? undefined
    : 'the addon does not carry this fused step: run "npx lrd setup tensorflow" again');
const inAddon = suiteOfAll.when(withoutNative === undefined, withoutNative ?? '');
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

const same = (found: unknown, expected: Float32Array, message: string): void =>
  assert.is(Buffer.compare(bytesOf(found), bytesOf(expected)), 0, message);

const wave = (size: number, pace: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(pace * (i + 1)) + 1.5);

const SHAPES = [[5, 13], [1], [], [128]];
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Who steps: the addon's operation, else TensorFlow's with masks drawn on the processor or, as on a GPU, by TensorFlow. */
const STEPPERS = [
  { who: 'in the addon', ways: { native: true, onDevice: false } },
  { who: "by TensorFlow's operations", ways: { native: false, onDevice: false } },
  { who: "by TensorFlow's operations as on a GPU", ways: { native: false, onDevice: true } },
] as const;

/** How a step may run. */
const WAYS = STEPPERS.flatMap(({ who, ways }) =>
  [0.5, 1].map((keepProbability) => ({ way: `at p = ${keepProbability} ${who}`, keepProbability, ways })),
);

interface Twin {
  readonly keepProbability: number;
  readonly variable: tf.Variable;
  readonly state: Readonly<Record<string, tf.Variable>>;
}

const variableOf = (values: Float32Array, shape?: readonly number[]): tf.Variable =>
  tf.tidy(() => tf.variable(tf.tensor(values, shape === undefined ? undefined : [...shape]), false));

for (const { way, keepProbability, ways } of WAYS) {
  (ways.native ? inAddon : test)(`every rule and form steps as the JavaScript engine does, 8 steps ${way}`, () => {
    const engine = createJsEngine();
    const sizes = SHAPES.map(sizeOf);
    const bases = layOut(sizes);
    const extent = Math.max(...sizes.map((size, k) => (bases[k] as number) + size));
    for (const { rule, hyper } of VARIANTS) {
      const title = `${rule} ${JSON.stringify(hyper)}`;
      const stepper = tensorflowStepper(ways);
      const names = stateNames(rule, {
        ...hyper,
        momentum: hyper['momentum'] ?? (rule === 'sgdm' ? 0.9 : 0),
      });
      const own = sizes.map((size) => ({
        parameter: wave(size, 0.9),
        gradient: new Float32Array(size),
        state: Object.fromEntries(names.map((name) => [name, new Float32Array(size)])),
      }));
      const entries = own.map(({ parameter, state }, k) => ({
        variable: variableOf(parameter.slice(), SHAPES[k]),
        state: Object.fromEntries(
          names.map((name) => [name, variableOf((state[name] as Float32Array).slice(), SHAPES[k])]),
        ),
      }));
      for (let step = 1; step <= 8; step++) {
        const gradients = own.map(({ gradient }, k) => {
          gradient.set(wave(gradient.length, 0.3 * step).map((value) => value - 1.2));
          return tf.tensor(gradient.slice(), SHAPES[k]);
        });
        const tensors = sizes.map((size, k) => ({
          base: bases[k] as number,
          size,
          count: step,
          hyper,
          keepProbability,
        }));
        const plan = planStep({ rule, key: keyOf(SEED), step, tensors });
        stepper.step(
          plan,
          entries.map((entry, k) => ({
            ...entry,
            gradient: gradients[k] as tf.Tensor,
          })),
          extent,
        );
        engine.step(plan, own);
        tf.dispose(gradients);
      }
      entries.forEach(({ variable, state }, k) => {
        const expected = own[k] as (typeof own)[number];
        for (const [name, found, values] of [
          ['parameter', variable, expected.parameter] as const,
          ...names.map((each) => [each, state[each] as tf.Variable, expected.state[each] as Float32Array] as const),
        ]) {
          found.dataSync<'float32'>().forEach((value, i) => {
            const right = values[i] as number;
            const gap = Math.abs(right - value);
            assert.ok(
              gap <= 2e-5 * Math.max(1, Math.abs(right)),
              `${title}, ${name} ${k}[${i}]: ${value}, not ${right}`,
            );
          });
        }
      });
      stepper.dispose();
      tf.dispose(entries);
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
      groups: [{ match: 'leak1*', excluded: true }],
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
      optimizer.applyGradients(
        present.map(({ name }, k) => ({
          name,
          tensor: gradients[k] as tf.Tensor,
        })),
      );
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

for (const { who, ways } of STEPPERS) {
  (ways.native ? inAddon : test)(
    `[LRD-MASK-004] the state has the same bits at p = .5 and 1, ${who}, over 40 steps`,
    () => {
      for (const { rule, hyper } of VARIANTS) {
        const names = stateNames(rule, { ...hyper, momentum: hyper['momentum'] ?? (rule === 'sgdm' ? 0.9 : 0) });
        const stepper = tensorflowStepper(ways);
        const [masked, unmasked] = [0.5, 1].map((keepProbability) => ({
          keepProbability,
          variable: variableOf(wave(1000, 0.9)),
          state: Object.fromEntries(names.map((name) => [name, variableOf(new Float32Array(1000))])),
        })) as [Twin, Twin];
        for (let step = 1; step <= 40; step++) {
          const gradient = tf.tensor(wave(1000, 0.3 * step).map((value) => (value - 1.2) * 10 ** -(step / 3)));
          for (const [base, { keepProbability, variable, state }] of [masked, unmasked].entries()) {
            const tensors = [
              { base: 1024 * base, size: 1000, count: step, hyper: { ...hyper, weightDecay: 0 }, keepProbability },
            ];
            stepper.step(planStep({ rule, key: keyOf(SEED), step, tensors }), [{ variable, gradient, state }], 2048);
          }
          gradient.dispose();
          for (const name of names) {
            const [found, expected] = [masked, unmasked].map(({ state }) =>
              bytesOf((state[name] as tf.Variable).dataSync()),
            );
            assert.is(
              Buffer.compare(found as Buffer, expected as Buffer),
              0,
              `${rule} ${JSON.stringify(hyper)} ${name} ${step}`,
            );
          }
        }
        stepper.dispose();
        for (const { variable, state } of [masked, unmasked]) tf.dispose([variable, ...Object.values(state)]);
      }
    },
  );

  (ways.native ? inAddon : test)(
    `[LRD-MASK-004] a dropped coordinate keeps its bits ${who}: NaN, subnormals, -0`,
    () => {
      const bits = Uint32Array.from(
        { length: 256 },
        (_, i) => [0x7fc00001, 1, 0x80000000, 0xff800000][i % 4] as number,
      );
      for (const rule of ['adam', 'sgdm', 'rmsprop', 'adamw'] as const) {
        const stepper = tensorflowStepper(ways);
        const variable = variableOf(new Float32Array(bits.slice().buffer));
        const names = stateNames(rule, rule === 'sgdm' ? { momentum: 0.9 } : { momentum: 0 });
        const state = Object.fromEntries(names.map((name) => [name, variableOf(new Float32Array(256))]));
        const gradient = tf.fill([256], Infinity);
        for (let step = 1; step <= 2; step++) {
          const before = new Uint32Array(variable.dataSync<'float32'>().slice().buffer);
          const tensors = [
            {
              base: 0,
              size: 256,
              count: step,
              hyper: { weightDecay: 0.1 },
              keepProbability: 0.5,
            },
          ];
          stepper.step(planStep({ rule, key: keyOf(SEED), step, tensors }), [{ variable, gradient, state }], 256);
          const after = new Uint32Array(variable.dataSync<'float32'>().slice().buffer);
          const kept = drawKept({ seed: SEED, stream: 'mask', step }, 0, 256, 32768);
          kept.forEach((bit, i) => {
            if (bit === 0) assert.is(after[i], before[i], `${rule} ${i}`);
          });
        }
        stepper.dispose();
        tf.dispose([variable, gradient, ...Object.values(state)]);
      }
    },
  );
}

inAddon(
  'the addon was built with this source, and its step has the bits of the other engines: every instruction set, few threads and many',
  () => {
    assert.ok(hasNativeOperations(tensorflow()), 'run `npx lrd setup tensorflow` again');
    const program = fileURLToPath(new URL('testing/nativeSteps.ts', import.meta.url));
    for (const [LRD_INSTRUCTIONS, TF_NUM_INTRAOP_THREADS] of [
      ['avx512', '2'],
      ['avx2', '1'],
      ['plain', '5'],
    ] as const) {
      const output = execFileSync(process.execPath, [...FROM_SOURCE, program], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, LRD_INSTRUCTIONS, TF_NUM_INTRAOP_THREADS },
      });
      const { cases, wrong } = JSON.parse(output) as { readonly cases: number; readonly wrong: readonly string[] };
      assert.equal(wrong, [], LRD_INSTRUCTIONS);
      assert.ok(cases > 2000);
    }
  },
);

inAddon('[LRD-FAM-001] other kinds of mask step with the bits of the engine for arrays', () => {
  const alive = tf.memory().numTensors;
  const [engine, sizes] = [createArrayEngine(), [1000, 2 * MEASURED + 5, 0, 1]];
  const bases = layOut(sizes);
  const kinds: readonly (readonly [FamilyRequest, RuleName, HyperValues])[] = [
    [{ kind: 'skip-update' }, 'adam', {}],
    [{ kind: 'lrd', granularity: 'tensor' }, 'amsgrad', { weightDecay: 0.01 }],
    [{ kind: 'magma' }, 'adam', {}],
    [{ kind: 'magma', decay: 'masked' }, 'adamw', { weightDecay: 0.1 }],
    [{ kind: 'magma', granularity: 'element' }, 'sgdm', { weightDecay: 0.01 }],
    [{ kind: 'magma' }, 'rmsprop', { centered: true }],
    [{ kind: 'magma', decay: 'plain' }, 'adamw', { weightDecay: 0.1 }],
    [{ kind: 'cautious' }, 'adam', {}],
  ];
  for (const [request, rule, given] of kinds) {
    const mask = resolveMask(request);
    const hyper = resolveHyper(rule, { ...given, learningRate: 0.1 });
    const names = [...stateNames(rule, hyper), ...mask.stateNames(rule, hyper)];
    const own = sizes.map((size, k) => ({
      parameter: wave(size, k + 0.3),
      gradient: new Float32Array(size),
      state: Object.fromEntries(names.map((name) => [name, new Float32Array(stateSize(name, size))])),
    }));
    const theirs = own.map(({ parameter, state }) => ({
      variable: variableOf(parameter.slice()),
      state: Object.fromEntries(names.map((name) => [name, variableOf((state[name] as Float32Array).slice())])),
    }));
    const stepper = tensorflowStepper({ native: true, onDevice: false });
    for (let count = 1; count <= 6; count++) {
      const plan = planStep({
        rule,
        key: keyOf(SEED),
        step: count,
        tensors: sizes.map((size, k) => ({
          base: bases[k] as number,
          size,
          count,
          hyper,
          keepProbability: request.kind === 'cautious' ? 1 : 0.5,
          mask,
        })),
      });
      own.forEach(({ gradient }, k) => gradient.set(wave(gradient.length, 0.2 * count + k)));
      const gradients = own.map(({ gradient }) => tf.tensor(gradient.slice()));
      stepper.step(plan, theirs.map((entry, k) => ({ ...entry, gradient: gradients[k] as tf.Tensor })), 32768); // prettier-ignore
      engine.step(plan, own);
      tf.dispose(gradients);
      theirs.forEach(({ variable, state }, k) => {
        const where = `${JSON.stringify(request)} over ${rule}, step ${count}, tensor ${k}`;
        same(variable.dataSync(), own[k]?.parameter as Float32Array, where);
        for (const name of names) {
          same((state[name] as tf.Variable).dataSync(), own[k]?.state[name] as Float32Array, `${where}: ${name}`);
        }
      });
    }
    stepper.dispose();
    tf.dispose(theirs.flatMap(({ variable, state }) => [variable, ...Object.values(state)]));
  }
  assert.is(tf.memory().numTensors, alive);
});

inAddon('the step in the addon writes nothing that somebody else holds, and nothing twice', () => {
  const below = tensorflow();
  const alive = [below.alive(), tf.memory().numTensors];
  const float = [below.attribute.type('T', TYPES.float32)];
  const [engine, size] = [createArrayEngine(), 1000];
  const names = stateNames('sgdm', { momentum: 0.9 });
  const origin = tf.tensor(wave(2 * size, 0.7), [2, size]);
  // TensorFlow gives a row of a tensor as a view of its memory.
  const variable = tf.tidy(() => tf.variable(tf.reshape(tf.slice(origin, [1, 0], [1, size]), [size]), false));
  const twin = tf.variable(variable, false);
  const state = Object.fromEntries(names.map((name) => [name, variableOf(new Float32Array(size))]));
  const own = {
    parameter: variable.dataSync<'float32'>().slice(),
    gradient: new Float32Array(size),
    state: Object.fromEntries(names.map((name) => [name, new Float32Array(size)])),
  };
  const stepper = tensorflowStepper({ native: true, onDevice: false });
  const held: { readonly values: Float32Array; readonly now: () => Float32Array; readonly free: () => void }[] = [];
  const hold = (tensor: tf.Tensor): void => {
    held.push({
      values: tensor.dataSync<'float32'>().slice(),
      now: () => tensor.dataSync<'float32'>(),
      free: () => tensor.dispose(),
    });
  };
  hold(origin);
  hold(twin);
  for (let count = 1; count <= 12; count++) {
    const plan = planStep({
      rule: 'sgdm',
      key: keyOf(SEED),
      step: count,
      tensors: [{ base: 0, size, count, hyper: { momentum: 0.9, learningRate: 0.1 }, keepProbability: 0.5 }],
    });
    // In turn: a fresh gradient; the variable itself; a handle on its memory; the momentum.
    const gradient = [
      (): tf.Tensor => tf.tensor(wave(size, 0.2 * count)),
      (): tf.Tensor => variable,
      (): tf.Tensor => below.adopt([size], 'float32', below.run('Identity', float, below.handle(variable))),
      (): tf.Tensor => state['buf'] as tf.Variable,
    ][count % 4]?.() as tf.Tensor;
    own.gradient.set(gradient.dataSync<'float32'>());
    stepper.step(plan, [{ variable, gradient, state }], 1024);
    engine.step(plan, [own]);
    same(variable.dataSync(), own.parameter, `parameter, step ${count}`);
    for (const name of names) same((state[name] as tf.Variable).dataSync(), own.state[name] as Float32Array, name);
    if (gradient !== variable && !Object.values(state).includes(gradient as tf.Variable)) gradient.dispose();
    if (count % 5 === 0) {
      for (const each of [variable, state['buf'] as tf.Variable]) {
        hold(each.clone());
        hold(tf.reshape(each, [10, 100]));
        hold(tf.tidy(() => tf.slice(tf.reshape(each, [10, 100]), [3, 0], [2, 100])));
        hold(below.adopt([size], 'float32', below.run('Identity', float, below.handle(each))));
      }
    }
  }
  for (const { values, now, free } of held) {
    same(now(), values, 'what was held');
    free();
  }
  stepper.dispose();
  tf.dispose([variable, state]);
  assert.equal([below.alive(), tf.memory().numTensors], alive);
});

test('an operation that fails leaves parameters and state as they were, and the next step is right', () => {
  const below = tensorflow();
  for (const rule of ['adam', 'adamw', 'sgdm', 'amsgrad', 'rmsprop'] as const) {
    for (const { way, keepProbability, ways } of WAYS) {
      if (ways.native && withoutNative !== undefined) continue;
      const before = below.alive();
      const stepper = tensorflowStepper(ways);
      const names = stateNames(rule, rule === 'sgdm' ? { momentum: 0.9 } : { momentum: 0 });
      const make = (): tf.Variable => tf.tidy(() => tf.variable(tf.ones([100]), false));
      const variable = make();
      const state = Object.fromEntries(names.map((name) => [name, make()]));
      const [right, wrong] = [tf.ones([100]), tf.ones([7])];
      const attempt = (count: number, gradient: tf.Tensor): void => {
        const tensors = [
          {
            base: 0,
            size: 100,
            count,
            hyper: { weightDecay: 0.1 },
            keepProbability,
          },
        ];
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
      all.forEach((tensor, k) =>
        assert.is(Buffer.compare(bytesOf(tensor.dataSync()), bytesOf(values[k])), 0, `${rule} ${way}`),
      );
      attempt(3, right);
      assert.not(bytesOf(variable.dataSync()).equals(bytesOf(values[0])));
      stepper.dispose();
      tf.dispose([...all, right, wrong]);
      assert.is(below.alive(), before);
    }
  }
});

/** What a step may find changed. */
interface World {
  readonly optimizer: lrd.LrdOptimizer;
  readonly variable: tf.Variable;
  readonly state: () => Promise<tf.Variable>;
  /** The model that everything is held against: a parameter, its momentum buffer and the settings. */
  readonly own: {
    readonly parameter: Float32Array;
    readonly buf: Float32Array;
    rate: number;
    keepProbability: number;
  };
}

/** Whatever was taken of a tensor now shows the same values later. */
function holds(message: string, now: Float32Array, ...taken: readonly tf.Tensor[]): () => void {
  const values = now.slice();
  return () => {
    for (const tensor of taken) same(tensor.dataSync(), values, message);
    tf.dispose([...taken]);
  };
}

const reassign = (variable: tf.Variable, model: Float32Array, value: number): void => {
  tf.tidy(() => variable.assign(tf.fill(variable.shape, value)));
  model.fill(value);
};

/** What happens between steps, and how to see two steps later that what was taken before still is what it was. */
const EVENTS: Readonly<Record<string, (world: World) => (() => void) | Promise<(() => void) | void> | void>> = {
  nothing: () => undefined,
  'state is read, and the array kept': async ({ state, own }) => {
    const array = (await state()).dataSync<'float32'>();
    const values = own.buf.slice();
    return () => same(array, values, 'an array of state');
  },
  'state is cloned': async ({ state, own }) => holds('a clone of state', own.buf, (await state()).clone()),
  'state is cloned and read, twice': async ({ state, own }) => {
    const slot = await state();
    same(slot.dataSync(), own.buf, 'state');
    same(slot.dataSync(), own.buf, 'state');
    return holds('clones of state', own.buf, slot.clone(), slot.clone());
  },
  'state is cloned, then assigned from outside': async ({ state, own }) => {
    const slot = await state();
    const later = holds('a clone of state that was replaced', own.buf, slot.clone());
    reassign(slot, own.buf, 3);
    return later;
  },
  'state is an input of operations': async ({ state, own }) => {
    const slot = await state();
    return holds('a sum and a view of state', own.buf, tf.add(slot, 0), tf.reshape(slot, slot.shape));
  },
  'state is cloned and an input': async ({ state, own }) => {
    const slot = await state();
    const clone = slot.clone();
    return holds('a clone and its sum', own.buf, clone, tf.add(clone, 0));
  },
  'the parameter is cloned, read and reshaped': ({ variable, own }) => {
    const array = variable.dataSync<'float32'>();
    const [values, later] = [
      own.parameter.slice(),
      holds('a clone', own.parameter, variable.clone(), tf.reshape(variable, variable.shape)),
    ];
    return () => {
      same(array, values, 'an array of the parameter');
      later();
    };
  },
  'the parameter is assigned from outside': ({ variable, own }) => {
    const later = holds('a clone of what was replaced', own.parameter, variable.clone());
    reassign(variable, own.parameter, 5);
    return later;
  },
  'p becomes 1': ({ optimizer, own }) => {
    optimizer.keepProbability = own.keepProbability = 1;
  },
  'p becomes .5': ({ optimizer, own }) => {
    optimizer.keepProbability = own.keepProbability = 0.5;
  },
  'the rate changes': ({ optimizer, own }) => {
    optimizer.learningRate = own.rate = own.rate === 0.5 ? 0.25 : 0.5;
  },
  'weights are saved and restored': async ({ optimizer }) => {
    const weights = await optimizer.getWeights();
    await optimizer.setWeights(weights);
    weights.slice(0, 2).forEach(({ tensor }) => tensor.dispose());
  },
  'another backend steps': async () => {
    await tf.setBackend('cpu');
  },
  'TensorFlow steps again': async () => {
    await tf.setBackend('tensorflow');
  },
};

test('values are right whatever comes between masked steps: bit for bit, at the time and later', async () => {
  const below = tensorflow();
  const before = [below.alive(), tf.memory().numTensors];
  // The last three are large: many rows of four, one, and no whole number of fours.
  for (const shape of [[], [5, 13], [4096], [128, 160], [16388], [16393]]) {
    const size = sizeOf(shape);
    const own = {
      parameter: new Float32Array(size).fill(1),
      buf: new Float32Array(size),
      rate: 0.5,
      keepProbability: 0.5,
    };
    const variable = variableOf(own.parameter.slice(), shape);
    const optimizer = lrd.sgdm({
      learningRate: own.rate,
      momentum: 0.5,
      seed: SEED,
    });
    const state = async (): Promise<tf.Variable> => {
      const [iterations, counts, buf] = await optimizer.getWeights();
      iterations?.tensor.dispose();
      counts?.tensor.dispose();
      return buf?.tensor as tf.Variable;
    };
    let number = 0;
    /** Few bits everywhere, so that every order of operations gives the same ones. */
    const step = (): void => {
      number += 1;
      const values = Float32Array.from({ length: size }, (_, i) => ((i * 7 + number * 3) % 5) - 2);
      const kept = drawKept({ seed: SEED, stream: 'mask', step: number }, 0, size, 32768);
      const gradient = tf.tensor(values, [...shape]);
      optimizer.applyGradients([{ name: variable.name, tensor: gradient }]);
      gradient.dispose();
      values.forEach((g, i) => {
        const buf = number === 1 ? g : 0.5 * (own.buf[i] as number) + g;
        own.buf[i] = buf;
        if (own.keepProbability === 1 || kept[i] === 1)
          own.parameter[i] = (own.parameter[i] as number) - own.rate * buf;
      });
    };
    const check = async (title: string): Promise<void> => {
      same(variable.dataSync(), own.parameter, `parameter, ${title}`);
      same((await state()).dataSync(), own.buf, `state, ${title}`);
    };
    step();
    await check('the first step');
    for (const [title, event] of Object.entries(EVENTS)) {
      // The magnitudes stay small, so that sums stay exact.
      reassign(variable, own.parameter, 1);
      reassign(await state(), own.buf, 0);
      step();
      step();
      const later = await event({ optimizer, variable, state, own });
      step();
      // Reading the state is an event of its own: it is looked at after the steps that must not have needed it.
      step();
      if (later !== undefined) later();
      await check(title);
    }
    optimizer.dispose();
    variable.dispose();
  }
  assert.equal([below.alive(), tf.memory().numTensors], before);
});

suiteOfAll.run();
