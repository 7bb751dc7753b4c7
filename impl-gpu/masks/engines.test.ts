import * as assert from 'uvu/assert';
import type { Suite } from '../../conformance/harness/suite.ts';
import { suite } from '../../conformance/harness/suite.ts';
import { expectedStep, machineOf, scalarsOf } from '../../conformance/judge/expected.ts';
import type { ElementStep } from '../../conformance/judge/expected.ts';
import { agrees, expectedAlignment, expectedMeanFactor, expectedMoment } from '../../conformance/judge/factors.ts';
import { contains, point } from '../../conformance/judge/interval.ts';
import type { Interval } from '../../conformance/judge/interval.ts';
import { createOptimizer, nextAlignment, streamMask, tensorMask } from '../../impl-ref/index.ts';
import { resolveMask as resolveReference } from '../../impl-ref/family/resolveMask.ts';
import { STREAMS } from '../../spec/stream.ts';
import type { RuleName } from '../../spec/rules.ts';
import type { Gpu } from '../device/gpu.ts';
import { openGpu } from '../device/gpu.ts';
import { resolveMask } from './mask.ts';
import type { MaskRequest } from './resolve.ts';
import { resolveOptions } from './resolve.ts';
import { drawKept, layOut } from '../random.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, resolveHyper, stateNames } from '../validate.ts';
import { KEEP_ALL, KEEP_NONE, MEASURED, TOGETHER, planState, stateSize } from '../engines/engine.ts';
import { createArrayEngine, createWasmEngine } from '../engines/checked.ts';
import type { StepPlan, TensorPlan } from '../engines/engine.ts';
import { planStep, thresholdOf } from '../engines/plan.ts';
import type { HostTensors, Subject } from '../engines/testing/runners.ts';
import {
  arraySubject,
  jsSubject,
  wasmPlainSubject,
  webGpuFlatSubject,
  webGpuSubject,
} from '../engines/testing/runners.ts';
import { createWasmPool } from '../engines/wasmPool.ts';

/** Every cell of the family and every option, each over a rule whose arithmetic it meets in its own way. */
const CASES: readonly (readonly [MaskRequest, RuleName, HyperValues])[] = [
  [{ kind: 'skip-update' }, 'adam', {}],
  [{ kind: 'skip-update' }, 'sgdm', { momentum: 0, weightDecay: 0.01 }],
  [{ kind: 'skip-update', granularity: 'element' }, 'rmsprop', { centered: true }],
  [{ kind: 'skip-update' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'skip-update', decay: 'masked' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'skip-update', decay: 'plain' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'lrd', decay: 'plain' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'lrd', granularity: 'tensor' }, 'radam', {}],
  [{ kind: 'magma' }, 'adam', { weightDecay: 5e-4 }],
  [{ kind: 'magma', temperature: 0.5, smoothing: 0.5 }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'magma', decay: 'plain' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'magma', firstAlignment: 'one' }, 'sgdm', { nesterov: true }],
  [{ kind: 'magma', firstAlignment: 'measured' }, 'sgdm', { momentum: 0 }],
  [{ kind: 'magma' }, 'rmsprop', { momentum: 0.9, weightDecay: 5e-4 }],
  [{ kind: 'magma', momentTime: 'before', momentDecay: 0.5 }, 'rmsprop', {}],
  [{ kind: 'magma', momentTime: 'before' }, 'radam', {}],
  [{ kind: 'magma', moment: 'own', granularity: 'element' }, 'amsgrad', {}],
  [{ kind: 'magma', cosineEpsilon: 100 }, 'adam', {}],
  [{ kind: 'cautious' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'cautious', decay: 'scaled' }, 'adamw', { weightDecay: 0.1 }],
  [{ kind: 'cautious' }, 'adam', { weightDecay: 5e-4 }],
  [{ kind: 'cautious', normalization: 'count' }, 'sgdm', { nesterov: true }],
  [{ kind: 'cautious', factor: 'one' }, 'sgdm', {}],
  [{ kind: 'cautious', meanFloor: 0.75 }, 'rmsprop', { momentum: 0.9, centered: true }],
  [{ kind: 'cautious' }, 'rmsprop', {}],
  [{ kind: 'cautious' }, 'amsgrad', {}],
  [{ kind: 'cautious' }, 'radam', {}],
];

