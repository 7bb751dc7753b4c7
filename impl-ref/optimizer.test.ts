import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { RULES } from '../spec/rules.ts';
import type { RuleName } from '../spec/rules.ts';
import { meanGradients } from './accumulation.ts';
import { streamMask } from './masks.ts';
import { createOptimizer } from './optimizer.ts';
import type { Masks, OptimizerOptions, OptimizerState, Parameter, ScheduledHyper, StepReport } from './optimizer.ts';
import { bits, hostile, keepProbability, mask, natural, runs, seed, vector } from './testing/properties.ts';

const test = suite('impl-ref/optimizer');

/** Every rule in every variant that changes the arithmetic. */
const VARIANTS: readonly (readonly [RuleName, ScheduledHyper])[] = [
  ['sgdm', {}],
  ['sgdm', { momentum: 0, dampening: 0.5 }],
  ['sgdm', { dampening: 0.25 }],
  ['sgdm', { nesterov: true }],
  ['sgdm-avg', { window: 3 }],
  ['rmsprop', {}],
  ['rmsprop', { epsilonPlacement: 'inside' }],
  ['rmsprop', { centered: true, momentum: 0.5 }],
  ['adam', {}],
  ['adam', { epsilonMode: 'hat' }],
  ['amsgrad', {}],
  ['amsgrad', { maxOf: 'corrected' }],
  ['amsgrad', { maxOf: 'uncorrected' }],
  ['radam', {}],
  ['radam', { variant: 'original' }],
  ['radam', { variant: 'paper' }],
  ['adamw', {}],
  ['adamw', { epsilonMode: 'hat' }],
];
const variant = fc.constantFrom(...VARIANTS);
const decay = fc.constantFrom(0, 0.01, 0.5);
const SIZE = 5;
const STEPS = 8;
const trajectory = fc.array(vector(natural, SIZE), { minLength: 1, maxLength: STEPS });
const masksOf = fc.array(mask(SIZE), { minLength: STEPS, maxLength: STEPS });

const tensor = (values: readonly number[], more: Partial<Parameter> = {}): Parameter => ({
  name: 'w',
  shape: [values.length],
  values,
  ...more,
});

interface Run {
  readonly states: readonly OptimizerState[];
  readonly reports: readonly StepReport[];
}

/** Runs an optimizer over gradients by step, by tensor. */
function run(
  parameters: readonly Parameter[],
  options: OptimizerOptions,
  gradients: readonly (readonly (readonly number[] | null)[])[],
): Run {
  const optimizer = createOptimizer(parameters, options);
  let state = optimizer.init();
  const states = [state];
  const reports: StepReport[] = [];
  for (const gradient of gradients) {
    const result = optimizer.step(state, gradient);
    ({ state } = result);
    states.push(state);
    reports.push(result.report);
  }
  return { states, reports };
}

const given = (masks: readonly (readonly number[])[]): Masks => ({
  kind: 'given',
  mask: (step) => masks[step - 1] as readonly number[],
});
const values = (state: OptimizerState | undefined, k = 0): Float64Array =>
  state?.tensors[k]?.values ?? new Float64Array();
const slots = (state: OptimizerState | undefined, k = 0): Record<string, string[]> =>
  Object.fromEntries(Object.entries(state?.tensors[k]?.slots ?? {}).map(([name, array]) => [name, bits(array)]));

test('[LRD-MASK-002] with p = 1 every value is bit-identical to the base rule, and no mask source is needed', () => {
  fc.assert(
    fc.property(variant, decay, vector(natural, SIZE), trajectory, ([rule, hyper], weightDecay, start, gradients) => {
      const all = { ...hyper, weightDecay };
      const steps = gradients.map((g) => [g]);
      const base = run([tensor(start)], { rule, hyper: all, keepProbability: null }, steps);
      const one = run([tensor(start)], { rule, hyper: all, keepProbability: 1 }, steps);
      const stream = { kind: 'stream', seed: 1 } as const;
      const drawn = run([tensor(start)], { rule, hyper: all, keepProbability: 1, masks: stream }, steps);
      for (const [t, state] of base.states.entries()) {
        assert.equal(bits(values(one.states[t])), bits(values(state)));
        assert.equal(bits(values(drawn.states[t])), bits(values(state)));
        assert.equal(slots(one.states[t]), slots(state));
      }
    }),
    runs(100),
  );
});

