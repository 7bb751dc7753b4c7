import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { createOptimizer } from './optimizer.ts';
import { natural, runs, vector } from './testing/properties.ts';
import { keepProbabilityGradient, trainKeepProbability } from './trainedKeepProbability.ts';
import type { TrainedKeepProbabilityOptions, TrainedState } from './trainedKeepProbability.ts';

const test = suite('impl-ref/trainedKeepProbability');
const N = 3;
const SUBSETS = Array.from({ length: 2 ** N }, (_, s) => Array.from({ length: N }, (__, i) => (s >> i) & 1));

/** The expectation over all masks of a function of the parameters that a step leads to. */
function expectation(theta: number[], step: number[], p: number, f: (w: number[]) => number): number {
  return SUBSETS.reduce((sum, mask) => {
    const probability = mask.reduce((product: number, d) => product * (d === 1 ? p : 1 - p), 1);
    return sum + probability * f(theta.map((w, i) => w - (mask[i] as number) * (step[i] as number)));
  }, 0);
}

const moderate = fc.double({ min: -2, max: 2, noNaN: true });

test('[LRD-TRAIN-001] the expected parameters are linear in p with slope -alpha deltaW', () => {
  fc.assert(
    fc.property(vector(moderate, N), vector(moderate, N), (theta, deltaW) => {
      const step = deltaW.map((d) => 0.1 * d);
      for (let i = 0; i < N; i++) {
        const mean = (p: number): number => expectation(theta, step, p, (w) => w[i] as number);
        for (const [p, q] of [
          [0, 1],
          [0.2, 0.7],
        ] as const) {
          assert.ok(Math.abs((mean(q) - mean(p)) / (q - p) + (step[i] as number)) < 1e-13);
        }
      }
    }),
    runs(100),
  );
});

/** A quadratic f(w) = w A w / 2 + b w with symmetric A of either sign. */
function quadratic(
  entries: number[],
  b: number[],
): { f: (w: number[]) => number; gradient: (w: number[]) => number[]; A: number[][] } {
  const at = [
    [0, 1, 2],
    [1, 3, 4],
    [2, 4, 5],
  ];
  const A = at.map((row) => row.map((k) => entries[k] as number));
  const product = (w: number[]): number[] => A.map((row) => row.reduce((sum, a, j) => sum + a * (w[j] as number), 0));
  return {
    A,
    f: (w) => product(w).reduce((sum, x, i) => sum + (w[i] as number) * (x / 2 + (b[i] as number)), 0),
    gradient: (w) => product(w).map((x, i) => x + (b[i] as number)),
  };
}

test("[LRD-TRAIN-002] on a quadratic the derivative exceeds the estimate's expectation by alpha^2 (1 - 2p)/2 sum H_ii deltaW_i^2", () => {
  fc.assert(
    fc.property(
      vector(moderate, 6),
      vector(moderate, N),
      vector(moderate, N),
      vector(moderate, N),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (entries, b, theta, deltaW, p) => {
        const alpha = 0.3;
        const { f, gradient, A } = quadratic(entries, b);
        const step = deltaW.map((d) => alpha * d);
        const estimate = expectation(theta, step, p, (w) =>
          keepProbabilityGradient(Float64Array.from(gradient(w)), Float64Array.from(deltaW), alpha),
        );
        // E f is a polynomial of degree two at most in p here: a central difference has no error but rounding.
        const h = 0.25;
        const value = (q: number): number => expectation(theta, step, q, f);
        const derivative = (value(p + h) - value(p - h)) / (2 * h);
        const curvature = deltaW.reduce((sum, d, i) => sum + (A[i]?.[i] as number) * d * d, 0);
        const bias = (alpha ** 2 * (1 - 2 * p) * curvature) / 2;
        assert.ok(Math.abs(derivative - (estimate + bias)) < 1e-12, `${derivative} and ${estimate} + ${bias}`);
      },
    ),
    runs(200),
  );
});

test('[LRD-TRAIN-002] the estimate is -alpha times the inner product', () => {
  assert.is(keepProbabilityGradient(Float64Array.of(1, 2), Float64Array.of(3, 4), 0.5), -5.5);
});

interface Problem {
  readonly start: number[];
  readonly gradient: (w: readonly number[]) => number[];
  readonly learningRate: number;
}

