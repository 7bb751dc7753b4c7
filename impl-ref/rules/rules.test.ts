import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import type { RuleName } from '../../spec/rules.ts';
import { createOptimizer } from '../optimizer.ts';
import { readVectors } from '../testing/vectors.ts';
import { rectification } from './radam.ts';
import { ringBytes } from './sgdmAvg.ts';

const test = suite('impl-ref/rules');

interface TorchCase {
  readonly rule: RuleName;
  readonly hyper: Readonly<Record<string, number | boolean>>;
  readonly start: readonly number[];
  readonly gradients: readonly (readonly number[])[];
  readonly values: readonly (readonly number[])[];
}
const { cases } = readVectors('pytorch.json') as {
  cases: readonly TorchCase[];
};

const ids: Readonly<Record<RuleName, string>> = {
  sgdm: '[LRD-RULE-001]',
  'sgdm-avg': '[LRD-RULE-002]',
  rmsprop: '[LRD-RULE-003]',
  adam: '[LRD-RULE-004]',
  amsgrad: '[LRD-RULE-006]',
  radam: '[LRD-RULE-007]',
  adamw: '[LRD-RULE-008]',
};

for (const [index, { rule, hyper, start, gradients, values }] of cases.entries()) {
  test(`${ids[rule]} [LRD-ALG-004] ${rule} ${JSON.stringify(hyper)} follows PyTorch over 40 steps (case ${index})`, () => {
    // pow differs by an ulp between C and V8, which RAdam's rectification amplifies.
    const bound = rule === 'radam' ? 1e-12 : 1e-14;
    const optimizer = createOptimizer([{ name: 'w', shape: [start.length], values: start }], {
      rule,
      hyper,
      keepProbability: null,
    });
    let state = optimizer.init();
    const travelled = start.map(() => 0);
    for (const [t, gradient] of gradients.entries()) {
      const { state: next, report } = optimizer.step(state, [gradient]);
      state = next;
      state.tensors[0]?.values.forEach((w, i) => {
        const step = (report.learningRates[0] as number) * (report.deltaW[0]?.[i] as number);
        travelled[i] = (travelled[i] as number) + Math.abs(step);
        const expected = values[t]?.[i] as number;
        const error = Math.abs(w - expected) / (Math.abs(expected) + travelled[i]);
        assert.ok(w === expected || error <= bound, `step ${t + 1}, element ${i}: ${w} and ${expected}, ${error}`);
      });
    }
  });
}

const one = (
  rule: RuleName,
  hyper: Record<string, number | string | boolean>,
  gradients: readonly number[],
): number[] => {
  const optimizer = createOptimizer([{ name: 'w', shape: [1], values: [0] }], { rule, hyper, keepProbability: null });
  let state = optimizer.init();
  return gradients.map((g) => {
    const result = optimizer.step(state, [[g]]);
    state = result.state;
    return result.report.deltaW[0]?.[0] as number;
  });
};
const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) <= 4e-16 * Math.abs(b), `${a} and ${b}`);

test('[LRD-EQ-010] [LRD-RULE-002] [LRD-ALG-005] the averaging rule ramps up over its window, then forgets', () => {
  assert.equal(one('sgdm-avg', { window: 4 }, [4, 8, 0, 0, 0, 0, 12]), [1, 3, 3, 3, 2, 0, 3]);
  assert.is(ringBytes(500, 1000), 4_000_000);
});

test('[LRD-RULE-001] [LRD-ALG-005] SGDM sums: 1, 1.9, 2.71 under a constant gradient; dampening spares the first step', () => {
  assert.equal(one('sgdm', {}, [1, 1, 1]), [1, 1.9, 2.71]);
  assert.equal(one('sgdm', { dampening: 0.5, momentum: 0.5 }, [2, 2, 2]), [2, 2, 2]);
  assert.equal(one('sgdm', { dampening: 1, momentum: 0.5 }, [2, 2, 2]), [2, 1, 0.5]);
  assert.equal(one('sgdm', { nesterov: true, momentum: 0.5 }, [2, 2]), [3, 3.5]);
  assert.equal(one('sgdm', { momentum: 0, dampening: 1 }, [2, 3]), [2, 3]);
});