test('[LRD-MASK-003] a dropped coordinate keeps its bits whatever its value and its gradient are', () => {
  fc.assert(
    fc.property(
      variant,
      vector(hostile, SIZE),
      fc.array(vector(hostile, SIZE), { minLength: 1, maxLength: STEPS }),
      masksOf,
      ([rule, hyper], start, gradients, masks) => {
        const done = run(
          [tensor(start)],
          { rule, hyper, masks: given(masks) },
          gradients.map((g) => [g]),
        );
        for (let t = 0; t < gradients.length; t++) {
          const before = bits(values(done.states[t]));
          const after = bits(values(done.states[t + 1]));
          (masks[t] as number[]).forEach((d, i) => d === 0 && assert.is(after[i], before[i]));
        }
      },
    ),
    runs(200),
  );
});

test('[LRD-MASK-003] the payload of a NaN survives being dropped', () => {
  const start = new Float64Array(1);
  new BigUint64Array(start.buffer)[0] = 0x7ff8dead0000beefn;
  const optimizer = createOptimizer([{ name: 'w', shape: [1], values: start }], { rule: 'adam', masks: given([[0]]) });
  const before = bits(optimizer.init().tensors[0]?.values ?? []);
  const { state } = optimizer.step(optimizer.init(), [[Number.NaN]]);
  assert.equal(bits(values(state)), before);
});

test("[LRD-ALG-007] [LRD-ALG-008] a kept coordinate makes exactly the base rule's step from the same state, not rescaled", () => {
  fc.assert(
    fc.property(
      variant,
      decay,
      keepProbability,
      vector(natural, SIZE),
      trajectory,
      masksOf,
      ([rule, hyper], weightDecay, p, start, gradients, masks) => {
        const all = { ...hyper, weightDecay };
        const steps = gradients.map((g) => [g]);
        const lrd = run([tensor(start)], { rule, hyper: all, keepProbability: p, masks: given(masks) }, steps);
        for (let t = 0; t < gradients.length; t++) {
          const at = lrd.states[t] as OptimizerState;
          // The base rule from the very state that learning rate dropout left.
          const base = createOptimizer([tensor(start)], { rule, hyper: all, keepProbability: null });
          const { state } = base.step({ ...at, transformations: {} }, [gradients[t] as number[]]);
          const expected = bits(values(state));
          const got = bits(values(lrd.states[t + 1]));
          (masks[t] as number[]).forEach((d, i) => d === 1 && assert.is(got[i], expected[i]));
          const { deltaW, learningRates } = lrd.reports[t] as StepReport;
          (masks[t] as number[]).forEach((d, i) => {
            const step = (learningRates[0] as number) * (deltaW[0]?.[i] as number);
            const theta = values(at)[i] as number;
            assert.is(values(lrd.states[t + 1])[i], d === 1 ? theta - step : theta);
          });
        }
      },
    ),
    runs(100),
  );
});

test('[LRD-ALG-002] [LRD-ALG-003] [LRD-MASK-004] moments and counts do not see the mask, given the gradients', () => {
  fc.assert(
    fc.property(variant, trajectory, masksOf, masksOf, ([rule, hyper], gradients, one, two) => {
      const steps = gradients.map((g) => [g]);
      const start = tensor([0, 0, 0, 0, 0]);
      const a = run([start], { rule, hyper: { ...hyper, weightDecay: 0 }, masks: given(one) }, steps);
      const b = run([start], { rule, hyper: { ...hyper, weightDecay: 0 }, masks: given(two) }, steps);
      assert.equal(slots(a.states.at(-1)), slots(b.states.at(-1)));
      assert.is(a.states.at(-1)?.tensors[0]?.count, gradients.length);
    }),
    runs(100),
  );
});

