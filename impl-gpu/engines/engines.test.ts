import * as assert from 'uvu/assert';
import type { Suite } from '../../conformance/harness/suite.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { expectedStep, machineOf, scalarsOf } from '../../conformance/judge/expected.ts';
import { contains } from '../../conformance/judge/interval.ts';
import { streamMask } from '../../impl-ref/index.ts';
import type { RuleName } from '../../spec/rules.ts';
import type { Gpu } from '../device/gpu.ts';
import { openGpu } from '../device/gpu.ts';
import { layOut } from '../random.ts';
import type { HyperValues } from '../validate.ts';
import { resolveHyper, stateNames } from '../validate.ts';
import { createArrayEngine, createJsEngine, createWasmEngine } from './checked.ts';
import type { StepPlan, TensorBuffers } from './engine.ts';
import { planStep } from './plan.ts';
import type { HostTensors, Runner, Subject } from './testing/runners.ts';
import {
  arraySubject,
  jsSubject,
  wasmPlainSubject,
  wasmSubject,
  webGpuFlatSubject,
  webGpuSubject,
} from './testing/runners.ts';
import { createWasmPool } from './wasmPool.ts';
import { createWebGpuEngine } from './webGpuEngine.ts';
import { DeviceLostError, flatBufferBytes } from './webgpu.ts';

/** Every rule with every variant that changes its arithmetic. */
const VARIANTS: readonly (readonly [RuleName, HyperValues])[] = [
  ['sgdm', {}],
  ['sgdm', { momentum: 0, weightDecay: 0.01 }],
  ['sgdm', { nesterov: true, dampening: 0.25, weightDecay: 5e-4 }],
  ['rmsprop', { weightDecay: 5e-4 }],
  ['rmsprop', { epsilonPlacement: 'inside', centered: true }],
  ['rmsprop', { momentum: 0.9 }],
  ['rmsprop', { epsilonPlacement: 'inside', centered: true, momentum: 0.5, weightDecay: 0.1 }],
  ['adam', {}],
  ['adam', { epsilonMode: 'hat', weightDecay: 5e-4 }],
  ['amsgrad', { weightDecay: 5e-4 }],
  ['amsgrad', { maxOf: 'corrected' }],
  ['amsgrad', { maxOf: 'uncorrected' }],
  ['amsgrad', { epsilonMode: 'hat' }],
  ['amsgrad', { maxOf: 'corrected', epsilonMode: 'hat' }],
  ['radam', { weightDecay: 1e-4 }],
  ['radam', { variant: 'original' }],
  ['radam', { variant: 'paper' }],
  ['adamw', {}],
  ['adamw', { epsilonMode: 'hat', weightDecay: 0.1 }],
];

/** The base is the seed of everything random in these tests. */
const KEY = [Number(process.env['LRD_SEED'] ?? 20221122) >>> 0, 0x9abcdef0] as const;
const SIZES = [1, 3, 0, 63, 65, 32, 130] as const;

/** A small generator for values; masks never come from it. Normal by a sum of uniforms. */
function valuesFrom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  const uniform = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return () => uniform() + uniform() + uniform() + uniform() - 2;
}

function randomTensors(sizes: readonly number[], names: readonly string[], next: () => number): HostTensors {
  return sizes.map((size) => ({
    parameter: Float32Array.from({ length: size }, next),
    gradient: new Float32Array(size),
    state: Object.fromEntries(names.map((name) => [name, new Float32Array(size)])),
  }));
}

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

function assertSameBits(got: Float32Array, expected: Float32Array, what: string): void {
  const [a, b] = [bitsOf(got), bitsOf(expected)];
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) assert.unreachable(`${what}[${i}] must be ${expected[i]}, got ${got[i]}`);
  }
}

/** The settings of tensor k at a step: they change between steps, and between tensors. */
function settings(hyper: HyperValues, k: number, step: number): { hyper: HyperValues; keepProbability: number } {
  const learningRate = step > 25 ? 0.01 : 0.1;
  return {
    hyper: { ...hyper, learningRate, ...(k === 4 ? { weightDecay: 0.05 } : {}) },
    // Tensor 3 is excluded, tensor 5 has a probability of its own.
    keepProbability: k === 3 ? 1 : k === 5 ? 0.9 : step > 40 ? 0.2 : 0.5,
  };
}