/** Plain SGD from `start` with a trained p, and how p went. */
function train(problem: Problem, options: TrainedKeepProbabilityOptions, steps: number): number[] {
  const optimizer = createOptimizer([{ name: 'w', shape: [problem.start.length], values: problem.start }], {
    rule: 'sgdm',
    hyper: { momentum: 0, learningRate: problem.learningRate },
    masks: { kind: 'stream', seed: 17 },
  });
  const trained = trainKeepProbability(optimizer, 1, options);
  let state = trained.init();
  const history = [state.keepProbabilities[0] as number];
  for (let t = 0; t < steps; t++) {
    const w = Array.from(state.optimizer.tensors[0]?.values ?? []);
    ({ state } = trained.step(state, [problem.gradient(w)]));
    history.push(state.keepProbabilities[0] as number);
  }
  return history;
}

/** A slope: every update helps, so p rises. */
const slope: Problem = { start: [0, 0], gradient: () => [1, -2], learningRate: 0.1 };
/** 400 separate parabolas, curvature 1, learning rate 2.5: a full step lands 1.5 times as far on the other side, so p should fall. */
const overshoot: Problem = {
  start: Array.from({ length: 400 }, () => 1),
  gradient: (w) => [...w],
  learningRate: 2.5,
};
/** (sum w)^2 / 2 in eight dimensions: together the coordinates go twice too far, so p falls from above 1/2; alone, too short. */
const coupled: Problem = {
  start: Array.from({ length: 8 }, () => 1),
  gradient: (w) => w.map(() => w.reduce((a, b) => a + b, 0)),
  learningRate: 0.25,
};

test('[LRD-TRAIN-003] on a slope p rises to its upper bound and no further; in ascent it falls to the lower', () => {
  const up = train(slope, { rate: 0.1, initial: 0.3, maximum: 0.9 }, 40);
  assert.is(up[1], 0.3);
  for (let t = 1; t < up.length; t++) assert.ok((up[t] as number) >= (up[t - 1] as number));
  assert.is(up.at(-1), 0.9);
  // The second step knows the first one: p moves by rate alpha |g|^2.
  assert.ok(Math.abs((up[2] as number) - (0.3 + 0.1 * 0.1 * 5)) < 1e-15);
  const down = train(slope, { rate: 0.1, initial: 0.3, minimum: 0.2, sign: 'ascent' }, 40);
  assert.is(down.at(-1), 0.2);
});

test('[LRD-TRAIN-003] where full steps overshoot p falls, with each step', () => {
  const p = train(overshoot, { rate: 2e-5, initial: 0.9 }, 6);
  for (let t = 2; t < p.length; t++) assert.ok((p[t] as number) < (p[t - 1] as number), p.join(' '));
  const q = train(coupled, { rate: 0.002, initial: 0.95 }, 12);
  assert.ok((q.at(-1) ?? 1) < 0.8, q.join(' '));
});

test('[LRD-TRAIN-002] the bias shows: where each update does harm, p rises from below 2/5, which is wrong', () => {
  // In expectation alpha w^2 (1.5 p - (1 - p)): negative below .4, while the loss, (1 - p) + 2.25 p, rises with every p.
  const p = train(overshoot, { rate: 2e-5, initial: 0.2 }, 4);
  assert.ok((p.at(-1) ?? 0) > 0.2, p.join(' '));
});

test('[LRD-TRAIN-003] p rises from where the steps are too short, on the problem on which it falls from above', () => {
  const q = train(coupled, { rate: 0.002, initial: 0.1 }, 12);
  assert.ok((q.at(-1) ?? 0) > 0.15, q.join(' '));
});

test('[LRD-TRAIN-003] rate 0 leaves p and the run alone', () => {
  assert.ok(train(coupled, { rate: 0, initial: 0.5 }, 5).every((p) => p === 0.5));
});

function twoGroups(scope: TrainedKeepProbabilityOptions['scope']): {
  states: TrainedState[];
  step: (state: TrainedState, g: (number[] | null)[]) => TrainedState;
} {
  const optimizer = createOptimizer(
    [
      { name: 'a', shape: [2], values: [1, 1] },
      { name: 'b', shape: [1], values: [1] },
    ],
    { rule: 'sgdm', hyper: { learningRate: 0.1 }, masks: { kind: 'stream', seed: 4 } },
  );
  const trained = trainKeepProbability(optimizer, 2, { rate: 0.1, ...(scope === undefined ? {} : { scope }) });
  return { states: [trained.init()], step: (state, g) => trained.step(state, g).state };
}