test('[LRD-RULE-010] coupled L2 enters the moments on dropped steps too, from the value that stands there', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...VARIANTS.filter(([rule]) => RULES[rule].decay === 'coupled')),
      vector(natural, SIZE),
      trajectory,
      masksOf,
      ([rule, hyper], start, gradients, masks) => {
        const steps = gradients.map((g) => [g]);
        const l2 = run([tensor(start)], { rule, hyper: { ...hyper, weightDecay: 0.5 }, masks: given(masks) }, steps);
        const added = gradients.map((g, t) => [g.map((x, i) => x + 0.5 * (values(l2.states[t])[i] as number))]);
        const bare = run([tensor(start)], { rule, hyper: { ...hyper, weightDecay: 0 }, masks: given(masks) }, added);
        assert.equal(slots(bare.states.at(-1)), slots(l2.states.at(-1)));
        assert.equal(bits(values(bare.states.at(-1))), bits(values(l2.states.at(-1))));
      },
    ),
    runs(100),
  );
});

test('[LRD-RULE-011] [LRD-RULE-008] decoupled decay moves kept coordinates only, by alpha weightDecay theta', () => {
  const options = { rule: 'adamw', hyper: { learningRate: 0.5, weightDecay: 0.5 }, masks: given([[1, 0]]) } as const;
  const { states, reports } = run([tensor([2, 2])], options, [[[0, 0]]]);
  assert.equal(Array.from(values(states[1])), [1.5, 2]);
  assert.equal(Array.from(reports[0]?.deltaW[0] ?? []), [1, 1]);
  assert.equal(slots(states[1])['m'], bits([0, 0]));
});

test('[LRD-RULE-010] [LRD-RULE-011] no decay is no term: an infinite value stays infinite and nothing becomes NaN', () => {
  for (const [rule, hyper] of VARIANTS) {
    const { states } = run([tensor([Infinity, 1])], { rule, hyper: { ...hyper, weightDecay: 0 }, keepProbability: 1 }, [
      [[1, 1]],
      [[1, 1]],
    ]);
    assert.is(values(states.at(-1))[0], Infinity, rule);
    assert.ok(Number.isFinite(values(states.at(-1))[1]), rule);
  }
});

test("[LRD-MASK-002] without learning rate dropout neither given masks nor a group's keep probability drop anything", () => {
  const list = [tensor([1, 1], { keepProbability: 0.25 })];
  const options = { rule: 'sgdm', keepProbability: null, masks: given([[0, 0]]) } as const;
  const { states, reports } = run(list, options, [[[1, 1]]]);
  assert.equal(Array.from(values(states[1])), [0.9, 0.9]);
  assert.equal(reports[0]?.keepProbabilities, [1]);
  assert.equal(reports[0]?.masks, [Uint8Array.of(1, 1)]);
});

test('[LRD-MASK-008] splitting tensors, permuting elements: same result with given masks', () => {
  fc.assert(
    fc.property(
      variant,
      decay,
      vector(natural, SIZE),
      trajectory,
      masksOf,
      fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
      fc.nat(SIZE),
      ([rule, hyper], weightDecay, start, gradients, masks, order, cut) => {
        const all = { ...hyper, weightDecay };
        const whole = run(
          [tensor(start)],
          { rule, hyper: all, masks: given(masks) },
          gradients.map((g) => [g]),
        );
        const permute = (array: readonly number[]): number[] => order.map((i) => array[i] as number);
        const split = (array: readonly number[]): number[][] => [
          permute(array).slice(0, cut),
          permute(array).slice(cut),
        ];
        const parts = run(
          split(start).map((part, k) => tensor(part, { name: `w${k}` })),
          {
            rule,
            hyper: all,
            masks: { kind: 'given', mask: (step, k) => split(masks[step - 1] as number[])[k] as number[] },
          },
          gradients.map(split),
        );
        const last = parts.states.at(-1);
        assert.equal(
          [...bits(values(last, 0)), ...bits(values(last, 1))],
          bits(permute(Array.from(values(whole.states.at(-1))))),
        );
      },
    ),
    runs(100),
  );
});