const KEY = [Number(process.env['LRD_SEED'] ?? 20260215) >>> 0, 0x9abcdef0] as const;
/** Tensor 3 is excluded. */
const SIZES = [1, 64, 0, 65, 63, 259] as const;
const EXCLUDED = 3;
const STEPS = 6;

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

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

function assertInside(interval: Interval, got: number, where: string): void {
  if (!contains(interval, got)) assert.unreachable(`${where} must be in [${interval.lo}, ${interval.hi}], got ${got}`);
}

/** The slot of the moment that the cosine takes. */
function momentSlot(rule: RuleName, hyper: HyperValues, own: boolean): string {
  if (own || rule === 'rmsprop' || (rule === 'sgdm' && hyper['momentum'] === 0)) return 'mu';
  return rule === 'sgdm' ? 'buf' : 'm';
}

async function runSteps(subject: Subject, request: MaskRequest, rule: RuleName, variant: HyperValues): Promise<void> {
  const next = valuesFrom(KEY[0]);
  const mask = resolveOptions(request);
  const planned = resolveMask(request);
  const hyper = resolveHyper(rule, { ...variant, learningRate: 0.1 });
  const own = stateNames(rule, hyper);
  const names = [...own, ...planned.stateNames(rule, hyper)];
  const bases = layOut(SIZES);
  const machine = machineOf({ precision: 'float32', features: subject.relaxed ? ['relaxed-float32'] : [] });
  const p = mask.draw === 'agreement' ? 1 : 0.4;
  const moment = momentSlot(rule, hyper, mask.moment === 'own');
  const runner = subject.start(
    SIZES.map((size) => ({
      parameter: Float32Array.from({ length: size }, next),
      gradient: new Float32Array(size),
      state: Object.fromEntries(names.map((name) => [name, new Float32Array(stateSize(name, size))])),
    })),
  );
  const counts = SIZES.map(() => 0);
  let [kept, dropped] = [0, 0];
  let before = await runner.read();
  for (let step = 1; step <= STEPS; step++) {
    // Tensor 1 has no gradient in the fourth step.
    const still = (k: number): boolean => k === 1 && step === 4;
    const gradients = SIZES.map((size) => Float32Array.from({ length: size }, next));
    const plan = planStep({
      rule,
      key: KEY,
      step,
      tensors: SIZES.map((size, k) => ({
        base: bases[k] as number,
        size,
        count: still(k) ? 0 : (counts[k] as number) + 1,
        hyper,
        keepProbability: k === EXCLUDED ? 1 : p,
        mask: k === EXCLUDED ? undefined : planned,
      })),
    });
    runner.setGradients(gradients);
    runner.step(plan);
    const after = await runner.read();
    for (const [k, size] of SIZES.entries()) {
      const [old, now] = [before[k], after[k]] as [HostTensors[number], HostTensors[number]];
      const where = `${subject.name}, ${JSON.stringify(request)}, ${rule}, step ${step}, tensor ${k}`;
      const exact = (values: Float32Array | undefined, i: number): Interval =>
        machine.tensor.exact(values?.[i] as number);
      if (still(k)) {
        assert.equal(bitsOf(now.parameter), bitsOf(old.parameter), where);
        for (const name of names) assert.equal(now.state[name], old.state[name], `${where}: ${name}`);
        continue;
      }
      const count = (counts[k] = (counts[k] as number) + 1);
      const scalars = scalarsOf(machine, rule, hyper, count);
      const expect = (i: number, factor?: Interval): ElementStep =>
        expectedStep(
          machine,
          scalars,
          exact(old.parameter, i),
          exact(gradients[k], i),
          { slots: Object.fromEntries(own.map((name) => [name, exact(old.state[name], i)])), history: [] },
          factor === undefined || k === EXCLUDED ? undefined : { factor, decay: mask.decay },
        );
      const plain = Array.from({ length: size }, (_, i) => expect(i));
      const agreeing = plain.map(({ direction, gradient }) => agrees(direction, gradient));
      let factor = point(1);
      if (k !== EXCLUDED && mask.factor === 'inverse') factor = point(65536 / thresholdOf(p));
      if (k !== EXCLUDED && mask.factor === 'mean') {
        const certain = agreeing.filter((agreed) => agreed === true).length;
        const possible = agreeing.filter((agreed) => agreed !== false).length;
        factor = expectedMeanFactor(machine, mask, { lo: certain, hi: possible }, size);
      }
      if (k !== EXCLUDED && mask.factor === 'alignment') {
        const m = plain.map(({ gradient, state }, i): Interval => {
          const was = exact(old.state[moment], i);
          const mu = moment === 'mu' ? expectedMoment(machine, mask.momentDecay, was, gradient) : undefined;
          if (mu !== undefined) assertInside(mu, now.state['mu']?.[i] as number, `${where}: mu[${i}]`);
          if (mask.momentTime === 'before') return was;
          return mu ?? (state.slots[moment] as Interval);
        });
        const previous = count === 1 ? undefined : exact(old.state['alignment'], 0);
        const alignment = now.state['alignment']?.[0] as number;
        const g = plain.map(({ gradient }) => gradient);
        assertInside(expectedAlignment(machine, mask, previous, m, g), alignment, `${where}: alignment`);
        factor = machine.tensor.rounded(point(alignment));
      } else if (k === EXCLUDED && names.includes('alignment')) {
        assert.is(now.state['alignment']?.[0], 0, `${where}: an excluded tensor has no alignment`);
      }
      const position = { key: KEY, step, base: bases[k] as number };
      const drawn =
        mask.granularity === 'tensor'
          ? new Uint8Array(size).fill(tensorMask(position, p))
          : streamMask({ ...position, stream: 'mask' }, size, p);
      for (let i = 0; i < size; i++) {
        const step = expect(i, factor);
        const got = now.parameter[i] as number;
        const keeps = k === EXCLUDED ? true : mask.draw === 'agreement' ? agreeing[i] : drawn[i] === 1;
        const decays = mask.decay === 'plain' && rule === 'adamw' && k !== EXCLUDED;
        if (keeps === true) {
          kept++;
          assertInside(step.parameter, got, `${where}: parameter[${i}]`);
        } else if (keeps === false && decays) {
          dropped++;
          assertInside(step.dropped, got, `${where}: dropped parameter[${i}]`);
        } else if (keeps === false) {
          dropped++;
          if (!Object.is(got, old.parameter[i])) assert.unreachable(`${where}: parameter[${i}] is dropped, got ${got}`);
        } else {
          assert.ok(contains(step.parameter, got) || contains(step.dropped, got), `${where}: parameter[${i}]`);
        }
        for (const name of own) {
          assertInside(
            plain[i]?.state.slots[name] as Interval,
            now.state[name]?.[i] as number,
            `${where}: ${name}[${i}]`,
          );
        }
      }
    }
    before = after;
  }
  const alwaysAgrees = rule === 'rmsprop' && request.kind === 'cautious' && !('momentum' in variant);
  assert.ok(kept > 200 && (alwaysAgrees || dropped > 200), `${kept} kept, ${dropped} dropped`);
  runner.dispose();
}

