import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { ShareEngine, StepPlan, TensorBuffers } from 'learning-rate-dropout/gpu';
import {
  UnsupportedError,
  WIRE_SLACK,
  createArrayEngine,
  createArrayShareEngine,
  createJsShareEngine,
  createWasmShareEngine,
  planStep,
} from 'learning-rate-dropout/gpu';
import { streamMask } from 'learning-rate-dropout/ref';
import { layOut } from 'learning-rate-dropout/stream';
import { suite } from '../harness/suite.ts';
import { FLOAT32, arithmeticOf, contains, point } from '../judge/interval.ts';
import type { Interval } from '../judge/interval.ts';

const test = suite('conformance/replicas');
const runs = (numRuns: number) => ({
  seed: Number(process.env['LRD_SEED'] ?? 20260727),
  numRuns,
  includeErrorInReport: true,
});

/** Tails of every kind, a tensor without elements, and one over several chunks of the engines. */
const SIZES = [1, 31, 0, 64, 333, 8230] as const;
const BASES = layOut(SIZES);
const EXTENT = SIZES.reduce((sum: number, size) => sum + size, 0);
const KEY = [0x01234567, 0x89abcdef] as const;

/** One replica on an engine: its arrays, wherever they are. */
interface Replica {
  readonly parameters: () => readonly Float32Array[];
  readonly buffers: () => readonly Float32Array[];
  setGradients(gradients: readonly Float32Array[]): void;
  pack(plan: StepPlan, weight: number): Float32Array;
  apply(plan: StepPlan, sum: Float32Array): void;
}

/** Arrays of one tensor: parameter, gradient, momentum buffer. */
type Start = readonly Float32Array[];

function onArrays(engine: ShareEngine<Float32Array>, parameters: Start, buffers: Start): Replica {
  const tensors = parameters.map((parameter, k) => ({
    parameter: parameter.slice(),
    gradient: new Float32Array(parameter.length),
    state: { buf: (buffers[k] as Float32Array).slice() },
  }));
  const wire = new Float32Array(EXTENT + WIRE_SLACK);
  return {
    parameters: () => tensors.map(({ parameter }) => parameter.slice()),
    buffers: () => tensors.map(({ state: { buf } }) => buf.slice()),
    setGradients: (gradients) => tensors.forEach(({ gradient }, k) => gradient.set(gradients[k] as Float32Array)),
    pack: (plan, weight) => wire.slice(0, engine.pack(plan, tensors, weight, wire)),
    apply: (plan, sum) => {
      wire.fill(Number.NaN);
      wire.set(sum);
      engine.apply(plan, tensors, wire);
    },
  };
}

/** In a memory, every array at an odd multiple of four bytes with a guard word behind it. */
function onMemory(shared: boolean, parameters: Start, buffers: Start): Replica {
  const memory = new WebAssembly.Memory(shared ? { initial: 16, maximum: 16, shared } : { initial: 16 });
  const GUARD = 1234.5;
  let next = 4;
  const place = (size: number): Float32Array => {
    const array = new Float32Array(memory.buffer, next, size + 1);
    array[size] = GUARD;
    next += 4 * (size + 1);
    return array;
  };
  const arrays = parameters.map((parameter, k) => {
    const own = [place(parameter.length), place(parameter.length), place(parameter.length)] as const;
    own[0].set(parameter);
    own[2].set(buffers[k] as Float32Array);
    return own;
  });
  const wire = place(EXTENT + WIRE_SLACK);
  const engine = createWasmShareEngine(memory, {
    allocate: (bytes) => place(Math.ceil(bytes / 4)).byteOffset,
    free: () => undefined,
  });
  const tensors = arrays.map(([parameter, gradient, buf]): TensorBuffers<number> => ({
    parameter: parameter.byteOffset,
    gradient: gradient.byteOffset,
    state: { buf: buf.byteOffset },
  }));
  const read = (array: Float32Array): Float32Array => {
    assert.is(array.at(-1), GUARD, 'the word behind an array was overwritten');
    return array.slice(0, -1);
  };
  return {
    parameters: () => arrays.map(([parameter]) => read(parameter)),
    buffers: () => arrays.map(([, , buf]) => read(buf)),
    setGradients: (gradients) => arrays.forEach(([, gradient], k) => gradient.set(gradients[k] as Float32Array)),
    pack: (plan, weight) => wire.slice(0, engine.pack(plan, tensors, weight, wire.byteOffset)),
    apply: (plan, sum) => {
      wire.subarray(0, -1).fill(Number.NaN);
      wire.set(sum);
      engine.apply(plan, tensors, wire.byteOffset);
      read(wire);
    },
  };
}

