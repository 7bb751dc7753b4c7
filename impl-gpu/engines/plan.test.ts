import * as assert from 'uvu/assert';
import { double, assert as fcAssert, property } from 'fast-check';
import { suite } from '../../conformance/harness/suite.ts';
import type { RuleName } from '../../spec/rules.ts';
import { RULES } from '../../spec/rules.ts';
import { InvalidArgumentError, UnsupportedError, checkRule, resolveHyper, stateNames } from '../validate.ts';
import type { HyperValues } from '../validate.ts';
import { kernelName, kernelState } from './engine.ts';
import type { TensorPlan } from './engine.ts';
import { planStep, thresholdOf } from './plan.ts';

const test = suite('impl-gpu/engines/plan');
const seed = Number(process.env['LRD_SEED'] ?? 20221122);

function planOf(rule: RuleName, hyper: HyperValues = {}, count = 1, keepProbability = 0.5): TensorPlan {
  const plan = planStep({ rule, key: [1, 2], step: 1, tensors: [{ base: 0, size: 8, count, hyper, keepProbability }] });
  return plan.tensors[0] as TensorPlan;
}

function near(got: number, expected: number): void {
  assert.ok(Math.abs(got - expected) <= 1e-12 * Math.abs(expected), `must be ${expected}, got ${got}`);
}

test('[LRD-STREAM-004] the threshold is max(1, floor(65536 p + 1/2)), so the probability that holds is within 2^-17 of p', () => {
  assert.is(thresholdOf(2 ** -16), 1);
  assert.is(thresholdOf(0.5), 32768);
  assert.is(thresholdOf(1), 65536);
  fcAssert(
    property(double({ min: 2 ** -16, max: 1, noNaN: true }), (p) => {
      assert.ok(Math.abs(thresholdOf(p) / 65536 - p) <= 2 ** -17);
    }),
    { seed, numRuns: 1000, includeErrorInReport: true },
  );
});

test("[LRD-RULE-004] [LRD-RULE-005] folded scalars give the rule table's step in float64", () => {
  const [m, v] = [0.3, 0.02];
  for (const count of [1, 2, 7, 1000]) {
    const [c1, c2] = [1 - 0.9 ** count, 1 - 0.999 ** count];
    const direction = ({ scalars: { rate, epsilon, maxScale } }: TensorPlan): number =>
      (rate * m) / (Math.sqrt(maxScale * v) + epsilon);
    near(direction(planOf('adam', {}, count)), (1e-3 * (m / c1)) / (Math.sqrt(v / c2) + 1e-8));
    near(
      direction(planOf('adam', { epsilonMode: 'hat' }, count)),
      (1e-3 * m * Math.sqrt(c2)) / c1 / (Math.sqrt(v) + 1e-8),
    );
    near(direction(planOf('amsgrad', {}, count)), (1e-3 * (m / c1)) / (Math.sqrt(v / c2) + 1e-8));
    const beside = 1e-8 / Math.sqrt(c2);
    for (const maxOf of ['raw', 'corrected']) {
      const hat = planOf('amsgrad', { maxOf, epsilonMode: 'hat' }, count);
      near(direction(hat), (1e-3 * (m / c1)) / (Math.sqrt(v / c2) + beside));
    }
    near(direction(planOf('amsgrad', { maxOf: 'corrected' }, count)), (1e-3 * (m / c1)) / (Math.sqrt(v / c2) + 1e-8));
    near(direction(planOf('amsgrad', { maxOf: 'uncorrected' }, count)), (1e-3 * m) / (Math.sqrt(v) + 1e-8));
  }
});

test('[LRD-RULE-007] RAdam follows its momentum for 5 steps by code and for 4 by its paper', () => {
  const family = (variant: string, count: number): string => planOf('radam', { variant }, count).kernel.family;
  for (const variant of ['torch', 'original']) {
    assert.is(family(variant, 5), 'first-moment');
    assert.is(family(variant, 6), 'adam');
  }
  assert.is(family('paper', 4), 'first-moment');
  assert.is(family('paper', 5), 'adam');
});

test('[LRD-RULE-001] the first gradient enters the momentum whole, without dampening', () => {
  const hyper = { momentum: 0.9, dampening: 0.5 };
  assert.equal([planOf('sgdm', hyper, 1).scalars.firstKeep, planOf('sgdm', hyper, 1).scalars.firstAdd], [0, 1]);
  assert.equal([planOf('sgdm', hyper, 2).scalars.firstKeep, planOf('sgdm', hyper, 2).scalars.firstAdd], [0.9, 0.5]);
  assert.is(planOf('sgdm', { momentum: 0 }).kernel.family, 'gradient');
});

test('without decay the parameter stays out of the gradient, so that an infinite one does not spoil the moments', () => {
  assert.is(planOf('adam').kernel.coupled, false);
  assert.is(planOf('adam', { weightDecay: 0.1 }).kernel.coupled, true);
  assert.is(planOf('adamw', { weightDecay: 0 }).kernel.decoupled, false);
  assert.is(planOf('adamw').kernel.decoupled, true);
});