test('[LRD-TRAIN-003] each group has a p of its own; a tensor without a gradient says nothing', () => {
  const { states, step } = twoGroups([1, 0]);
  let state = step(states[0] as TrainedState, [[1, 1], [1]]);
  state = step(state, [[1, 0], [-2]]);
  assert.equal(
    state.keepProbabilities.map((p) => Math.round(p * 1e12) / 1e12),
    [0.48, 0.51],
  );
  const silent = step(state, [null, [0]]);
  assert.equal(silent.keepProbabilities, state.keepProbabilities);
  assert.is(silent.last?.deltaW[0], null);
  const after = step(silent, [[5, 5], [0]]);
  assert.is(after.keepProbabilities[1], silent.keepProbabilities[1]);
});

test('[LRD-TRAIN-003] the global scope sums over all tensors, and the optimizer steps with the p that results', () => {
  const { states, step } = twoGroups(undefined);
  let state = step(states[0] as TrainedState, [[1, 1], [1]]);
  state = step(state, [[1, 0], [-2]]);
  assert.equal(
    state.keepProbabilities.map((p) => Math.round(p * 1e12) / 1e12),
    [0.49],
  );
});

test('[LRD-TRAIN-003] the state is a plain record: a run that went through JSON is the same run', () => {
  fc.assert(
    fc.property(fc.array(vector(natural, 2), { minLength: 2, maxLength: 8 }), fc.nat(8), (gradients, cut) => {
      const optimizer = createOptimizer([{ name: 'w', shape: [2], values: [1, -1] }], {
        rule: 'adam',
        masks: { kind: 'stream', seed: 2 },
      });
      const trained = trainKeepProbability(optimizer, 1, { rate: 10 });
      let straight = trained.init();
      let resumed = trained.init();
      for (const [t, gradient] of gradients.entries()) {
        ({ state: straight } = trained.step(straight, [gradient]));
        if (t === cut) {
          resumed = JSON.parse(
            JSON.stringify(resumed, (_, value: unknown) =>
              value instanceof Float64Array ? { f64: Array.from(value) } : value,
            ),
            (_, value: unknown) =>
              typeof value === 'object' && value !== null && 'f64' in value
                ? Float64Array.from(value.f64 as number[])
                : value,
          ) as TrainedState;
        }
        ({ state: resumed } = trained.step(resumed, [gradient]));
      }
      assert.equal(resumed, straight);
    }),
    runs(50),
  );
});

test('wrong settings are refused in one line', () => {
  const optimizer = createOptimizer([], { rule: 'sgdm', keepProbability: 1 });
  const refused = (options: TrainedKeepProbabilityOptions, tensors = 1): string => {
    try {
      trainKeepProbability(optimizer, tensors, options);
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was refused';
  };
  assert.is(refused({ rate: 1, minimum: 0 }), 'minimum must be in [2^-16, 1], got 0');
  assert.is(refused({ rate: 1, maximum: 2 }), 'maximum must be in [2^-16, 1], got 2');
  assert.is(refused({ rate: 1, initial: 0.01 }), 'initial must be in [minimum, maximum] = [0.05, 1], got 0.01');
  assert.is(
    refused({ rate: 1, initial: 0.9, maximum: 0.8 }),
    'initial must be in [minimum, maximum] = [0.05, 0.8], got 0.9',
  );
  assert.is(refused({ rate: -1 }), 'rate must be a finite number of at least 0, got -1');
  assert.is(refused({ rate: Infinity }), 'rate must be a finite number of at least 0, got Infinity');
  assert.is(refused({ rate: 1, scope: [0] }, 2), 'scope must give each of 2 tensors a group number, got 0');
  assert.is(refused({ rate: 1, scope: [0.5] }), 'scope must give each of 1 tensors a group number, got 0.5');
  assert.is(refused({ rate: 1, scope: [0, 0.5] }, 2), 'scope must give each of 2 tensors a group number, got 0, 0.5');
  assert.is(refused({ rate: 1, scope: [-1] }), 'scope must give each of 1 tensors a group number, got -1');
  assert.is(refused({ rate: 0, scope: [0] }), 'nothing was refused');
  assert.is(refused({ rate: 0, initial: 0.05 }), 'nothing was refused');
  assert.is(refused({ rate: 0, initial: 1 }), 'nothing was refused');
  const { states, step } = twoGroups(undefined);
  const state = step(states[0] as TrainedState, [[1, 1], [1]]);
  assert.throws(() => step(state, [[1, 1]]), /^gradients must have 2 elements, got 1$/);
});

test.run();