/** Registers the tests that every engine must pass. */
function testFamily(test: Suite, subject: Subject, cases: typeof CASES): void {
  for (const [request, rule, variant] of cases) {
    test(`[LRD-FAM-001] [LRD-FAM-002] [LRD-FAM-013] ${subject.name}: ${JSON.stringify(request)} over ${rule} ${JSON.stringify(variant)}`, () =>
      runSteps(subject, request, rule, variant));
  }

  test(`[LRD-FAM-001] ${subject.name}: a dropped tensor keeps its bits, NaN, subnormals and -0 included, whatever the step is`, async () => {
    const delicate = [0x00000001, 0x807fffff, 0x80000000, 0x7fc12345, 0x7fa00001, 0xffc00001, 0x7f800000, 0xff800000];
    for (const size of [8, 33]) {
      const parameter = new Float32Array(size);
      bitsOf(parameter).forEach((_, i, bits) => (bits[i] = delicate[i % delicate.length] as number));
      const state = { m: new Float32Array(size), v: new Float32Array(size) };
      const runner = subject.start([{ parameter, gradient: new Float32Array(size).fill(Number.NaN), state }]);
      const step = stepThatDrops();
      runner.step(
        planStep({
          rule: 'adam',
          key: KEY,
          step,
          tensors: [
            { base: 0, size, count: 1, hyper: {}, keepProbability: 0.5, mask: resolveMask({ kind: 'skip-update' }) },
          ],
        }),
      );
      const [now] = await runner.read();
      runner.dispose();
      assert.equal(bitsOf((now as HostTensors[number]).parameter), bitsOf(parameter));
      assert.ok(Number.isNaN(now?.state['m']?.[0]), 'the moments go on');
    }
  });
}