test('[LRD-STATE-001] a run resumed from any step is the same run', () => {
  fc.assert(
    fc.property(
      variant,
      seed,
      vector(natural, SIZE),
      trajectory,
      fc.nat(STEPS),
      ([rule, hyper], key, start, gradients, k) => {
        const options = { rule, hyper, masks: { kind: 'stream', seed: key } } as const;
        const straight = run(
          [tensor(start)],
          options,
          gradients.map((g) => [g]),
        );
        const at = Math.min(k, gradients.length);
        const saved = straight.states[at] as OptimizerState;
        const names = Object.keys(saved.tensors[0]?.slots ?? {});
        const resumed = createOptimizer([tensor(Array.from(values(saved)))], options);
        let state = resumed.init({
          firstStep: at + 1,
          state: Object.fromEntries(
            names.map((name) => [name, saved.tensors.map((t) => t.slots[name] as Float64Array)]),
          ),
        });
        for (const gradient of gradients.slice(at)) ({ state } = resumed.step(state, [gradient]));
        assert.equal(state, straight.states.at(-1));
      },
    ),
    runs(100),
  );
});

test("[LRD-STATE-002] a tensor without a gradient stands still while the mask's step goes on", () => {
  const stream = { kind: 'stream', seed: 5 } as const;
  for (const [rule, hyper] of VARIANTS) {
    const w = tensor([1, -2, 3]);
    const steps = [[[1, 2, 3]], [null], [[-1, 0.5, 2]]];
    const { states, reports } = run([w], { rule, hyper: { ...hyper, weightDecay: 0.1 }, masks: stream }, steps);
    assert.equal(states[2]?.tensors, states[1]?.tensors);
    assert.equal([reports[1]?.deltaW[0], reports[1]?.masks[0], reports[1]?.gradients[0]], [null, null, null]);
    assert.is(states[3]?.tensors[0]?.count, 2);
    const expected = streamMask({ key: [5, 0], step: 3, stream: 'mask', base: 0 }, 3, 0.5);
    assert.equal(reports[2]?.masks[0], expected);
  }
});

test('[LRD-STREAM-003] excluded tensors and those without a gradient keep their place in the stream', () => {
  const stream = { kind: 'stream', seed: 5 } as const;
  const list = [tensor([1, 2], { excluded: true }), tensor([1, 2], { name: 'b' }), tensor([1, 2, 3], { name: 'c' })];
  const { reports } = run(list, { rule: 'sgdm', masks: stream }, [[[1, 1], null, [1, 1, 1]]]);
  assert.equal(reports[0]?.masks[0], Uint8Array.of(1, 1));
  assert.equal(reports[0]?.masks[2], streamMask({ key: [5, 0], step: 1, stream: 'mask', base: 128 }, 3, 0.5));
});

test("[LRD-MASK-007] excluded tensors take the base rule's step whatever masks are given", () => {
  const list = [tensor([1, 2], { excluded: true }), tensor([1, 2], { name: 'b' })];
  const { states, reports } = run(list, { rule: 'sgdm', masks: given([[0, 0]]) }, [
    [
      [1, 1],
      [1, 1],
    ],
  ]);
  assert.equal(Array.from(values(states[1], 0)), [0.9, 1.9]);
  assert.equal(Array.from(values(states[1], 1)), [1, 2]);
  assert.equal(reports[0]?.keepProbabilities, [1, 0.5]);
});

