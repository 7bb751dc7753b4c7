import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { clipByGlobalNorm } from './comparators/clipping.ts';
import { gradientCentralization } from './comparators/gradientCentralization.ts';
import { gradientDropout } from './comparators/gradientDropout.ts';
import { gradientNoise } from './comparators/gradientNoise.ts';
import { sparseGradients, sparseUpdates } from './comparators/sparseGradients.ts';
import type { MaskRequest } from './family/resolveMask.ts';
import { createOptimizer } from './optimizer.ts';
import type { OptimizerOptions, OptimizerState, Parameter } from './optimizer.ts';
import { createReplicas, keptObstacle } from './replicas.ts';
import type { ReplicaGradients, Reduction, Replicas, ReplicasState } from './replicas.ts';
import { bits, keepProbability, natural, runs, vector } from './testing/properties.ts';

const test = suite('impl-ref/replicas');

const SHAPES = [[2, 3], [5], [3]] as const;
const SIZES = SHAPES.map((shape) => shape.reduce((a: number, b) => a * b, 1));

/** A run of several replicas: options, and what each brings to each step. */
interface Run {
  readonly options: OptimizerOptions;
  readonly parameters: readonly Parameter[];
  readonly steps: readonly (readonly ReplicaGradients[])[];
}

/** Shares of a batch: whole numbers of rows, some of them 0. */
const weights = (replicas: number): fc.Arbitrary<number[]> =>
  fc
    .array(fc.integer({ min: 0, max: 5 }), { minLength: replicas, maxLength: replicas })
    .filter((rows) => rows.some((n) => n > 0))
    .map((rows) => {
      const total = rows.reduce((sum, n) => sum + n, 0);
      return rows.map((n) => n / total);
    });

const gradientsOf = fc.tuple(
  ...SIZES.map((size) =>
    fc.oneof({ weight: 5, arbitrary: vector(natural, size) }, { weight: 1, arbitrary: fc.constant(null) }),
  ),
);

const stepsOf = (replicas: number): fc.Arbitrary<ReplicaGradients[][]> =>
  fc.array(
    fc
      .tuple(weights(replicas), fc.array(gradientsOf, { minLength: replicas, maxLength: replicas }))
      .map(([shares, all]) => shares.map((weight, r) => ({ weight, gradients: all[r] as (number[] | null)[] }))),
    { minLength: 1, maxLength: 6 },
  );

/** Momentum 0 keeps no buffer: it does not mix with others in one run, in one process as in many. */
const momenta = fc.oneof(
  fc.constant(() => 0),
  fc.constant((step: number) => 0.5 + 0.05 * step),
  fc.constant(() => 0.9),
);

const linearHyper = fc.oneof(
  fc
    .record({ momentum: momenta, dampening: fc.constantFrom(0, 0.25, 1), nesterov: fc.boolean() })
    .map((hyper) => ({ rule: 'sgdm' as const, hyper })),
  fc.record({ window: fc.constantFrom(1, 3) }).map((hyper) => ({ rule: 'sgdm-avg' as const, hyper })),
);

const transformations = fc.subarray([
  gradientDropout(3n, 0.5),
  gradientNoise(3n, 0.1),
  sparseGradients(3n, () => 0.3),
  gradientCentralization(),
]);

const anyRun = (
  rules: fc.Arbitrary<Pick<OptimizerOptions, 'rule' | 'hyper'>>,
): fc.Arbitrary<Run & { replicas: number }> =>
  fc.integer({ min: 1, max: 5 }).chain((replicas) =>
    fc
      .record({
        rule: rules,
        weightDecay: fc.constantFrom(0, 0.01),
        p: keepProbability,
        transformations,
        mask: fc.constantFrom<MaskRequest>({ kind: 'lrd' }, { kind: 'skip-update' }),
        updates: fc.boolean(),
        start: fc.tuple(...SIZES.map((size) => vector(natural, size))),
        steps: stepsOf(replicas),
      })
      .map(({ rule: { rule, hyper }, weightDecay, p, transformations: list, mask, updates, start, steps }) => ({
        replicas,
        options: {
          rule,
          hyper: { learningRate: (step: number) => 0.1 / step, ...hyper, weightDecay },
          keepProbability: p,
          masks: { kind: 'stream', seed: 7n } as const,
          transformations: list,
          mask,
          updateMasks: updates ? [sparseUpdates(3n, () => 0.2)] : [],
        },
        // The last one is excluded, the first a group of its own.
        parameters: SHAPES.map((shape, k) => ({
          name: `w${k}`,
          shape,
          values: start[k] as number[],
          excluded: k === 2,
          ...(k === 0 ? { hyper: { weightDecay: 0.1 } } : {}),
        })),
        steps,
      })),
  );