async function runFiftySteps(subject: Subject, rule: RuleName, variant: HyperValues): Promise<void> {
  const next = valuesFrom(KEY[0]);
  const names = stateNames(rule, resolveHyper(rule, variant));
  const bases = layOut(SIZES);
  const machine = machineOf({ precision: 'float32', features: subject.relaxed ? ['relaxed-float32'] : [] });
  const counts = SIZES.map(() => 0);
  const runner = subject.start(randomTensors(SIZES, names, next));
  let before = await runner.read();
  let kept = 0;
  for (let step = 1; step <= 50; step++) {
    // Tensor 1 has no gradient in every fifth step.
    const still = (k: number): boolean => k === 1 && step % 5 === 0;
    const gradients = SIZES.map((size) => Float32Array.from({ length: size }, next));
    const given = SIZES.map((_, k) => settings(variant, k, step));
    const plan = planStep({
      rule,
      key: KEY,
      step,
      tensors: given.map((own, k) => ({
        ...own,
        base: bases[k] as number,
        size: SIZES[k] as number,
        count: still(k) ? 0 : (counts[k] as number) + 1,
      })),
    });
    runner.setGradients(gradients);
    runner.step(plan);
    const after = await runner.read();
    for (const [k, size] of SIZES.entries()) {
      const old = before[k] as HostTensors[number];
      const now = after[k] as HostTensors[number];
      const where = `${subject.name}, ${rule}, step ${step}, tensor ${k}`;
      if (still(k)) {
        assertSameBits(now.parameter, old.parameter, `${where}: parameter`);
        for (const name of names)
          assertSameBits(now.state[name] as Float32Array, old.state[name] as Float32Array, name);
        continue;
      }
      const count = (counts[k] = (counts[k] as number) + 1);
      const own = given[k] as (typeof given)[number];
      const scalars = scalarsOf(machine, rule, resolveHyper(rule, own.hyper), count);
      const mask = streamMask({ key: KEY, step, stream: 'mask', base: bases[k] as number }, size, own.keepProbability);
      const exact = (values: Float32Array | undefined, i: number) => machine.tensor.exact(values?.[i] as number);
      for (let i = 0; i < size; i++) {
        const slots = Object.fromEntries(names.map((name) => [name, exact(old.state[name], i)]));
        const state = { slots, history: [] };
        const expected = expectedStep(machine, scalars, exact(old.parameter, i), exact(gradients[k], i), state);
        const got = now.parameter[i] as number;
        if (mask[i] === 1) {
          kept++;
          const { lo, hi } = expected.parameter;
          if (!contains(expected.parameter, got)) {
            assert.unreachable(`${where}: parameter[${i}] must be in [${lo}, ${hi}], got ${got}`);
          }
        } else if (!Object.is(got, old.parameter[i])) {
          assert.unreachable(`${where}: parameter[${i}] is dropped and must stay ${old.parameter[i]}, got ${got}`);
        }
        for (const name of names) {
          const x = now.state[name]?.[i] as number;
          const interval = expected.state.slots[name];
          if (interval === undefined || !contains(interval, x)) {
            assert.unreachable(`${where}: ${name}[${i}] must be in [${interval?.lo}, ${interval?.hi}], got ${x}`);
          }
        }
      }
    }
    before = after;
  }
  assert.ok(kept > 5000);
  runner.dispose();
}

/** The mask that an engine draws, by a step of -1 on zeros: kept elements become -1. */
async function drawnMask(subject: Subject, sizes: readonly number[], step: number, p: number): Promise<Float32Array[]> {
  const bases = layOut(sizes);
  const tensors = sizes.map((size) => ({
    parameter: new Float32Array(size),
    gradient: new Float32Array(size).fill(1),
    state: {},
  }));
  const runner = subject.start(tensors);
  const hyper = { learningRate: 1, momentum: 0 };
  runner.step(
    planStep({
      rule: 'sgdm',
      key: KEY,
      step,
      tensors: sizes.map((size, k) => ({ base: bases[k] as number, size, count: 1, hyper, keepProbability: p })),
    }),
  );
  const read = await runner.read();
  runner.dispose();
  return read.map(({ parameter }) => parameter);
}

async function checkMasks(subject: Subject, sizes: readonly number[], step: number, p: number): Promise<void> {
  const bases = layOut(sizes);
  const drawn = await drawnMask(subject, sizes, step, p);
  for (const [k, size] of sizes.entries()) {
    const expected = streamMask({ key: KEY, step, stream: 'mask', base: bases[k] as number }, size, p);
    const got = drawn[k] as Float32Array;
    for (let i = 0; i < size; i++) {
      if ((expected[i] === 1 ? -1 : 0) !== got[i]) {
        assert.unreachable(`${subject.name}, p ${p}, step ${step}: mask of tensor ${k} differs at ${i}`);
      }
    }
  }
}

