import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import type { RuleName } from '../../spec/rules.ts';
import { layOut } from '../random.ts';
import type { HyperValues } from '../validate.ts';
import { resolveHyper, stateNames } from '../validate.ts';
import { createArrayEngine, createJsEngine } from './checked.ts';
import type { StepPlan } from './engine.ts';
import { MEASURED } from './engine.ts';
import { planStep } from './plan.ts';
import type { HostTensors, Subject } from './testing/runners.ts';
import { arraySubject, jsSubject, wasmPlainSubject } from './testing/runners.ts';

const test = suite('impl-gpu/engines/arrays');

/** Every family, with the most and the least state. */
const VARIANTS: readonly (readonly [RuleName, HyperValues])[] = [
  ['sgdm', { momentum: 0, weightDecay: 0.01 }],
  ['sgdm', { nesterov: true, dampening: 0.25 }],
  ['rmsprop', {}],
  ['rmsprop', { epsilonPlacement: 'inside', centered: true, momentum: 0.5 }],
  ['adam', { weightDecay: 5e-4 }],
  ['amsgrad', {}],
  ['radam', {}],
  ['adamw', {}],
];

/** One of a few elements, whole turns of the kernel, and every edge of a chunk. */
const SIZES = [10, MEASURED + 1, 0, 64, MEASURED - 1, 1, MEASURED, 2 * MEASURED, 33, 20_005] as const;

/** Values in (-1, 1); the base is the seed of everything random in these tests. */
function valuesFrom(seed: number): () => number {
  let state = (seed ^ Number(process.env['LRD_SEED'] ?? 20221122)) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}