test('[LRD-STATE-003] learning rate, keep probability and decay change between steps and only from then on', () => {
  fc.assert(
    fc.property(
      variant,
      vector(natural, SIZE),
      trajectory,
      fc.integer({ min: 1, max: STEPS }),
      ([rule, hyper], start, gradients, k) => {
        const at =
          <T>(before: T, after: T) =>
          (step: number): T =>
            step < k ? before : after;
        const stream = { kind: 'stream', seed: 11 } as const;
        const steps = gradients.map((g) => [g]);
        const scheduled = run(
          [tensor(start)],
          {
            rule,
            hyper: { ...hyper, learningRate: at(0.1, 0.01), weightDecay: at(0, 0.5) },
            keepProbability: at(0.9, 0.2),
            masks: stream,
          },
          steps,
        );
        const first = {
          rule,
          hyper: { ...hyper, learningRate: 0.1, weightDecay: 0 },
          keepProbability: 0.9,
          masks: stream,
        } as const;
        const second = {
          rule,
          hyper: { ...hyper, learningRate: 0.01, weightDecay: 0.5 },
          keepProbability: 0.2,
          masks: stream,
        } as const;
        const one = createOptimizer([tensor(start)], first);
        const two = createOptimizer([tensor(start)], second);
        let state = one.init();
        let overridden = one.init();
        for (const [t, gradient] of steps.entries()) {
          ({ state } = (t + 1 < k ? one : two).step(state, gradient));
          const changes = { hyper: { learningRate: 0.01, weightDecay: 0.5 }, keepProbability: 0.2 };
          ({ state: overridden } = one.step(overridden, gradient, t + 1 < k ? {} : changes));
        }
        assert.equal(scheduled.states.at(-1), state);
        assert.equal(overridden, state);
      },
    ),
    runs(60),
  );
});

test("[LRD-STATE-004] a group's own values win over the optimizer's and over those of a single step", () => {
  const stream = { kind: 'stream', seed: 3 } as const;
  const list = [
    tensor([1, 1], { hyper: { learningRate: 1, momentum: 0 }, keepProbability: 1 }),
    tensor([1, 1], { name: 'b' }),
  ];
  const optimizer = createOptimizer(list, { rule: 'sgdm', hyper: { learningRate: 0.5 }, masks: stream });
  const { state, report } = optimizer.step(
    optimizer.init(),
    [
      [1, 1],
      [1, 1],
    ],
    {
      hyper: { learningRate: 0.25 },
      keepProbability: [0.25, 0.75],
    },
  );
  assert.equal(Array.from(values(state)), [0, 0]);
  assert.equal(report.learningRates, [1, 0.25]);
  assert.equal(report.keepProbabilities, [1, 0.75]);
  assert.is(state.tensors[0]?.slots['buf'], undefined);
  assert.is(state.tensors[1]?.slots['buf']?.length, 2);
});

test('[LRD-STATE-005] started later: with a state as if all gradients had come, without one afresh', () => {
  const optimizer = createOptimizer([tensor([1])], { rule: 'adam', keepProbability: 1 });
  const fresh = optimizer.init({ firstStep: 5 });
  assert.equal([fresh.step, fresh.tensors[0]?.count], [4, 0]);
  assert.equal(optimizer.init({ firstStep: 5, state: { m: [[1]], v: [[1]] } }).tensors[0]?.count, 4);
  assert.equal(optimizer.init({ firstStep: 5, state: { m: [[1]], v: [[1]] }, counts: [2] }).tensors[0]?.count, 2);
  assert.ok(Math.abs((values(optimizer.step(fresh, [[3]]).state)[0] as number) - (1 - 1e-3)) < 1e-10);
});

test('[LRD-RULE-009] gradient scale: SGDM is linear in it, the adaptive rules do not see it', () => {
  fc.assert(
    fc.property(trajectory, masksOf, fc.integer({ min: -3, max: 3 }), (gradients, masks, exponent) => {
      const c = 2 ** exponent;
      const start = tensor([0, 0, 0, 0, 0]);
      const steps = gradients.map((g) => [g]);
      const scaled = gradients.map((g) => [g.map((x) => c * x)]);
      for (const rule of ['sgdm', 'sgdm-avg'] as const) {
        const one = run([start], { rule, masks: given(masks) }, steps);
        const many = run([start], { rule, masks: given(masks) }, scaled);
        assert.equal(bits(values(many.states.at(-1))), bits(values(one.states.at(-1)).map((w) => c * w)));
      }
      for (const [rule, hyper] of VARIANTS.filter(([r]) => !r.startsWith('sgdm') && r !== 'radam')) {
        const tiny = { ...hyper, epsilon: 1e-300, weightDecay: 0, learningRate: 1 };
        const one = values(run([start], { rule, hyper: tiny, masks: given(masks) }, steps).states.at(-1));
        const many = values(run([start], { rule, hyper: tiny, masks: given(masks) }, scaled).states.at(-1));
        many.forEach((w, i) => {
          // A centered variance that is nothing but rounding is divided by: the first step has g / 0.
          if (hyper['centered'] === true) return;
          assert.ok(
            Math.abs(w - (one[i] as number)) <= 1e-12 * (STEPS + Math.abs(w)),
            `${rule} ${w} ${String(one[i])}`,
          );
        });
      }
    }),
    runs(60),
  );
});