/** Vectors whose squares and products leave float32 at either end, with the moment that they meet. */
const MAGNITUDES: readonly (readonly [gradient: number, moment: number])[] = [
  [0, 0],
  [66, 0],
  [0, 66],
  [100, 110],
  [-70, 0],
  [-70, -70],
  [-110, -112],
  [-110, 120],
  [125, -112],
];

/** Registers the tests of numbers at the ends of float32 and beyond. */
function testExtremes(test: Suite, subject: Subject): void {
  test(`[LRD-FAM-007] ${subject.name}: the alignment is that of its vectors' directions, however large or small they are`, async () => {
    const next = valuesFrom(KEY[0] + 1);
    for (const [high, low] of MAGNITUDES) {
      for (const [size, spread] of [
        [5, 0],
        [259, 0],
        // One element so far above the others that it is the vector.
        [5000, 50],
      ] as const) {
        for (const cosineEpsilon of [0, 1e-8]) {
          const mask = resolveMask({ kind: 'magma', momentTime: 'before', temperature: 0.1, cosineEpsilon });
          const values = (exponent: number): Float32Array =>
            Float32Array.from({ length: size }, (_, i) => next() * 2 ** (exponent - (i === 3 ? 0 : spread)));
          const [gradient, m] = [values(high), values(low)];
          const state = { m, v: new Float32Array(size), alignment: Float32Array.of(0.25) };
          const runner = subject.start([{ parameter: new Float32Array(size), gradient, state }]);
          runner.step(
            planStep({
              rule: 'adam',
              key: KEY,
              step: 2,
              tensors: [{ base: 0, size, count: 2, hyper: {}, keepProbability: 1, mask }],
            }),
          );
          const [now] = await runner.read();
          runner.dispose();
          const expected = nextAlignment(0.25, Float64Array.from(m), Float64Array.from(gradient), {
            ...resolveReference({ kind: 'magma' }),
            temperature: 0.1,
            cosineEpsilon,
          });
          const got = now?.state['alignment']?.[0] as number;
          assert.ok(
            Math.abs(got - expected) < 1e-5,
            `2^${high} with 2^${low}, ${size} elements, epsilon ${cosineEpsilon}: ${expected}, got ${got}`,
          );
        }
      }
    }
  });

  test(`[LRD-FAM-007] [LRD-FAM-011] ${subject.name}: a tensor of 300,001 elements is measured whole, and its neighbours by themselves`, async () => {
    for (const [kind, keepProbability] of [['magma', 0.5], ['cautious', 1]] as const) {
      const mask = resolveMask({ kind });
      const sizes = [70, 300_001, 20_000];
      const bases = layOut(sizes);
      const results = [];
      for (const one of [subject, jsSubject]) {
        const next = valuesFrom(KEY[0] + 2);
        const runner = one.start(
          sizes.map((size) => ({
            parameter: new Float32Array(size),
            gradient: Float32Array.from({ length: size }, next),
            state: { m: Float32Array.from({ length: size }, next), v: new Float32Array(size), ...(kind === 'magma' ? { alignment: new Float32Array(1) } : {}) },
          })),
        );
        const tensors = sizes.map((size, k) => ({ base: bases[k] as number, size, count: 2, hyper: {}, keepProbability, mask }));
        runner.step(planStep({ rule: 'adam', key: KEY, step: 2, tensors }));
        results.push(await runner.read());
        runner.dispose();
      }
      const [got, expected] = results as [(typeof results)[0], (typeof results)[0]];
      expected.forEach(({ parameter, state }, k) => {
        const close = (a = 0, b = 0): boolean => Math.abs(a - b) <= 1e-5 * Math.abs(b) + 1e-9;
        const found = got[k]?.parameter as Float32Array;
        const wrong = parameter.findIndex((value, i) => !close(found[i], value));
        assert.is(wrong, -1, `${kind}, tensor ${k}, element ${wrong}: ${found[wrong]}, not ${parameter[wrong]}`);
        assert.ok(close(got[k]?.state['alignment']?.[0], state['alignment']?.[0]), `${kind}, tensor ${k}`);
      });
    }
  }); // prettier-ignore

  test(`[LRD-FAM-011] ${subject.name}: a coordinate whose step has no sign does not agree and keeps its bits`, async () => {
    const gradient = Float32Array.of(1, Infinity, -Infinity, NaN, -1, 0, 2, -2, 3);
    const size = gradient.length;
    for (const [rule, hyper] of [
      ['adam', {}],
      ['amsgrad', {}],
      ['rmsprop', {}],
      ['rmsprop', { centered: true }],
      ['rmsprop', { momentum: 0.9 }],
    ] as const) {
      const names = stateNames(rule, resolveHyper(rule, hyper));
      const parameter = Float32Array.from({ length: size }, (_, i) => i + 1);
      const state = Object.fromEntries(names.map((name) => [name, new Float32Array(size)]));
      const runner = subject.start([{ parameter, gradient, state }]);
      const mask = resolveMask({ kind: 'cautious' });
      runner.step(
        planStep({
          rule,
          key: KEY,
          step: 1,
          tensors: [{ base: 0, size, count: 1, hyper: { ...hyper, learningRate: 0.1 }, keepProbability: 1, mask }],
        }),
      );
      const [now] = await runner.read();
      runner.dispose();
      const reference = createOptimizer([{ name: 'w', shape: [size], values: parameter }], {
        rule,
        hyper: { ...hyper, learningRate: 0.1 },
        mask: { kind: 'cautious' },
        masks: { kind: 'stream', seed: 0n },
      });
      const expected = reference.step(reference.init(), [gradient]).state.tensors[0]?.values as Float64Array;
      expected.forEach((value, i) => {
        const got = now?.parameter[i] as number;
        const where = `${rule} ${JSON.stringify(hyper)}: element ${i} of gradient ${gradient[i]}`;
        if (value === parameter[i]) assert.is(got, parameter[i], where);
        else assert.ok(Math.abs(got - value) < 1e-5, `${where} must be ${value}, got ${got}`);
      });
    }
  });

  test(`[LRD-FAM-001] ${subject.name}: a gradient that is no number reaches no other tensor, and not its own where that is dropped`, async () => {
    const size = 40;
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const kind of ['skip-update', 'magma'] as const) {
        const mask = resolveMask({ kind });
        const tensor = (first: number): HostTensors[number] => ({
          parameter: new Float32Array(size).fill(first),
          gradient: new Float32Array(size).fill(1).fill(bad, 0, first === 1 ? 1 : 0),
          state: { m: new Float32Array(size), v: new Float32Array(size), alignment: new Float32Array(1) },
        });
        const runner = subject.start([tensor(1), tensor(2)]);
        const step = stepThatDrops();
        const bases = layOut([size, size]);
        runner.step(
          planStep({
            rule: 'adam',
            key: KEY,
            step,
            tensors: [0, 1].map((k) => ({
              base: bases[k] as number,
              size,
              count: 1,
              hyper: {},
              keepProbability: k === 0 ? 0.5 : 1,
              mask,
            })),
          }),
        );
        const [dropped, other] = await runner.read();
        runner.dispose();
        assert.equal(dropped?.parameter, new Float32Array(size).fill(1), `${kind}, ${bad}`);
        assert.ok(
          other?.parameter.every((value) => value < 2 && value > 1.99),
          `${kind}, ${bad}: the other tensor`,
        );
        if (kind === 'magma') assert.ok((other?.state['alignment']?.[0] as number) > 0.4);
      }
    }
  });
}