/** What one process does with the whole batch: its gradients are the weighted sums, one is there if any replica has one. */
function oneProcess({ options, parameters, steps }: Run): OptimizerState {
  const optimizer = createOptimizer(parameters, options);
  return steps.reduce((state, given) => {
    const gradients = SIZES.map((size, k) => {
      const there = given.filter(({ gradients: own }) => own[k] !== null);
      if (there.length === 0) return null;
      return Array.from({ length: size }, (_, i) =>
        there.reduce((sum, { weight, gradients: own }) => sum + weight * (own[k]?.[i] as number), 0),
      );
    });
    return optimizer.step(state, gradients).state;
  }, optimizer.init());
}

function many(
  run: Run & { replicas: number },
  reduction?: Reduction,
): { all: Replicas; state: ReplicasState; sent: number[] } {
  const all = createReplicas(run.parameters, {
    ...run.options,
    replicas: run.replicas,
    ...(reduction === undefined ? {} : { reduction }),
  });
  const sent: number[] = [];
  const state = run.steps.reduce((before, given) => {
    const result = all.step(before, given);
    const kept = result.report.masks.reduce((sum, mask) => sum + (mask?.reduce((a, b) => a + b, 0) ?? 0), 0);
    const present = result.report.masks.reduce((sum, mask) => sum + (mask?.length ?? 0), 0);
    assert.is(result.sent, all.reduction === 'kept' ? kept : present);
    sent.push(result.sent);
    return result.state;
  }, all.init());
  return { all, state, sent };
}

/** All values and state of a run; the largest is the scale of its rounding errors. */
const numbersOf = (state: OptimizerState): number[] =>
  state.tensors.flatMap(({ values, slots }) => [...values, ...Object.values(slots).flatMap((slot) => [...slot])]);

function assertEqualButForRounding(got: OptimizerState, expected: OptimizerState, tolerance: number): void {
  assert.is(got.step, expected.step);
  assert.equal(
    got.tensors.map(({ count, slots }) => [count, Object.keys(slots)]),
    expected.tensors.map(({ count, slots }) => [count, Object.keys(slots)]),
  );
  const [a, b] = [numbersOf(got), numbersOf(expected)];
  const scale = b.reduce((largest, x) => Math.max(largest, Math.abs(x)), 1);
  a.forEach((x, i) => {
    if (!(Math.abs(x - (b[i] as number)) <= tolerance * scale)) {
      assert.unreachable(`number ${i} must be ${b[i]} within ${tolerance * scale}, got ${x}`);
    }
  });
}

/** Values, counts and steps are the same bits everywhere. */
function assertReplicated(state: ReplicasState): void {
  for (const replica of state) {
    assert.is(replica.step, state[0]?.step);
    replica.tensors.forEach(({ values, count }, k) => {
      assert.is(count, state[0]?.tensors[k]?.count);
      assert.equal(bits(values), bits(state[0]?.tensors[k]?.values ?? []));
    });
  }
}

test('[LRD-DIST-001] [LRD-DIST-003] replicas that reduce only kept coordinates equal one process on the whole batch', () => {
  fc.assert(
    fc.property(anyRun(linearHyper), (run) => {
      const { all, state } = many(run);
      assert.is(all.reduction, 'kept');
      // 6 steps of at most 40 roundings and 5 summands each: 240 * 2^-53 = 2.7e-14 of the largest number on the way.
      assertEqualButForRounding(all.merge(state), oneProcess(run), 1e-12);
    }),
    runs(300),
  );
});

test('[LRD-DIST-001] replicas that reduce the whole gradient equal one process, whatever the rule', () => {
  const rules = fc.constantFrom(
    { rule: 'sgdm' as const, hyper: {} },
    { rule: 'adam' as const, hyper: {} },
    { rule: 'adamw' as const, hyper: {} },
    { rule: 'amsgrad' as const, hyper: {} },
    { rule: 'rmsprop' as const, hyper: { momentum: 0.5, centered: true } },
  );
  fc.assert(
    fc.property(anyRun(rules), (run) => {
      // An adaptive step divides by the root of what may be a rounding error: gradients that cancel are kept apart by epsilon.
      const options = {
        ...run.options,
        hyper: { ...run.options.hyper, ...(run.options.rule === 'sgdm' ? {} : { epsilon: 1 }) },
      };
      const { all, state } = many({ ...run, options }, 'whole');
      assert.is(all.reduction, 'whole');
      assertEqualButForRounding(all.merge(state), oneProcess({ ...run, options }), 1e-12);
    }),
    runs(200),
  );
});