/** Values that arithmetic would change: the smallest subnormal, a larger one, -0, a quiet and a signalling NaN, infinities. */
const DELICATE = [0x00000001, 0x807fffff, 0x80000000, 0x7fc12345, 0x7fa00001, 0xffc00001, 0x7f800000, 0xff800000];

function delicateTensors(size: number, names: readonly string[], gradient: number): HostTensors {
  const parameter = new Float32Array(size);
  bitsOf(parameter).forEach((_, i, bits) => (bits[i] = DELICATE[i % DELICATE.length] as number));
  const state = Object.fromEntries(names.map((name) => [name, new Float32Array(size)]));
  return [{ parameter, gradient: new Float32Array(size).fill(gradient), state }];
}

function oneStep(rule: RuleName, hyper: HyperValues, size: number, keepProbability: number, step = 1): StepPlan {
  return planStep({ rule, key: KEY, step, tensors: [{ base: 0, size, count: step, hyper, keepProbability }] });
}

async function afterOne(runner: Runner, plan: StepPlan): Promise<HostTensors[number]> {
  runner.step(plan);
  const [tensor] = await runner.read();
  runner.dispose();
  return tensor as HostTensors[number];
}

/** Registers the tests that every engine must pass. */
function testEngine(test: Suite, subject: Subject): void {
  for (const [rule, variant] of VARIANTS) {
    test(`[LRD-MASK-004] [LRD-STATE-002] [LRD-STATE-003] [LRD-STATE-004] ${subject.name}: 50 steps of ${rule} ${JSON.stringify(variant)} each lie within the interval from its own state`, () =>
      runFiftySteps(subject, rule, variant));
  }

  test(`[LRD-STREAM-001] [LRD-STREAM-002] [LRD-STREAM-003] ${subject.name}: masks are the stream's, bit by bit, for awkward sizes`, async () => {
    for (const p of [0.5, 2 ** -16, 0.3, 1 - 2 ** -16, 1])
      await checkMasks(subject, [1, 3, 63, 0, 65, 7, 2048, 4099], 3, p);
    await checkMasks(subject, [33, 2 ** 20 + 1], 2 ** 32 - 1, 0.5);
  });

  test(`[LRD-MASK-003] ${subject.name}: dropped elements keep their bits, NaN, subnormals and -0 included, whatever the step is`, async () => {
    for (const gradient of [1, Number.NaN, Infinity]) {
      for (const [rule, hyper] of VARIANTS) {
        const size = 1000;
        const initial = delicateTensors(size, stateNames(rule, resolveHyper(rule, hyper)), gradient);
        const { parameter } = await afterOne(subject.start(initial), oneStep(rule, hyper, size, 0.25));
        const mask = streamMask({ key: KEY, step: 1, stream: 'mask', base: 0 }, size, 0.25);
        const [was, now] = [bitsOf((initial[0] as HostTensors[number]).parameter), bitsOf(parameter)];
        for (let i = 0; i < size; i++) if (mask[i] === 0) assert.is(now[i], was[i], `${rule}, element ${i}`);
      }
    }
  });

  test(`[LRD-MASK-002] ${subject.name}: kept elements have the bits of the base rule's step, and so has all of the state`, async () => {
    for (const [rule, hyper] of VARIANTS) {
      const size = 1003;
      const next = valuesFrom(7);
      const names = stateNames(rule, resolveHyper(rule, hyper));
      const initial = randomTensors([size], names, next).map((tensor) => ({
        ...tensor,
        gradient: Float32Array.from({ length: size }, next),
      }));
      const base = await afterOne(subject.start(initial), oneStep(rule, hyper, size, 1, 9));
      const masked = await afterOne(subject.start(initial), oneStep(rule, hyper, size, 0.5, 9));
      const mask = streamMask({ key: KEY, step: 9, stream: 'mask', base: 0 }, size, 0.5);
      const [was, now] = [bitsOf(base.parameter), bitsOf(masked.parameter)];
      for (let i = 0; i < size; i++) if (mask[i] === 1) assert.is(now[i], was[i], `${rule}, element ${i}`);
      for (const name of names)
        assertSameBits(masked.state[name] as Float32Array, base.state[name] as Float32Array, name);
    }
  });
}