test('[LRD-RULE-009] epsilon is what bounds a small gradient: at epsilon = |g| the first step of Adam is half as long', () => {
  const options = { rule: 'adam', hyper: { epsilon: 0.25, learningRate: 1 }, keepProbability: null } as const;
  assert.ok(Math.abs((values(run([tensor([0])], options, [[[0.25]]]).states[1])[0] as number) + 0.5) < 1e-15);
});

test('[LRD-DEC-003] RAdam is masked in its unrectified steps too', () => {
  const masks = [[0], [1], [0], [0], [0], [0], [0]];
  const steps = masks.map(() => [[1]]);
  const { states } = run([tensor([0])], { rule: 'radam', masks: given(masks) }, steps);
  assert.equal(
    states.map((state) => values(state)[0] !== 0),
    [false, false, true, true, true, true, true, true],
  );
});

test('[LRD-EQ-006] [LRD-ALG-001] a coordinate stands through a run of drops and then moves by the momentum of that step', () => {
  fc.assert(
    fc.property(fc.array(natural, { minLength: 1, maxLength: 12 }), natural, (gradients, start) => {
      const masks = gradients.map((_, t) => [t + 1 === gradients.length ? 1 : 0]);
      const options = { rule: 'sgdm', hyper: { learningRate: 0.5 }, masks: given(masks) } as const;
      const { states } = run(
        [tensor([start])],
        options,
        gradients.map((g) => [[g]]),
      );
      for (const state of states.slice(0, -1)) assert.is(values(state)[0], start);
      const buf = states.at(-1)?.tensors[0]?.slots['buf']?.[0] as number;
      assert.is(values(states.at(-1))[0], start - 0.5 * buf);
    }),
    runs(100),
  );
});

test('[LRD-DEC-002] for plain SGD every masked step points down, whatever the mask', () => {
  fc.assert(
    fc.property(vector(natural, SIZE), mask(SIZE), (gradient, bitsOf) => {
      const options = { rule: 'sgdm', hyper: { momentum: 0 }, masks: given([bitsOf]) } as const;
      const { states } = run([tensor([0, 0, 0, 0, 0])], options, [[gradient]]);
      const slope = values(states[1]).reduce((sum, w, i) => sum + w * (gradient[i] as number), 0);
      assert.ok(slope <= 0);
    }),
    runs(100),
  );
});

test('[LRD-DEC-001] with momentum an update can increase the loss: w^2 / 2, a kept step after the gradient turned', () => {
  // From w = 1 with buf = 10: the step -alpha (.9 * 10 + 1) = -1 * ... passes the minimum and climbs higher than it started.
  const optimizer = createOptimizer([tensor([1])], {
    rule: 'sgdm',
    hyper: { learningRate: 0.5 },
    masks: given([[1], [1]]),
  });
  const { state } = optimizer.step(optimizer.init({ firstStep: 2, state: { buf: [[10]] } }), [[1]]);
  assert.is(values(state)[0], 1 - 0.5 * 10);
  assert.ok((values(state)[0] as number) ** 2 > 1);
});