test('[LRD-DIST-002] all replicas hold the same bits after every step, and nobody sent a mask', () => {
  fc.assert(
    fc.property(anyRun(linearHyper), fc.constantFrom<Reduction>('kept', 'whole'), (run, reduction) => {
      assertReplicated(many(run, reduction).state);
    }),
    runs(100),
  );
});

test('[LRD-DIST-005] what travels is the kept coordinates: p of the parameters, excluded ones whole', () => {
  const size = 20_000;
  const parameters = [
    { name: 'w', shape: [size], values: new Float64Array(size) },
    { name: 'b', shape: [10], values: new Float64Array(10), excluded: true },
  ];
  const gradients = [new Float64Array(size).fill(1), new Float64Array(10).fill(1)];
  for (const p of [0.1, 0.3, 0.5]) {
    const all = createReplicas(parameters, {
      rule: 'sgdm',
      keepProbability: p,
      masks: { kind: 'stream', seed: 1n },
      replicas: 2,
    });
    const { sent } = all.step(
      all.init(),
      [0, 1].map(() => ({ weight: 0.5, gradients })),
    );
    // Six deviations of a binomial.
    assert.ok(Math.abs(sent - 10 - p * size) <= 6 * Math.sqrt(size * p * (1 - p)), `${sent} at p = ${p}`);
  }
});

test('[LRD-DIST-004] a tensor with a gradient on one replica has one on all: its count, its L2 and its first step are global', () => {
  const parameters = [{ name: 'w', shape: [1], values: [2] }];
  const options = {
    rule: 'sgdm',
    hyper: { learningRate: 0.5, momentum: 0.5, dampening: 0.5, weightDecay: 0.25 },
    keepProbability: null,
  } as const;
  const all = createReplicas(parameters, { ...options, replicas: 2 });
  const first = all.step(all.init(), [
    { weight: 0.25, gradients: [null] },
    { weight: 0.75, gradients: [[4]] },
  ]).state;
  // buf = .75 * 4 + .25 * 2 = 3.5, undampened; theta = 2 - .5 * 3.5.
  assert.equal(
    first.map(({ tensors }) => tensors[0]?.count),
    [1, 1],
  );
  assert.equal(
    first.map(({ tensors }) => tensors[0]?.values[0]),
    [0.25, 0.25],
  );
  // The other way round, the second gradient is dampened on both: buf = .5 * 3.5 + .5 * (.5 * 2 + .25 * .25).
  const second = all.step(first, [
    { weight: 0.5, gradients: [[2]] },
    { weight: 0.5, gradients: [null] },
  ]).state;
  assert.is(all.merge(second).tensors[0]?.slots['buf']?.[0], 2.28125);
  // Nobody has one: everything stands still.
  const third = all.step(second, [
    { weight: 0.5, gradients: [null] },
    { weight: 0.5, gradients: [null] },
  ]);
  assert.is(third.sent, 0);
  assert.equal(
    third.state.map(({ tensors }) => tensors[0]),
    second.map(({ tensors }) => tensors[0]),
  );
});

test('[LRD-DIST-003] weights belong inside the buffers: at the reduction they would be wrong for uneven batches', () => {
  const parameters = [{ name: 'w', shape: [1], values: [0] }];
  const options = { rule: 'sgdm', hyper: { learningRate: 1, momentum: 0.5 }, keepProbability: null } as const;
  const all = createReplicas(parameters, { ...options, replicas: 2 });
  let state = all.init();
  ({ state } = all.step(state, [
    { weight: 0.5, gradients: [[8]] },
    { weight: 0.5, gradients: [[0]] },
  ]));
  ({ state } = all.step(state, [
    { weight: 0.25, gradients: [[0]] },
    { weight: 0.75, gradients: [[0]] },
  ]));
  // buf = 4, then 2. Weighted at the reduction it would be .25 * (.5 * 8) = 1.
  assert.is(state[0]?.tensors[0]?.values[0], -6);
});