const test = suite('impl-gpu/engines');

testEngine(test, jsSubject);
testEngine(test, arraySubject);
testEngine(test, wasmPlainSubject);
testEngine(test, wasmSubject('wasm on shared memory', true, createWasmEngine));

const plan = planStep({
  rule: 'adam',
  key: [1, 2],
  step: 1,
  tensors: [
    { base: 0, size: 4, count: 1, hyper: {}, keepProbability: 1 },
    { base: 64, size: 4, count: 1, hyper: {}, keepProbability: 1 },
  ],
});

for (const [name, createEngine] of [
  ['js', createJsEngine],
  ['arrays', createArrayEngine],
] as const) {
  test(`[LRD-ERROR-003] [LRD-ERROR-004] ${name}: wrong arrays are refused before anything moves`, () => {
    const tensor = (length: number): TensorBuffers<Float32Array> => ({
      parameter: new Float32Array(4),
      gradient: new Float32Array(4).fill(1),
      state: { m: new Float32Array(4), v: new Float32Array(length) },
    });
    const good = tensor(4);
    const engine = createEngine();
    const refuse = (second: TensorBuffers<Float32Array> | null, message: string): void => {
      assert.throws(
        () => engine.step(plan, [good, second]),
        (error: Error) => error.message === message && !error.message.includes('\n'),
      );
    };
    refuse(tensor(3), 'v of tensor 1 must have 4 elements, got 3');
    refuse({ ...tensor(4), state: { m: new Float32Array(4) } }, 'v of tensor 1 must be a Float32Array, got undefined');
    refuse(null, 'tensor 1 must have buffers: it has a part in this step');
    assert.throws(() => engine.step(plan, [good]), /tensors must be 2 as planned, got 1/);
    assert.equal(good.parameter, new Float32Array(4));
    assert.equal(good.state['m'], new Float32Array(4));
  });
}

test('[LRD-ERROR-003] [LRD-ERROR-004] wasm: pointers outside the memory are refused before anything moves', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  new Float32Array(memory.buffer).fill(1);
  const engine = createWasmEngine(memory);
  const good = { parameter: 0, gradient: 16, state: { m: 32, v: 48 } };
  const refuse = (second: Partial<TensorBuffers<number>>, message: RegExp): void =>
    assert.throws(() => engine.step(plan, [good, { ...good, ...second }]), message);
  refuse({ parameter: 65524 }, /parameter of tensor 1 must end within the memory's 65536 bytes, got 65524 \+ 16/);
  refuse({ gradient: 2 }, /gradient of tensor 1 must be a byte pointer, a multiple of 4, got 2/);
  refuse({ gradient: -4 }, /must be a byte pointer/);
  refuse({ state: { m: 32, v: 44 } }, /^v of tensor 1 must not overlap m, got 44 and 32$/);
  refuse({ state: { m: 32 } }, /v of tensor 1 must be a byte pointer, a multiple of 4, got undefined/);
  assert.ok(new Float32Array(memory.buffer).every((x) => x === 1));
});

test('wasm: a memory that grows between steps goes on working', () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 4 });
  const engine = createWasmEngine(memory);
  const single = planStep({
    rule: 'sgdm',
    key: [1, 2],
    step: 1,
    tensors: [{ base: 0, size: 8, count: 1, hyper: { momentum: 0 }, keepProbability: 1 }],
  });
  const at = (pointer: number): Float32Array => new Float32Array(memory.buffer, pointer, 8);
  at(32).fill(1);
  engine.step(single, [{ parameter: 0, gradient: 32, state: {} }]);
  memory.grow(2);
  at(65536 + 32).fill(2);
  engine.step(single, [{ parameter: 65536, gradient: 65536 + 32, state: {} }]);
  assert.is(at(0)[0], Math.fround(-0.1));
  assert.is(at(65536)[7], Math.fround(-0.2));
});