/** A step at which the first tensor is dropped with probability 1/2. */
function stepThatDrops(): number {
  for (let step = 1; ; step++) if (tensorMask({ key: KEY, step, base: 0 }, 0.5) === 0) return step;
}

const test = suite('impl-gpu/masks/engines');
for (const subject of [jsSubject, arraySubject, wasmPlainSubject]) {
  testFamily(test, subject, CASES);
  testExtremes(test, subject);
}

let gpu: Gpu | undefined;
let reason = '';
try {
  gpu = await openGpu();
} catch (error) {
  reason = (error as Error).message;
}
const onGpu = test.when(gpu !== undefined, reason);
const { device } = gpu ?? ({} as Gpu);
testFamily(onGpu, webGpuFlatSubject(device, layOut), CASES);
testExtremes(onGpu, webGpuFlatSubject(device, layOut));
// The same shaders on buffers of their own: every option once is enough.
testFamily(
  onGpu,
  webGpuSubject(device),
  CASES.filter((_, i) => i % 3 === 2),
);

test('[LRD-FAM-003] a plan keeps a tensor iff the half at its base in stream 9 is below the threshold', () => {
  const sizes = [3, 64, 65, 1, 1000];
  const bases = layOut(sizes);
  const mask = resolveMask({ kind: 'skip-update' });
  for (const p of [2 ** -16, 0.3, 0.5, 1 - 2 ** -16, 1]) {
    for (let step = 1; step <= 40; step++) {
      const { tensors } = planStep({
        rule: 'adam',
        key: KEY,
        step,
        tensors: sizes.map((size, k) => ({
          base: bases[k] as number,
          size,
          count: 1,
          hyper: {},
          keepProbability: p,
          mask,
        })),
      });
      for (const [k, plan] of tensors.entries()) {
        const [bit] = drawKept(
          { seed: BigInt(KEY[0]) | (BigInt(KEY[1]) << 32n), stream: 'tensorMask', step },
          bases[k] as number,
          1,
          thresholdOf(p),
        );
        assert.is(plan?.threshold, bit === 1 || p === 1 ? KEEP_ALL : KEEP_NONE, `p ${p}, step ${step}, tensor ${k}`);
      }
    }
  }
  assert.is(STREAMS.tensorMask, 9);
});