test('[LRD-DIST-007] gradient noise comes once, not once a replica', () => {
  const parameters = [{ name: 'w', shape: [5], values: [0, 0, 0, 0, 0] }];
  const options = {
    rule: 'sgdm',
    hyper: { learningRate: 1 },
    keepProbability: null,
    transformations: [gradientNoise(9n, 1)],
  } as const;
  const zeros = { gradients: [[0, 0, 0, 0, 0]] };
  const one = createOptimizer(parameters, options);
  const expected = one.step(one.init(), zeros.gradients).state;
  for (const reduction of ['kept', 'whole'] as const) {
    const all = createReplicas(parameters, { ...options, replicas: 4, reduction });
    const { state } = all.step(
      all.init(),
      [0, 1, 2, 3].map(() => ({ ...zeros, weight: 0.25 })),
    );
    assertEqualButForRounding(all.merge(state), expected, 1e-15);
  }
});

test('[LRD-DIST-006] clipping and second moments need the whole gradient, and the reason is said', () => {
  assert.is(keptObstacle({ rule: 'sgdm' }), undefined);
  assert.is(keptObstacle({ rule: 'sgdm-avg', transformations: [gradientDropout(1n, 0.5)] }), undefined);
  assert.is(keptObstacle({ rule: 'adam' }), 'the second moment of adam is not linear in the gradient');
  assert.is(keptObstacle({ rule: 'sgdm', mask: { kind: 'skip-update' } }), undefined);
  for (const kind of ['magma', 'cautious'] as const) {
    assert.is(keptObstacle({ rule: 'sgdm', mask: { kind } }), `the mask of ${kind} depends on the whole gradient`);
  }
  const clipped = { rule: 'sgdm', transformations: [clipByGlobalNorm(1)] } as const;
  assert.is(keptObstacle(clipped), 'clipByGlobalNorm needs the whole gradient');
  assert.is(createReplicas([], { ...clipped, replicas: 2 }).reduction, 'whole');
  assert.throws(
    () => createReplicas([], { ...clipped, replicas: 2, reduction: 'kept' }),
    /^reduction must be whole: clipByGlobalNorm needs the whole gradient$/,
  );
});

test('[LRD-DIST-008] shares resume to the same bits; another number of replicas takes up their sum', () => {
  fc.assert(
    fc.property(anyRun(linearHyper), fc.integer({ min: 1, max: 4 }), (run, other) => {
      const half = Math.floor(run.steps.length / 2);
      const whole = many(run).state;
      const { all, state } = many({ ...run, steps: run.steps.slice(0, half) });
      const resumed = run.steps
        .slice(half)
        .reduce((before, given) => all.step(before, given).state, structuredClone(state));
      assert.equal(
        resumed.map((replica) => bits(numbersOf(replica))),
        whole.map((replica) => bits(numbersOf(replica))),
      );
      // One of the new replicas has all rows: the union of the batch is what it was.
      const others = createReplicas(run.parameters, { ...run.options, replicas: other });
      const taken = run.steps.slice(half).reduce(
        (before, given) => {
          const gradients = SIZES.map((size, k) => {
            const there = given.filter(({ gradients: own }) => own[k] !== null);
            if (there.length === 0) return null;
            return Array.from({ length: size }, (_, i) =>
              there.reduce((sum, { weight, gradients: own }) => sum + weight * (own[k]?.[i] as number), 0),
            );
          });
          const nothing = SIZES.map(() => null);
          return others.step(
            before,
            Array.from({ length: other }, (_, r) => ({
              weight: r === 0 ? 1 : 0,
              gradients: r === 0 ? gradients : nothing,
            })),
          ).state;
        },
        others.split(all.merge(state)),
      );
      assertEqualButForRounding(others.merge(taken), oneProcess(run), 1e-12);
    }),
    runs(100),
  );
});

test('wrong weights and numbers of replicas are refused in one line', () => {
  const parameters = [{ name: 'w', shape: [1], values: [0] }];
  assert.throws(
    () => createReplicas(parameters, { rule: 'sgdm', replicas: 0 }),
    /^replicas must be a whole number of at least 1, got 0$/,
  );
  const all = createReplicas(parameters, { rule: 'sgdm', keepProbability: null, replicas: 2 });
  const give =
    (...shares: number[]) =>
    () =>
      all.step(
        all.init(),
        shares.map((weight) => ({ weight, gradients: [[1]] })),
      );
  assert.throws(give(1), /^given must have 2 replicas, got 1$/);
  assert.throws(give(0.5, 0.25), /^weights must sum to 1 over the replicas, got 0.75$/);
  assert.throws(give(1.5, -0.5), /^weight must be in \[0, 1\], got 1.5$/);
});

test.run();