test('[LRD-STREAM-005] wasm pool: several threads give the bits of one, for large and small steps', async () => {
  const sizes = [2 ** 18 + 5, 1, 70_000, 64, 0, 300_001];
  const bases = layOut(sizes);
  const hyper = { weightDecay: 0.01 };
  const results: (readonly Float32Array[])[] = [];
  for (const threads of [0, 1, 2, 3]) {
    const pages = 260;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const pool = threads === 0 ? undefined : await createWasmPool(memory, threads);
    const engine = pool ?? createWasmEngine(memory);
    const next = valuesFrom(5);
    let end = 0;
    const place = (size: number): number => {
      const at = end;
      new Float32Array(memory.buffer, at, size).forEach((_, i, values) => (values[i] = next()));
      end += 4 * size;
      return at;
    };
    const tensors = sizes.map((size) => ({
      parameter: place(size),
      gradient: place(size),
      state: { buf: place(size) },
    }));
    for (let step = 2; step <= 4; step++) {
      const plan = planStep({
        rule: 'sgdm',
        key: KEY,
        step,
        tensors: sizes.map((size, k) => ({
          base: bases[k] as number,
          size,
          // The third step is a small one: the large tensors have no gradient.
          count: step === 4 && size > 100 ? 0 : step,
          hyper,
          keepProbability: 0.5,
        })),
      });
      engine.step(plan, tensors);
    }
    results.push(
      tensors.flatMap(({ parameter, state }, k) =>
        [parameter, state.buf].map((at) => new Float32Array(memory.buffer, at, sizes[k] as number).slice()),
      ),
    );
    await pool?.dispose();
  }
  for (const result of results.slice(1)) {
    result.forEach((values, i) => assertSameBits(values, results[0]?.[i] as Float32Array, `array ${i}`));
  }
});

test('[LRD-ERROR-003] wasm pool: a memory that is not shared and a wrong number of threads are refused', async () => {
  const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const refuse = async (memory: WebAssembly.Memory, threads: number, message: RegExp): Promise<void> => {
    try {
      await createWasmPool(memory, threads);
    } catch (error) {
      assert.match((error as Error).message, message);
      return;
    }
    assert.unreachable();
  };
  await refuse(new WebAssembly.Memory({ initial: 1 }), 2, /^memory must be shared/);
  await refuse(shared, 0, /^threads must be a whole number of at least 1, got 0$/);
  await refuse(shared, 1.5, /^threads must be a whole number of at least 1, got 1.5$/);
});

let gpu: Gpu | undefined;
let reason = '';
try {
  gpu = await openGpu();
} catch (error) {
  reason = (error as Error).message;
}
const onGpu = test.when(gpu !== undefined, reason);
const { device } = gpu ?? ({} as Gpu);
const errors: string[] = [];
if (gpu !== undefined) device.onuncapturederror = ({ error }) => void errors.push(error.message);

testEngine(onGpu, webGpuSubject(device));
testEngine(onGpu, webGpuFlatSubject(device, layOut));

const planOf = (sizes: readonly number[], keepProbability = 0.5): StepPlan => {
  const bases = layOut(sizes);
  const hyper = {};
  return planStep({
    rule: 'sgdm',
    key: [1, 2],
    step: 1,
    tensors: sizes.map((size, k) => ({ base: bases[k] as number, size, count: 1, hyper, keepProbability })),
  });
};
const buffer = (bytes: number, usage = 0x8c): GPUBuffer => device.createBuffer({ size: bytes, usage });

onGpu('[LRD-ERROR-003] [LRD-ERROR-004] buffers that are too small or lack a usage are refused by name', () => {
  const engine = createWebGpuEngine(device);
  const good = { parameter: buffer(64), gradient: buffer(64), state: { buf: buffer(64) } };
  const plan = planOf([16]);
  assert.throws(
    () => engine.step(plan, [{ ...good, gradient: buffer(60) }]),
    /^gradient of tensor 0 must have at least 64 bytes, got 60$/,
  );
  assert.throws(
    () => engine.step(plan, [{ ...good, parameter: buffer(64, 8) }]),
    /^parameter of tensor 0 must have the usage STORAGE, got usage 0x8$/,
  );
  assert.throws(
    () => engine.step(plan, [{ ...good, state: {} }]),
    /^buf of tensor 0 must be a GPUBuffer, got undefined$/,
  );
  assert.throws(
    () => engine.step(plan, [{ ...good, state: { buf: good.parameter } }]),
    /^parameter, gradient, buf of tensor 0 must be 3 different buffers, got one twice$/,
  );
  assert.throws(() => engine.step(plan, []), /^tensors must be 1 as planned, got 0$/);
  assert.throws(
    () => engine.stepFlat(planOf([16, 16]), good),
    /^parameter of the flat buffers must have at least 320 bytes, got 64$/,
  );
  assert.throws(() => engine.stepFlat(plan, good, []), /^gradients must be 1 as planned, got 0$/);
  assert.throws(
    () => engine.stepFlat(plan, good, [buffer(32)]),
    /^gradient of tensor 0 must have at least 64 bytes, got 32$/,
  );
  engine.dispose();
});