const SUBJECTS: Readonly<Record<string, (parameters: Start, buffers: Start) => Replica>> = {
  js: (parameters, buffers) => onArrays(createJsShareEngine(), parameters, buffers),
  arrays: (parameters, buffers) => onArrays(createArrayShareEngine(), parameters, buffers),
  wasm: (parameters, buffers) => onMemory(false, parameters, buffers),
  'shared wasm': (parameters, buffers) => onMemory(true, parameters, buffers),
};

/** Settings of one step. */
interface Step {
  readonly rows: readonly number[];
  readonly keepProbability: number;
  readonly learningRate: number;
  readonly momentum: number;
  readonly still: boolean;
}

interface Run {
  readonly seed: number;
  readonly replicas: number;
  readonly nesterov: boolean;
  readonly dampening: number;
  readonly weightDecay: number;
  readonly buffered: boolean;
  readonly steps: readonly Step[];
}

const run: fc.Arbitrary<Run> = fc.integer({ min: 1, max: 4 }).chain((replicas) =>
  fc.record({
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    replicas: fc.constant(replicas),
    nesterov: fc.boolean(),
    dampening: fc.constantFrom(0, 0.25),
    weightDecay: fc.constantFrom(0, 5e-4, 0.1),
    buffered: fc.boolean(),
    steps: fc.array(
      fc.record({
        rows: fc
          .array(fc.integer({ min: 0, max: 9 }), { minLength: replicas, maxLength: replicas })
          .filter((rows) => rows.some((n) => n > 0)),
        keepProbability: fc.constantFrom(0.5, 0.1, 2 ** -16, 1, 0.9),
        learningRate: fc.constantFrom(0.1, 0.01),
        momentum: fc.constantFrom(0.9, 0.5),
        still: fc.boolean(),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  }),
);

/** Numbers of either sign, for values: masks never come from it. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * 2 ** ((state >>> 3) % 5);
  };
}

const f32 = arithmeticOf(FLOAT32);

/** What the operations of float32 may make of one replica's share: its new buffer, and its part of the step direction. */
function shareOf(
  plan: NonNullable<StepPlan['tensors'][number]>,
  weight: number,
  parameter: number,
  gradient: number,
  buf: number,
): { share: Interval; buf: Interval } {
  const { kernel, scalars } = plan;
  const scalar = (x: number): Interval => f32.rounded(point(x));
  const weighted = f32.mul(scalar(weight), f32.exact(gradient));
  const g = kernel.coupled
    ? f32.add(weighted, f32.mul(scalar(weight * scalars.decay), f32.exact(parameter)))
    : weighted;
  if (kernel.family === 'gradient') return { share: g, buf: f32.exact(buf) };
  const next = f32.add(f32.mul(scalar(scalars.firstKeep), f32.exact(buf)), f32.mul(scalar(scalars.firstAdd), g));
  return { share: kernel.nesterov ? f32.add(g, f32.mul(scalar(scalars.momentum), next)) : next, buf: next };
}

function assertIn(interval: Interval, x: number, where: string): void {
  if (!contains(interval, x)) assert.unreachable(`${where} must be in [${interval.lo}, ${interval.hi}], got ${x}`);
}

/** Sums the wires in rank order, in float32, as a reduction would. */
function reduce(wires: readonly Float32Array[]): Float32Array {
  const sum = (wires[0] as Float32Array).slice();
  for (const wire of wires.slice(1))
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (wire[i] as number);
  return sum;
}

function check(start: (parameters: Start, buffers: Start) => Replica, given: Run): void {
  const next = numbers(given.seed);
  const values = (): Float32Array[] => SIZES.map((size) => Float32Array.from({ length: size }, next));
  const initial = values();
  const replicas = Array.from({ length: given.replicas }, () => start(initial, values()));
  const counts = SIZES.map(() => 0);
  given.steps.forEach(({ rows, keepProbability, learningRate, momentum, still }, at) => {
    const step = at + 1;
    const total = rows.reduce((sum, n) => sum + n, 0);
    const hyper = {
      learningRate,
      momentum: given.buffered ? momentum : 0,
      nesterov: given.nesterov,
      dampening: given.dampening,
      weightDecay: given.weightDecay,
    };
    const plan = planStep({
      rule: 'sgdm',
      key: KEY,
      step,
      tensors: SIZES.map((size, k) => ({
        base: BASES[k] as number,
        size,
        // Tensor 1 has no gradient in some steps; tensor 3 is excluded.
        count: k === 1 && still ? 0 : (counts[k] = (counts[k] as number) + 1),
        hyper,
        keepProbability: k === 3 ? 1 : keepProbability,
      })),
    });
    const before = replicas.map((replica) => ({ parameters: replica.parameters(), buffers: replica.buffers() }));
    const gradients = replicas.map(values);
    const wires = replicas.map((replica, r) => {
      replica.setGradients(gradients[r] as Float32Array[]);
      return replica.pack(plan, (rows[r] as number) / total);
    });
    const sum = reduce(wires);
    for (const replica of replicas) replica.apply(plan, sum);
    const after = replicas.map((replica) => ({ parameters: replica.parameters(), buffers: replica.buffers() }));
    let sent = 0;
    plan.tensors.forEach((tensor, k) => {
      const size = SIZES[k] as number;
      const mask =
        tensor === null
          ? new Uint8Array(size)
          : streamMask(
              { key: KEY, step, stream: 'mask', base: BASES[k] as number },
              size,
              k === 3 ? 1 : keepProbability,
            );
      for (let i = 0; i < size; i++) {
        const where = `step ${step}, tensor ${k}, element ${i}`;
        const old = before[0]?.parameters[k]?.[i] as number;
        const got = after[0]?.parameters[k]?.[i] as number;
        for (const { parameters } of after)
          if (!Object.is(parameters[k]?.[i], got)) assert.unreachable(`${where}: replicas differ`);
        if (tensor === null) {
          if (!Object.is(got, old)) assert.unreachable(`${where} must stand still`);
          continue;
        }
        const shares = replicas.map((_, r) => {
          const weight = (rows[r] as number) / total;
          const { share, buf } = shareOf(
            tensor,
            weight,
            old,
            gradients[r]?.[k]?.[i] as number,
            before[r]?.buffers[k]?.[i] as number,
          );
          assertIn(buf, after[r]?.buffers[k]?.[i] as number, `${where}: buffer of replica ${r}`);
          if (mask[i] === 1) assertIn(share, wires[r]?.[sent] as number, `${where}: share of replica ${r}`);
          return share;
        });
        if (mask[i] === 0) {
          if (!Object.is(got, old)) assert.unreachable(`${where} is dropped and must stay ${old}, got ${got}`);
          continue;
        }
        const direction = shares.reduce((a, b) => f32.add(a, b));
        assertIn(f32.sub(f32.exact(old), f32.mul(f32.rounded(point(tensor.scalars.rate)), direction)), got, where);
        sent++;
      }
    });
    for (const wire of wires) assert.is(wire.length, sent);
  });
}

for (const [name, start] of Object.entries(SUBJECTS)) {
  test(`[LRD-DIST-001] [LRD-DIST-003] [LRD-DIST-005] ${name}: N replicas make one process's step within the interval, and send kept coordinates only`, () => {
    fc.assert(
      fc.property(run, (given) => check(start, given)),
      runs(name === 'shared wasm' ? 4 : 8),
    );
  });
}

test('[LRD-DIST-003] one replica alone makes the bits of the fused step, on arrays and in a memory', () => {
  const next = numbers(99);
  const values = (): Float32Array[] => SIZES.map((size) => Float32Array.from({ length: size }, next));
  for (const hyper of [{}, { momentum: 0, weightDecay: 0.1 }, { nesterov: true, dampening: 0.5, weightDecay: 0.01 }]) {
    for (const keepProbability of [0.5, 1]) {
      const [parameters, buffers, gradients] = [values(), values(), values()];
      const plan = planStep({
        rule: 'sgdm',
        key: KEY,
        step: 3,
        tensors: SIZES.map((size, k) => ({ base: BASES[k] as number, size, count: 3, hyper, keepProbability })),
      });
      const fused = parameters.map((parameter, k) => ({
        parameter: parameter.slice(),
        gradient: gradients[k] as Float32Array,
        state: { buf: (buffers[k] as Float32Array).slice() },
      }));
      createArrayEngine().step(plan, fused);
      for (const name of ['arrays', 'wasm'] as const) {
        const replica = (SUBJECTS[name] as (typeof SUBJECTS)[string])(parameters, buffers);
        replica.setGradients(gradients);
        replica.apply(plan, replica.pack(plan, 1));
        assert.equal(
          replica.parameters(),
          fused.map(({ parameter }) => parameter),
          name,
        );
        assert.equal(
          replica.buffers(),
          fused.map(({ state: { buf } }) => buf),
          name,
        );
      }
    }
  }
});

test('[LRD-DIST-003] a replica without rows has no share, however its parameters look', () => {
  const parameters = SIZES.map((size) => new Float32Array(size).fill(Infinity));
  const zeros = SIZES.map((size) => new Float32Array(size));
  const plan = planStep({
    rule: 'sgdm',
    key: KEY,
    step: 1,
    tensors: SIZES.map((size, k) => ({
      base: BASES[k] as number,
      size,
      count: 1,
      hyper: { weightDecay: 0.1 },
      keepProbability: 0.5,
    })),
  });
  for (const [name, start] of Object.entries(SUBJECTS)) {
    const replica = start(parameters, zeros);
    replica.setGradients(zeros);
    assert.ok(
      replica.pack(plan, 0).every((share) => share === 0),
      name,
    );
  }
});

test('[LRD-DIST-006] other rules and wrong weights are refused before anything moves', () => {
  const plan = (rule: 'adam' | 'sgdm'): StepPlan =>
    planStep({ rule, key: KEY, step: 1, tensors: [{ base: 0, size: 2, count: 1, hyper: {}, keepProbability: 0.5 }] });
  const engines = [createJsShareEngine(), createArrayShareEngine()];
  const tensors = [
    {
      parameter: new Float32Array(2),
      gradient: new Float32Array(2),
      state: { buf: new Float32Array(2), m: new Float32Array(2), v: new Float32Array(2) },
    },
  ];
  const wire = new Float32Array(2 + WIRE_SLACK);
  for (const engine of engines) {
    assert.throws(
      () => engine.pack(plan('adam'), tensors, 1, wire),
      (error: unknown) =>
        error instanceof UnsupportedError && error.message.endsWith('linear in the gradient, not for adam'),
    );
    for (const weight of [-0.5, 1.5, Number.NaN]) {
      assert.throws(
        () => engine.pack(plan('sgdm'), tensors, weight, wire),
        new RegExp(`^weight must be in \\[0, 1\\], got ${weight}$`),
      );
    }
    assert.throws(() => engine.pack(plan('sgdm'), [null], 1, wire), /tensor 0 must have buffers/);
  }
  const memory = new WebAssembly.Memory({ initial: 1 });
  const wasm = createWasmShareEngine(memory, { allocate: () => 1024, free: () => undefined });
  const at = (parameter: number): TensorBuffers<number>[] => [{ parameter, gradient: 64, state: { buf: 128 } }];
  assert.throws(() => wasm.pack(plan('sgdm'), at(65536), 1, 256), /must end within the memory's 65536 bytes/);
  assert.throws(() => wasm.pack(plan('sgdm'), at(64), 1, 256), /must not overlap/);
});

test.run();