/** Four steps on tensors of several stretches, by an engine on a shared memory; all values afterwards. */
async function severalStretches(threads: number, request: MaskRequest, rule: RuleName): Promise<Float32Array[]> {
  const next = valuesFrom(11);
  const sizes = [3 * MEASURED + 5, 2 * TOGETHER * MEASURED + MEASURED + 1];
  const mask = resolveMask(request);
  const hyper = resolveHyper(rule);
  const names = [...stateNames(rule, hyper), ...mask.stateNames(rule, hyper)];
  const bases = layOut(sizes);
  const arrays: Float32Array[] = [];
  const pages = 128;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  let end = 0;
  const place = (size: number, value: () => number): Float32Array => {
    const array = new Float32Array(memory.buffer, end, size);
    array.forEach((_, i) => (array[i] = value()));
    end += 4 * size;
    arrays.push(array);
    return array;
  };
  const tensors = sizes.map((size) => ({
    parameter: place(size, next),
    gradient: place(size, next),
    state: Object.fromEntries(names.map((name) => [name, place(stateSize(name, size), () => 0)])),
  }));
  const pool = threads > 1 ? await createWasmPool(memory, threads) : undefined;
  const step = (plan: StepPlan): void => {
    if (threads === 0) {
      createArrayEngine().step(plan, tensors);
      return;
    }
    (pool ?? createWasmEngine(memory)).step(
      plan,
      tensors.map(({ parameter, gradient, state }) => ({
        parameter: parameter.byteOffset,
        gradient: gradient.byteOffset,
        state: Object.fromEntries(Object.entries(state).map(([name, { byteOffset }]) => [name, byteOffset])),
      })),
    );
  };
  const thresholds = new Set<number>();
  for (let t = 1; t <= 4; t++) {
    const plan = planStep({
      rule,
      key: KEY,
      step: t,
      tensors: sizes.map((size, k) => ({
        base: bases[k] as number,
        size,
        count: t,
        hyper,
        keepProbability: request.kind === 'cautious' ? 1 : 0.5,
        mask,
      })),
    });
    assert.equal(planState(plan.tensors[0] as TensorPlan), names);
    for (const tensor of plan.tensors) thresholds.add(tensor?.threshold ?? -1);
    step(plan);
  }
  // Of Magma some are dropped whole.
  assert.is(thresholds.size, request.kind === 'cautious' ? 1 : 2);
  await pool?.dispose();
  return arrays;
}