function randomTensors(sizes: readonly number[], names: readonly string[]): HostTensors {
  const next = valuesFrom(1);
  const values = (size: number): Float32Array => Float32Array.from({ length: size }, next);
  return sizes.map((size) => ({
    parameter: values(size),
    gradient: values(size),
    state: Object.fromEntries(names.map((name) => [name, values(size).map(Math.abs)])),
  }));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

function assertSame(got: HostTensors, expected: HostTensors, what: string): void {
  expected.forEach((tensor, k) => {
    const now = got[k] as HostTensors[number];
    const lists = [
      ['parameter', now.parameter, tensor.parameter] as const,
      ['gradient', now.gradient, tensor.gradient] as const,
      ...Object.entries(tensor.state).map(([name, values]) => [name, now.state[name] as Float32Array, values] as const),
    ];
    for (const [name, a, b] of lists) {
      if (!bytesOf(a).equals(bytesOf(b))) {
        const at = b.findIndex((value, i) => !Object.is(value, a[i]));
        assert.unreachable(`${what}: ${name}[${at}] of tensor ${k} must be ${b[at]}, got ${a[at]}`);
      }
    }
  });
}

/** The fourth tensor is excluded, the sixth has no gradient, the seventh a rate and a probability of its own. */
function planOf(rule: RuleName, variant: HyperValues, sizes: readonly number[], step: number, p: number): StepPlan {
  const bases = layOut(sizes);
  const own = { ...variant, learningRate: 0.5 };
  return planStep({
    rule,
    key: [0xdeadbeef, 17],
    step,
    tensors: sizes.map((size, k) => ({
      base: bases[k] as number,
      size,
      count: k === 5 ? 0 : step,
      hyper: k === 6 ? own : variant,
      keepProbability: k === 3 ? 1 : k === 6 ? 0.3 : p,
    })),
  });
}

async function run(subject: Subject, initial: HostTensors, plans: readonly StepPlan[]): Promise<HostTensors> {
  const runner = subject.start(initial);
  for (const plan of plans) runner.step(plan);
  const read = await runner.read();
  runner.dispose();
  return read;
}

for (const [rule, variant] of VARIANTS) {
  test(`[LRD-STREAM-005] ${rule} ${JSON.stringify(variant)}: the bits of the WASM engine, on every edge of a chunk, at p = .5 and 1`, async () => {
    const initial = randomTensors(SIZES, stateNames(rule, resolveHyper(rule, variant)));
    const plans = [0.5, 1, 0.9].map((p, i) => planOf(rule, variant, SIZES, i + 1, p));
    const expected = await run(wasmPlainSubject, initial, plans);
    assertSame(await run(arraySubject, initial, plans), expected, rule);
    assert.is.not(Buffer.compare(bytesOf(expected[9]?.parameter as Float32Array), bytesOf(initial[9]?.parameter as Float32Array)), 0); // prettier-ignore
  });
}

test('arrays that are views into a larger buffer are stepped, and what lies beside them stays', () => {
  const sizes = [9000];
  const [whole] = randomTensors(sizes, ['m', 'v']) as [HostTensors[number]];
  const inside = (values: Float32Array): Float32Array => {
    const buffer = new Float32Array(values.length + 6).fill(7);
    buffer.set(values, 3);
    return buffer.subarray(3, 3 + values.length);
  };
  const viewed = {
    parameter: inside(whole.parameter),
    gradient: inside(whole.gradient),
    state: { m: inside(whole.state['m'] as Float32Array), v: inside(whole.state['v'] as Float32Array) },
  };
  const plan = planOf('adam', {}, sizes, 1, 0.5);
  const engine = createArrayEngine();
  engine.step(plan, [viewed]);
  engine.step(plan, [whole]);
  assertSame([viewed], [whole], 'views');
  for (const { buffer } of [viewed.parameter, viewed.gradient, viewed.state.m, viewed.state.v]) {
    const all = new Float32Array(buffer);
    assert.equal([...all.subarray(0, 3), ...all.subarray(-3)], [7, 7, 7, 7, 7, 7]);
  }
});

test('two engines that take turns do not see what the other left behind', async () => {
  const names = ['m', 'v', 'vmax'];
  const [a, b] = [randomTensors([100, 9000], names), randomTensors([40, 8200], names)];
  const [planA, planB] = [planOf('amsgrad', {}, [100, 9000], 1, 0.5), planOf('amsgrad', {}, [40, 8200], 1, 0.5)];
  const [one, two] = [arraySubject.start(a), arraySubject.start(b)];
  for (let turn = 0; turn < 3; turn++) {
    one.step(planA);
    two.step(planB);
  }
  assertSame(await one.read(), await run(wasmPlainSubject, a, [planA, planA, planA]), 'first');
  assertSame(await two.read(), await run(wasmPlainSubject, b, [planB, planB, planB]), 'second');
});

/** Runs `work` while a global is replaced. */
function without(target: object, property: string, replacement: unknown, work: () => void): void {
  const descriptor = Object.getOwnPropertyDescriptor(target, property) as PropertyDescriptor;
  Object.defineProperty(target, property, { ...descriptor, value: replacement });
  try {
    work();
  } finally {
    Object.defineProperty(target, property, descriptor);
  }
}

/** What happens in a page whose content security policy lacks 'wasm-unsafe-eval', and without SIMD. */
function refuseToCompile(): never {
  throw new WebAssembly.CompileError('WebAssembly.Module(): blocked');
}

// Kernels that nothing else in this file asks for before, since what was compiled is kept.
for (const [how, target, property, replacement, variant] of [
  ['WebAssembly is not there', globalThis, 'WebAssembly', undefined, { weightDecay: 0.25 }],
  ['modules cannot be compiled', WebAssembly, 'Module', refuseToCompile, { centered: true }],
] as const) {
  test(`where ${how}, the JavaScript engine steps instead, without a word and to its bits`, async () => {
    const initial = randomTensors(SIZES, stateNames('rmsprop', resolveHyper('rmsprop', variant)));
    const plan = planOf('rmsprop', variant, SIZES, 1, 0.5);
    const runner = arraySubject.start(initial);
    without(target, property, replacement, () => runner.step(plan));
    const got = await runner.read();
    assertSame(got, await run(jsSubject, initial, [plan]), how);
    // Which are not those of the kernels.
    const kernels = await run(wasmPlainSubject, initial, [plan]);
    assert.not.ok(got.every(({ state }, k) => bytesOf(state['v'] as Float32Array).equals(bytesOf(kernels[k]?.state['v'] as Float32Array)))); // prettier-ignore
  });
}

test('an engine that has met a kernel it cannot compile goes on in JavaScript', () => {
  const [first] = randomTensors([500], ['v', 'buf']);
  const make = () => structuredClone([first as HostTensors[number]]);
  const [got, expected] = [make(), make()];
  const [refused, known] = [{ momentum: 0.5, weightDecay: 0.125 }, {}].map((variant) =>
    planOf('rmsprop', variant, [500], 1, 0.5),
  ) as [StepPlan, StepPlan];
  const engine = createArrayEngine();
  const js = createJsEngine();
  engine.step(known, make());
  without(WebAssembly, 'Module', refuseToCompile, () => engine.step(refused, got));
  engine.step(known, got);
  for (const plan of [refused, known]) js.step(plan, expected);
  assertSame(got, expected, 'rmsprop');
});

test.run();
