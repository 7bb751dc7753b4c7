import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { streamMask } from '../../impl-ref/index.ts';
import type { RuleName } from '../../spec/rules.ts';
import { resolveMask } from '../masks/mask.ts';
import type { HyperValues } from '../validate.ts';
import type { TensorPlan } from './engine.ts';
import { kernelState, modeOf } from './engine.ts';
import type { Algebra } from './formulas.ts';
import { divides, update } from './formulas.ts';
import { planStep } from './plan.ts';
import type { HostTensors } from './testing/runners.ts';
import { arraySubject, wasmPlainSubject } from './testing/runners.ts';
import { restingValues } from './testing/resting.ts';

const SEED = Number(process.env['LRD_SEED'] ?? 20261128) >>> 0;
const KEY = [SEED, 0x9abcdef0] as const;
const { fround } = Math;

/** float32, operation by operation: a float64 operation on float32 numbers rounds to the same number. */
const FLOAT32: Algebra<number> = {
  add: (a, b) => fround(a + b),
  sub: (a, b) => fround(a - b),
  mul: (a, b) => fround(a * b),
  div: (a, b) => fround(a / b),
  sqrt: (a) => fround(Math.sqrt(a)),
  max: (a, b) => Math.max(a, b),
};

type Tensor = HostTensors[number];

const copyOf = ({ parameter, gradient, state }: Tensor): Tensor => ({
  parameter: parameter.slice(),
  gradient: gradient.slice(),
  state: Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.slice()])),
});

const agree = (a: number, b: number): boolean => (a > 0 && b > 0) || (a < 0 && b < 0);

/** The step by the formula alone, in place. */
function stepOneByOne(plan: TensorPlan, step: number, { parameter, gradient, state }: Tensor): void {
  const { kernel, scalars, threshold, size, base } = plan;
  const mode = modeOf(plan);
  const names = kernelState(kernel);
  const mask =
    mode === 'masked' ? streamMask({ key: KEY, step, stream: 'mask', base }, size, threshold / 65536) : undefined;
  for (let i = 0; i < size; i++) {
    const old = parameter[i] as number;
    const updated = update<number>(kernel, FLOAT32, {
      parameter: old,
      gradient: gradient[i] as number,
      state: names.map((name) => state[name]?.[i] as number),
      scalar: (name) => fround(scalars[name]),
      zero: 0,
    });
    const kept =
      mode === 'all' ||
      mask?.[i] === 1 ||
      (updated.signs !== undefined &&
        agree(...updated.signs) &&
        (!divides(kernel) || Number.isFinite(updated.signs[0])));
    parameter[i] = kept ? updated.parameter : (updated.dropped ?? old);
    names.forEach((name, k) => ((state[name] as Float32Array)[i] = updated.state[k] as number));
  }
}

const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);

function assertSame(found: Tensor, expected: Tensor, where: string): void {
  const arrays = ({ parameter, state }: Tensor): readonly (readonly [string, Float32Array])[] => [
    ['parameter', parameter],
    ...Object.entries(state),
  ];
  const right = Object.fromEntries(arrays(expected));
  for (const [name, values] of arrays(found)) {
    const [a, b] = [bits(values), bits(right[name] as Float32Array)];
    a.forEach((word, i) => {
      const both = [values[i] as number, right[name]?.[i] as number] as const;
      if (word !== b[i] && !both.every(Number.isNaN))
        assert.unreachable(`${where}: ${name}[${i}] must be ${both[1]}, got ${both[0]}`);
    });
  }
}

const VARIANTS: readonly (readonly [RuleName, HyperValues])[] = [
  ['sgdm', {}],
  ['sgdm', { nesterov: true, dampening: 0.25 }],
  ['sgdm', { momentum: 0.5, weightDecay: 1e-2 }],
  ['sgdm', { momentum: 0.999, dampening: 1 }],
  ['sgdm', { momentum: 1e-7 }],
  ['rmsprop', {}],
  ['rmsprop', { epsilonPlacement: 'inside', centered: true, weightDecay: 0.1 }],
  ['rmsprop', { momentum: 0.9, rho: 0.5 }],
  ['rmsprop', { epsilonPlacement: 'inside', centered: true, momentum: 0.5 }],
  ['rmsprop', { centered: true, momentum: 0.3, epsilon: 1e-30 }],
  ['adam', {}],
  ['adam', { epsilonMode: 'hat', beta1: 0.5 }],
  ['adam', { beta1: 0, epsilon: 1e-12 }],
  // Beyond the bounds within which nothing that rests can move.
  ['sgdm', { learningRate: 1e25 }],
  ['adam', { learningRate: 1e9, epsilon: 1e-10 }],
  ['adam', { learningRate: 1e-22, epsilon: 1e-30 }],
  ['amsgrad', {}],
  ['amsgrad', { maxOf: 'corrected', beta2: 0.3 }],
  ['radam', { weightDecay: 1e-2 }],
  ['adamw', { weightDecay: 0.1 }],
  ['adamw', { weightDecay: 1e-9, learningRate: 1 }],
];

const test = suite('impl-gpu/engines/resting');

for (const [rule, variant] of VARIANTS) {
  for (const request of [undefined, { kind: 'cautious' }, { kind: 'lrd', granularity: 'tensor' }] as const) {
    const what = `${rule} ${JSON.stringify(variant)}${request === undefined ? '' : `, ${JSON.stringify(request)}`}`;
    test(`elements without a gradient, with moments below 2^-126: ${what} has the bits of its formula, operation by operation`, async () => {
      const mask = request === undefined ? {} : { mask: resolveMask(request) };
      for (const [round, size] of [31, 32, 2047, 2048, 4130].entries()) {
        for (const keepProbability of request?.kind === 'cautious' ? [1] : [1, 0.5]) {
          for (const count of [1, 7, 100_000]) {
            const base = 64 * round;
            const tensor = { base, size, count, hyper: variant, keepProbability, ...mask };
            const planned = planStep({ rule, key: KEY, step: count + 5, tensors: [tensor] });
            // The step alone: what measures come to is another matter.
            const plan = { ...planned, tensors: planned.tensors.map((one) => one && { ...one, measure: null }) };
            const own = plan.tensors[0] as TensorPlan;
            const start = restingValues(size, kernelState(own.kernel), SEED + round);
            const expected = copyOf(start);
            const subjects = [arraySubject, wasmPlainSubject].map((subject) => ({
              name: subject.name,
              runner: subject.start([start]),
            }));
            // Twice: what the first step leaves is a start of its own.
            for (let turn = 0; turn < 2; turn++) {
              stepOneByOne(own, plan.step, expected);
              for (const { name, runner } of subjects) {
                runner.step(plan);
                const [found] = await runner.read();
                assertSame(
                  found as Tensor,
                  expected,
                  `${name}, ${size} elements, count ${count}, p = ${keepProbability}`,
                );
              }
            }
            for (const { runner } of subjects) runner.dispose();
          }
        }
      }
    });
  }
}

test.run();
