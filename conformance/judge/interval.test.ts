import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import { BASE_RULES } from 'learning-rate-dropout/ref';
import type { HyperOf } from 'learning-rate-dropout/ref';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { defaultsOf } from '../protocol/expand.ts';
import { hyperOf, ordinary } from './arbitrary.ts';
import { expectedStep, machineOf, scalarsOf } from './expected.ts';
import { ANYTHING, FLOAT32, FLOAT64, WGSL, arithmeticOf, contains, point } from './interval.ts';

const test = suite('conformance/judge/interval');
const options = { seed: Number(process.env['LRD_SEED'] ?? 11), numRuns: 500, includeErrorInReport: true };

const { fround } = Math;
const float = fc.float({ noNaN: true, noDefaultInfinity: true });

test('what float32 gives lies in its intervals, fused or not', () => {
  const a = arithmeticOf(FLOAT32);
  const in32 = (x: number): boolean => Number.isFinite(fround(x));
  fc.assert(
    fc.property(float, float, float, (x, y, z) => {
      const [p, q, r] = [a.exact(x), a.exact(y), a.exact(z)];
      assert.ok(contains(a.add(p, q), fround(x + y)) || !in32(x + y));
      assert.ok(contains(a.mul(p, q), fround(x * y)) || !in32(x * y));
      if (y !== 0) assert.ok(contains(a.div(p, q), fround(x / y)) || !in32(x / y));
      if (x >= 0) assert.ok(contains(a.sqrt(p), fround(Math.sqrt(x))));
      const sum = a.add(a.mul(p, q), r);
      if (in32(x * y)) assert.ok(contains(sum, fround(fround(x * y) + z)) || !in32(fround(x * y) + z));
      assert.ok(contains(sum, fround(x * y + z)) || !in32(x * y + z));
    }),
    options,
  );
});

test('intervals are as narrow as they claim: two ULPs beside the true value is outside', () => {
  const a = arithmeticOf(FLOAT32);
  fc.assert(
    fc.property(ordinary, ordinary, (x, y) => {
      const product = x * y;
      const ulp = 2 ** (Math.floor(Math.log2(Math.abs(product))) - 23);
      const interval = a.mul(a.exact(x), a.exact(y));
      assert.not(contains(interval, product + 3 * ulp));
      assert.not(contains(interval, product - 3 * ulp));
    }),
    options,
  );
});

test('zeros are exact, overflow and NaN are anything, WGSL may flush', () => {
  const [a, w, d] = [arithmeticOf(FLOAT32), arithmeticOf(WGSL), arithmeticOf(FLOAT64)];
  assert.equal(a.sqrt(point(0)), { lo: 0, hi: 0 });
  assert.equal(a.mul(point(0), point(3)), { lo: 0, hi: 0 });
  assert.equal(a.add(point(0.1), point(0)), { lo: 0.1, hi: 0.1 });
  assert.is(a.mul(point(1e30), point(1e30)), ANYTHING);
  assert.is(a.exact(Number.NaN), ANYTHING);
  assert.ok(contains(ANYTHING, Number.NaN));
  assert.not(contains(point(1), Number.NaN));
  assert.is(a.div(point(1), { lo: -1, hi: 1 }), ANYTHING);
  assert.ok(contains(w.exact(2 ** -130), 0));
  assert.not(contains(a.exact(2 ** -130), 0));
  assert.ok(contains(w.mul(point(2 ** -70), point(2 ** -70)), 0));
  assert.ok(d.mul(point(1e200), point(1e100)).hi > 1e300);
});

for (const rule of Object.keys(RULES) as RuleName[]) {
  test(`${rule}: the reference's step lies in the interval, and the interval is narrow`, () => {
    if (rule === 'sgdm-avg') return;
    const machine = machineOf({ precision: 'float64', features: [] });
    fc.assert(
      fc.property(
        hyperOf(rule),
        ordinary,
        ordinary,
        ordinary,
        ordinary,
        fc.integer({ min: 1, max: 30 }),
        (given, theta, g, m, v, count) => {
          const hyper = { ...defaultsOf(rule), ...given };
          const slots = { buf: m, m, gavg: m / 64, v: Math.abs(v), vmax: Math.abs(v) };
          const { learningRate, weightDecay } = hyper as { learningRate: number; weightDecay: number };
          const coupled = RULES[rule].decay === 'coupled';
          const arrays = Object.fromEntries(Object.entries(slots).map(([name, x]) => [name, Float64Array.of(x)]));
          const run = BASE_RULES[rule] as (
            g: Float64Array,
            s: typeof arrays,
            t: number,
            h: HyperOf<RuleName>,
          ) => { deltaW: Float64Array };
          const total = coupled ? g + weightDecay * theta : g;
          const delta =
            (run(Float64Array.of(total), arrays, count, hyper as never).deltaW[0] as number) +
            (coupled ? 0 : weightDecay * theta);
          const expected = theta - learningRate * delta;
          const { parameter } = expectedStep(machine, scalarsOf(machine, rule, hyper, count), point(theta), point(g), {
            slots: Object.fromEntries(Object.entries(slots).map(([name, x]) => [name, point(x)])),
            history: [],
          });
          assert.ok(contains(parameter, expected), `${expected} is outside [${parameter.lo}, ${parameter.hi}]`);
          if (hyper['centered'] === true) return;
          const scale = Math.abs(theta) + Math.abs(learningRate * delta);
          // The rectifier of RAdam subtracts numbers of a size of 2000 that agree in all but a few digits.
          const narrow = rule === 'radam' ? 1e-8 : 1e-11;
          assert.ok(parameter.hi - parameter.lo < narrow * scale, `width ${parameter.hi - parameter.lo} at ${scale}`);
        },
      ),
      { ...options, numRuns: 200 },
    );
  });
}

test.run();