test('[LRD-SCHED-006] accumulated micro-batches are one step with their mean gradient', () => {
  assert.equal(
    meanGradients([
      [[1, 2], null, null],
      [[3, 6], [4], null],
    ]).map((g) => (g === null ? null : Array.from(g))),
    [[2, 4], [2], null],
  );
  assert.throws(() => meanGradients([]), /microBatches must have at least one entry/);
  assert.throws(() => meanGradients([[[1]], [[1], [2]]]), /must have 1 tensors each, got 2/);
  assert.throws(() => meanGradients([[[1]], [[1, 2]]]), /must agree in the size of tensor 0, got 1 and 2/);
});

test('[LRD-RULE-012] what is left out takes the default', () => {
  for (const rule of Object.keys(RULES) as RuleName[]) {
    const stream = { kind: 'stream', seed: 3 } as const;
    const defaults = Object.fromEntries(
      Object.entries(RULES[rule].hyper).map(([name, { default: value }]) => [name, value]),
    );
    const w = tensor([1, -1, 2, 3, -4]);
    const steps = [[[1, 2, 3, -4, 5]], [[1, 2, 3, -4, 5]]];
    const short = run([w], { rule, masks: stream }, steps);
    const long = run([w], { rule, hyper: defaults, keepProbability: 0.5, masks: stream }, steps);
    assert.equal(short.states, long.states);
  }
});