test('[LRD-FAM-007] [LRD-FAM-011] arrays, WASM and its pool measure with the same bits, however many share the work', async () => {
  for (const [request, rule] of [
    [{ kind: 'magma' }, 'adam'],
    [{ kind: 'magma', momentTime: 'before' }, 'amsgrad'],
    [{ kind: 'magma', decay: 'plain' }, 'adamw'],
    [{ kind: 'magma' }, 'rmsprop'],
    [{ kind: 'cautious' }, 'adam'],
  ] as const) {
    const expected = await severalStretches(1, request, rule);
    assert.ok(expected.some((values) => values.length === 1 && values[0] !== 0) || request.kind === 'cautious');
    for (const threads of [0, 2, 3]) {
      const got = await severalStretches(threads, request, rule);
      for (const [i, values] of expected.entries()) {
        assert.ok(
          bitsOf(got[i] as Float32Array).every((word, at) => word === bitsOf(values)[at]),
          `${threads} threads, ${request.kind} over ${rule}, array ${i}`,
        );
      }
    }
  }
});

test('a state of the wrong size is refused before anything is written', () => {
  const mask = resolveMask({ kind: 'magma' });
  const plan = planStep({
    rule: 'adam',
    key: KEY,
    step: 1,
    tensors: [{ base: 0, size: 4, count: 1, hyper: {}, keepProbability: 1, mask }],
  });
  const tensor = (alignment: Float32Array): HostTensors => [
    {
      parameter: new Float32Array(4),
      gradient: new Float32Array(4).fill(1),
      state: { m: new Float32Array(4), v: new Float32Array(4), alignment },
    },
  ];
  for (const subject of [jsSubject, arraySubject]) {
    const runner = subject.start(tensor(new Float32Array(4)));
    assert.throws(
      () => runner.step(plan),
      (error: unknown) =>
        error instanceof InvalidArgumentError &&
        /alignment of tensor 0 must have 1 elements, got 4/.test(error.message),
    );
  }
});

test.run();