onGpu('a model larger than a buffer of the device is an error that says the limit', () => {
  const most = device.limits.maxBufferSize;
  assert.throws(
    () => flatBufferBytes(device, most / 4 + 1),
    new RegExp(`must be within the device's maxBufferSize of ${most}`),
  );
});

onGpu('a tensor larger than a binding takes several dispatches and gives the same bits', async () => {
  const own = await openGpu();
  // A device that allows bindings of 4 KiB only, as far as the engine can tell.
  const small = new Proxy(own.device, {
    get: (target, name) => {
      if (name === 'limits') {
        return {
          minUniformBufferOffsetAlignment: 256,
          minStorageBufferOffsetAlignment: 256,
          maxStorageBufferBindingSize: 4096,
          maxComputeWorkgroupsPerDimension: 2,
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const size = 20003;
  const results: Float32Array[] = [];
  for (const subject of [webGpuSubject(own.device), webGpuSubject(small), webGpuFlatSubject(small, layOut)]) {
    const runner = subject.start(
      [64, size].map((n) => ({
        parameter: new Float32Array(n),
        gradient: Float32Array.from({ length: n }, (_, i) => i % 17),
        state: { buf: new Float32Array(n) },
      })),
    );
    runner.step(planOf([64, size]));
    results.push((await runner.read())[1]?.parameter as Float32Array);
    runner.dispose();
  }
  assert.ok((results[0] as Float32Array).some((x) => x !== 0));
  assert.equal(results[1], results[0]);
  assert.equal(results[2], results[0]);
  own.device.destroy();
});

onGpu('[LRD-STREAM-005] blocks that change hands within a workgroup give the same bits', async () => {
  const sizes = [20_000, 3, 64, 5001];
  const results: HostTensors[] = [];
  for (const spread of [false, true]) {
    const next = valuesFrom(11);
    const runner = webGpuFlatSubject(device, layOut, spread).start(
      randomTensors(sizes, ['buf'], next).map((tensor) => ({ ...tensor, gradient: tensor.parameter.map(next) })),
    );
    runner.step(planOf(sizes));
    runner.step(planOf(sizes, 1));
    results.push(await runner.read());
    runner.dispose();
  }
  sizes.forEach((_, k) => {
    const [a, b] = results.map((tensors) => tensors[k] as HostTensors[number]) as [
      HostTensors[number],
      HostTensors[number],
    ];
    assertSameBits(b.parameter, a.parameter, `parameter of tensor ${k}`);
    assertSameBits(b.state['buf'] as Float32Array, a.state['buf'] as Float32Array, `buf of tensor ${k}`);
  });
});

onGpu('a prepared step keeps its scalars while others are queued, and may be recorded twice', async () => {
  const engine = createWebGpuEngine(device);
  const bytes = flatBufferBytes(device, 64);
  const flat = { parameter: buffer(bytes), gradient: buffer(bytes), state: {} };
  device.queue.writeBuffer(flat.gradient, 0, new Float32Array(64).fill(1));
  const of = (learningRate: number): StepPlan =>
    planStep({
      rule: 'sgdm',
      key: KEY,
      step: 1,
      tensors: [{ base: 0, size: 64, count: 1, hyper: { momentum: 0, learningRate }, keepProbability: 1 }],
    });
  const prepared = engine.prepareFlat(of(1), flat);
  engine.stepFlat(of(16), flat);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  prepared.record(pass);
  prepared.record(pass);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const target = device.createBuffer({ size: bytes, usage: 9 });
  const copy = device.createCommandEncoder();
  copy.copyBufferToBuffer(flat.parameter, 0, target, 0, bytes);
  device.queue.submit([copy.finish()]);
  await target.mapAsync(1);
  assert.equal(new Float32Array(target.getMappedRange().slice(0)), new Float32Array(64).fill(-18));
  prepared.dispose();
  engine.dispose();
});

onGpu('a lost device is an error that says so', async () => {
  const own = await openGpu();
  const engine = createWebGpuEngine(own.device);
  own.device.destroy();
  await own.device.lost;
  try {
    engine.step(planOf([]), []);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, DeviceLostError);
    assert.match(
      (error as Error).message,
      /^the GPU device must be alive, it was lost \(destroyed: .*\); open another/,
    );
  }
});

onGpu('the device reports no error of its own', async () => {
  await device.queue.onSubmittedWorkDone();
  assert.equal(errors, []);
});

test.run();