const refused = (options: unknown, parameters: readonly Parameter[] = [tensor([1, 2])]): string => {
  try {
    const optimizer = createOptimizer(parameters, options as OptimizerOptions);
    optimizer.step(optimizer.init(), [[1, 1]]);
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing was refused';
};

test('[LRD-ERROR-002] [LRD-ERROR-003] wrong hyper-parameters are refused in one line with name, rule and value', () => {
  const hyper = (rule: string, name: string, value: unknown): string =>
    refused({ rule, hyper: { [name]: value }, keepProbability: null });
  assert.is(hyper('adam', 'beta1', 1), 'beta1 must be in [0, 1), got 1');
  assert.is(hyper('adam', 'beta1', '0.9'), 'beta1 must be in [0, 1), got "0.9"');
  assert.is(hyper('adam', 'epsilon', 0), 'epsilon must be a finite number above 0, got 0');
  assert.is(hyper('adam', 'epsilon', Infinity), 'epsilon must be a finite number above 0, got Infinity');
  assert.is(hyper('adam', 'learningRate', Number.NaN), 'learningRate must be a finite number of at least 0, got NaN');
  assert.is(hyper('adam', 'learningRate', -1), 'learningRate must be a finite number of at least 0, got -1');
  assert.is(hyper('adam', 'epsilonMode', 'outside'), 'epsilonMode must be one of corrected, hat, got "outside"');
  assert.is(hyper('adam', 'epsilonMode', 1), 'epsilonMode must be one of corrected, hat, got 1');
  assert.is(hyper('sgdm', 'nesterov', 1), 'nesterov must be true or false, got 1');
  assert.is(hyper('sgdm', 'dampening', 1.5), 'dampening must be in [0, 1], got 1.5');
  assert.is(hyper('sgdm', 'dampening', 1), 'nothing was refused');
  assert.is(hyper('sgdm-avg', 'window', 2.5), 'window must be a whole number of at least 1, got 2.5');
  assert.is(hyper('sgdm-avg', 'window', 0), 'window must be a whole number of at least 1, got 0');
  assert.is(
    hyper('sgdm', 'beta1', 0.9),
    'hyper must have only learningRate, momentum, dampening, nesterov, weightDecay for sgdm, got "beta1"',
  );
  assert.is(
    refused({ rule: 'adagrad' }),
    'rule must be one of sgdm, sgdm-avg, rmsprop, adam, amsgrad, radam, adamw, got "adagrad"',
  );
  assert.is(refused({ rule: 7 }), 'rule must be one of sgdm, sgdm-avg, rmsprop, adam, amsgrad, radam, adamw, got 7');
  assert.is(
    refused({ rule: 'adam' }, [tensor([1, 2], { hyper: { beta2: -0.1 } })]),
    'beta2 must be in [0, 1), got -0.1',
  );
  assert.is(
    refused({ rule: 'sgdm-avg', hyper: { window: 2 ** 27 }, keepProbability: null }),
    'window must keep the ring of gradients below 2 GiB, got 134217728 (2147483648 bytes for 2 parameters)',
  );
});

test('[LRD-ERROR-002] a wrong hyper-parameter is refused when the optimizer is made, in a group too', () => {
  assert.throws(() => createOptimizer([], { rule: 'adam', hyper: { beta1: 2 } }), /^beta1 must be in \[0, 1\), got 2$/);
  const group = tensor([1], { hyper: { beta2: () => 2 } });
  assert.throws(() => createOptimizer([group], { rule: 'adam' }), /^beta2 must be in \[0, 1\), got 2$/);
  assert.throws(
    () => createOptimizer([tensor([1])], { rule: ['adam'] as never }),
    /^rule must be one of .*, got adam$/,
  );
});

test('[LRD-ERROR-001] a keep probability is refused wherever it comes from', () => {
  const text = 'keepProbability must be in [2^-16, 1], got 0';
  const masks = { kind: 'stream', seed: 1 };
  assert.is(refused({ rule: 'sgdm', keepProbability: 0, masks }), text);
  assert.is(refused({ rule: 'sgdm', keepProbability: () => 0, masks }), text);
  assert.is(refused({ rule: 'sgdm', masks }, [tensor([1, 2], { keepProbability: 0 })]), text);
  assert.is(
    refused({ rule: 'sgdm' }),
    'masks must be a stream or given where keepProbability is below 1, got none with keepProbability 0.5',
  );
});

test('[LRD-ERROR-004] sizes that do not fit are refused', () => {
  const optimizer = createOptimizer([tensor([1, 2])], { rule: 'adam', keepProbability: 1 });
  const message = (body: () => unknown): string => {
    try {
      body();
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was refused';
  };
  assert.is(
    message(() => optimizer.step(optimizer.init(), [])),
    'gradients must have 1 elements, got 0',
  );
  assert.is(
    message(() => optimizer.step(optimizer.init(), [[1]])),
    'the gradient of w must have 2 elements, got 1',
  );
  assert.is(
    message(() => optimizer.init({ state: { m: [[1]] } })),
    'state.m of w must have 2 elements, got 1',
  );
  assert.is(
    message(() => optimizer.init({ state: { m: [] } })),
    'state.m must have an entry for w, got none',
  );
  assert.is(
    message(() => optimizer.init({ state: { buf: [] } })),
    'state must have only m, v, got buf',
  );
  assert.is(
    message(() => optimizer.init({ firstStep: 0 })),
    'firstStep must be a whole number in [1, 2^32), got 0',
  );
  assert.is(
    message(() => optimizer.init({ firstStep: 1.5 })),
    'firstStep must be a whole number in [1, 2^32), got 1.5',
  );
  assert.is(
    message(() => optimizer.init({ firstStep: 2 ** 32 })),
    'firstStep must be a whole number in [1, 2^32), got 4294967296',
  );
  const shape = { name: 'w', shape: [2, 2], values: [1, 2] };
  assert.is(
    message(() => createOptimizer([shape], { rule: 'sgdm' })),
    'the values of w must have 4 elements, got 2',
  );
  assert.is(refused({ rule: 'sgdm', masks: given([[1]]) }), 'the mask of w must have 2 elements, got 1');
  assert.is(refused({ rule: 'sgdm', masks: given([[1, 2]]) }), 'the mask of w must hold only 0 and 1, got 2 at 1');
});

test('the states and gradients that a step starts from are left as they were', () => {
  fc.assert(
    fc.property(variant, vector(natural, SIZE), trajectory, ([rule, hyper], start, gradients) => {
      const optimizer = createOptimizer([tensor(start)], {
        rule,
        hyper: { ...hyper, weightDecay: 0.5 },
        masks: { kind: 'stream', seed: 1 },
      });
      let state = optimizer.init();
      for (const gradient of gradients) {
        const before = structuredClone({ state, gradient });
        const next = optimizer.step(state, [gradient]).state;
        assert.equal({ state, gradient }, before);
        state = next;
      }
    }),
    runs(50),
  );
});

test.run();