test('[LRD-RULE-003] RMSprop by hand: epsilon outside and inside the root, centered, with momentum', () => {
  near(one('rmsprop', { rho: 0.75, epsilon: 1 }, [2])[0] as number, 2 / (1 + 1));
  near(one('rmsprop', { rho: 0.75, epsilon: 3, epsilonPlacement: 'inside' }, [2])[0] as number, 2 / 2);
  near(one('rmsprop', { rho: 0.75, epsilon: 1, centered: true }, [2])[0] as number, 2 / (Math.sqrt(1 - 0.25) + 1));
  assert.equal(one('rmsprop', { rho: 0, epsilon: 1, momentum: 0.5 }, [1, 1]), [0.5, 0.75]);
  assert.equal(one('rmsprop', { rho: 0, epsilon: 1e-8, centered: true }, [1 / 3]), [1 / 3 / 1e-8]);
});

test('[LRD-RULE-004] [LRD-RULE-005] where epsilon is added decides the first step at g = 1e-6: .990 or .760 of alpha', () => {
  near(one('adam', {}, [1e-6])[0] as number, 1e-6 / (1e-6 + 1e-8));
  const hat = one('adam', { epsilonMode: 'hat' }, [1e-6])[0] as number;
  assert.ok(Math.abs(hat - 0.7597469266479578) < 1e-12, String(hat));
});

test("[LRD-RULE-006] AMSGrad's epsilon beside the root before its correction, as Keras has it", () => {
  const gradients = [1e-6, 3e-6, 1e-6];
  const m = gradients.reduce((a, g) => 0.9 * a + 0.1 * g, 0);
  const v2 = 0.999 * 0.001 * 1e-12 + 0.001 * 9e-12;
  const v3 = 0.999 * v2 + 0.001 * 1e-12;
  // keras/src/optimizers/adam.py: alpha = sqrt(1 - beta2^t) / (1 - beta1^t), m alpha / (sqrt(vhat) + epsilon).
  const keras = (m * Math.sqrt(1 - 0.999 ** 3)) / (1 - 0.9 ** 3) / (Math.sqrt(Math.max(v2, v3)) + 1e-8);
  const got = one('amsgrad', { epsilonMode: 'hat' }, gradients).at(-1) ?? NaN;
  assert.ok(Math.abs(got - keras) < 1e-12 * keras, `${got} instead of ${keras}`);
  const uncorrected = one('amsgrad', { maxOf: 'uncorrected' }, gradients).at(-1);
  assert.is(one('amsgrad', { maxOf: 'uncorrected', epsilonMode: 'hat' }, gradients).at(-1), uncorrected);
});

test('[LRD-RULE-006] the three forms of AMSGrad differ after a large gradient has passed', () => {
  const gradients = [1, 100, 1, 1, 1, 1];
  const forms = ['raw', 'corrected', 'uncorrected'].map((maxOf) => one('amsgrad', { maxOf }, gradients).at(-1));
  const [raw, corrected, uncorrected] = forms as [number, number, number];
  assert.ok(raw !== corrected && corrected !== uncorrected && raw !== uncorrected);
  // By hand, with v after the second step: (.999 * .001 * 1 + .001 * 1e4).
  const m = gradients.reduce((a, g) => 0.9 * a + 0.1 * g, 0);
  const v = 0.999 * 0.001 + 0.001 * 1e4;
  assert.ok(Math.abs(uncorrected - m / (Math.sqrt(v) + 1e-8)) < 1e-12);
  assert.ok(Math.abs(raw - m / (1 - 0.9 ** 6) / (Math.sqrt(v / (1 - 0.999 ** 6)) + 1e-8)) < 1e-12);
  assert.ok(Math.abs(corrected - m / (1 - 0.9 ** 6) / (Math.sqrt(v / (1 - 0.999 ** 2)) + 1e-8)) < 1e-12);
});