test("a kernel's state is the rule's, whatever the variant", () => {
  const variants: readonly (readonly [RuleName, HyperValues])[] = [
    ['sgdm', { momentum: 0 }],
    ['sgdm', {}],
    ['rmsprop', {}],
    ['rmsprop', { centered: true }],
    ['rmsprop', { momentum: 0.9 }],
    ['rmsprop', { centered: true, momentum: 0.9 }],
    ['adam', {}],
    ['amsgrad', {}],
    ['radam', {}],
    ['adamw', {}],
  ];
  for (const [rule, hyper] of variants) {
    const { kernel } = planOf(rule, hyper);
    assert.equal(kernelState(kernel), stateNames(rule, resolveHyper(rule, hyper)), `${rule}, ${kernelName(kernel)}`);
  }
});

test('[LRD-ERROR-001] [LRD-ERROR-002] [LRD-ERROR-003] values outside their range are refused in one line: argument, rule, value', () => {
  const refuse = (rule: RuleName, hyper: HyperValues, keepProbability: number, message: string): void =>
    assert.throws(
      () => planOf(rule, hyper, 1, keepProbability),
      (error: Error) => {
        assert.instance(error, InvalidArgumentError);
        assert.is(error.message, message);
        return true;
      },
    );
  refuse('adam', {}, 1.5, 'keepProbability must be in [2^-16, 1], got 1.5');
  refuse('adam', {}, 0, 'keepProbability must be in [2^-16, 1], got 0');
  refuse('adam', {}, Number.NaN, 'keepProbability must be in [2^-16, 1], got NaN');
  refuse('adam', { beta1: 1 }, 0.5, 'beta1 must be in [0, 1), got 1');
  refuse('adam', { epsilon: 0 }, 0.5, 'epsilon must be a finite number above 0, got 0');
  refuse('sgdm', { learningRate: -1 }, 0.5, 'learningRate must be a finite number of at least 0, got -1');
  refuse('sgdm', { nesterov: 'yes' }, 0.5, 'nesterov must be true or false, got "yes"');
  refuse('adam', { epsilonMode: 'other' }, 0.5, 'epsilonMode must be one of corrected, hat, got "other"');
  refuse(
    'rmsprop',
    { alpha: 0.9 },
    0.5,
    "alpha must be one of rmsprop's learningRate, rho, epsilon, epsilonPlacement, momentum, centered, weightDecay",
  );
  refuse(
    'sgdm',
    { learningRate: 1e39 },
    0.5,
    'sgdm: the hyper-parameters give a factor "rate" that must be within float32, got 1e+39',
  );
  assert.throws(() => checkRule('sgd'), /^rule must be one of sgdm, .*, got "sgd"$/);
});

test('[LRD-ERROR-002] every number of every rule is refused just outside its range, and taken at its closed ends', () => {
  for (const [rule, { hyper }] of Object.entries(RULES)) {
    for (const [name, range] of Object.entries(hyper)) {
      if (range.kind !== 'number') continue;
      const take = (value: number): unknown => resolveHyper(rule as RuleName, { [name]: value });
      for (const value of [Number.NaN, range.minimum - 1, Infinity, range.maximum + 1]) {
        assert.throws(
          () => take(value),
          (error: Error) => error.message.startsWith(`${name} ${range.text}, got `),
        );
      }
      const open = 'openMinimum' in range && range.openMinimum;
      if (open) assert.throws(() => take(range.minimum));
      else take(range.minimum);
    }
  }
});

test('a step, base, size or count that cannot be is refused', () => {
  const tensor = { base: 0, size: 8, count: 1, hyper: {}, keepProbability: 0.5 };
  const refuse = (step: number, change: Partial<typeof tensor>, message: RegExp): void =>
    assert.throws(() => planStep({ rule: 'adam', key: [1, 2], step, tensors: [{ ...tensor, ...change }] }), message);
  refuse(0, {}, /^step must be a whole number in \[1, 4294967295\], got 0$/);
  refuse(2 ** 32, {}, /^step must be/);
  refuse(1, { base: 32 }, /^base must be a multiple of 64, got 32$/);
  refuse(1, { size: -1 }, /^size must be a whole number in \[0, 34359738368\], got -1$/);
  refuse(1, { count: 0.5 }, /^count must be a whole number/);
});

test('sgdm-avg is refused as unsupported', () => {
  assert.throws(
    () => planOf('sgdm-avg'),
    (error: unknown) => error instanceof UnsupportedError && error.code === 'unsupported',
  );
});

test('an epsilon that float32 would flush to 0 keeps 0 / 0 away all the same', () => {
  assert.is(planOf('adam', { epsilon: 1e-300 }).scalars.epsilon, 2 ** -126);
});

test('tensors with the same settings share their scalars, and one without a gradient has no part', () => {
  const hyper = {};
  const tensor = (base: number, count: number) => ({ base, size: 8, count, hyper, keepProbability: 0.5 });
  const { tensors } = planStep({
    rule: 'adam',
    key: [1, 2],
    step: 3,
    tensors: [tensor(0, 3), tensor(64, 0), tensor(128, 3), tensor(192, 2)],
  });
  assert.is(tensors[1], null);
  assert.is(tensors[0]?.scalars, tensors[2]?.scalars);
  assert.is.not(tensors[0]?.scalars, tensors[3]?.scalars);
});

test.run();