test('[LRD-RULE-007] RAdam rectifies from step 5 in the paper, from step 6 in all code, never at small beta2', () => {
  const first = (variant: string, beta2: number): number | undefined =>
    [...Array(50).keys()].find((t) => rectification(t + 1, beta2, variant).rectified);
  assert.equal(
    ['paper', 'original', 'torch'].map((variant) => first(variant, 0.999)),
    [4, 5, 5],
  );
  assert.equal(
    ['paper', 'original', 'torch'].map((variant) => first(variant, 0.5)),
    [undefined, undefined, undefined],
  );
  const at5 = rectification(5, 0.999, 'paper');
  assert.ok(at5.rectified && Math.abs(at5.factor - 0.0173) < 5e-5);
});

test('[LRD-RULE-009] RAdam is linear in the gradient before it rectifies, and does not see its scale from then on', () => {
  const gradients = [1, -2, 3, 0.5, 1, 2, -1, 4];
  const plain = one('radam', { epsilon: 1e-300 }, gradients);
  const scaled = one(
    'radam',
    { epsilon: 1e-300 },
    gradients.map((g) => 8 * g),
  );
  assert.equal(
    scaled,
    plain.map((d, t) => (t < 5 ? 8 * d : d)),
  );
});

test('[LRD-RULE-007] at rho_t = 5 only the original rectifies, at rho_t = 4 not even the paper', () => {
  // Found by bisection: float64 makes rho exactly 5, and exactly 4, here.
  const at5 = ['torch', 'original', 'paper'].map((variant) => rectification(6, 0.8397685748659791, variant).rectified);
  assert.equal(at5, [false, true, true]);
  const at4 = ['torch', 'original', 'paper'].map((variant) => rectification(5, 0.7733030257306823, variant));
  assert.equal(at4, [{ rectified: false }, { rectified: false }, { rectified: false }]);
});

test('a rule keeps only the state that its configuration needs', () => {
  const names = (rule: RuleName, hyper: Record<string, number | boolean>): string => {
    const optimizer = createOptimizer([{ name: 'w', shape: [1], values: [0] }], { rule, hyper, keepProbability: null });
    return Object.keys(optimizer.step(optimizer.init(), [[1]]).state.tensors[0]?.slots ?? {}).join();
  };
  assert.is(names('sgdm', { momentum: 0 }), '');
  assert.is(names('sgdm', {}), 'buf');
  assert.is(names('rmsprop', {}), 'v');
  assert.is(names('rmsprop', { momentum: 0.5 }), 'v,buf');
  assert.is(names('rmsprop', { centered: true }), 'v,gavg');
  assert.is(names('amsgrad', {}), 'm,v,vmax');
});

test('[LRD-RULE-001] the first gradient replaces whatever buffer a state brings along', () => {
  const optimizer = createOptimizer([{ name: 'w', shape: [1], values: [0] }], { rule: 'sgdm', keepProbability: null });
  const { report } = optimizer.step(optimizer.init({ firstStep: 1, state: { buf: [[100]] } }), [[2]]);
  assert.equal(report.deltaW[0], Float64Array.of(2));
});

test('[LRD-RULE-002] the window cannot change while the state lasts', () => {
  const optimizer = createOptimizer([{ name: 'w', shape: [2], values: [0, 0] }], {
    rule: 'sgdm-avg',
    hyper: { window: (step) => (step === 1 ? 3 : 4) },
    keepProbability: null,
  });
  const { state } = optimizer.step(optimizer.init(), [[1, 1]]);
  assert.throws(
    () => optimizer.step(state, [[1, 1]]),
    /^window must stay what it was \(3\) while the state lasts, got 4$/,
  );
});

test.run();
