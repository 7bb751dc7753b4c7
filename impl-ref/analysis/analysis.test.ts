import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { createOptimizer } from '../optimizer.ts';
import { natural, runs } from '../testing/properties.ts';
import { accumulatedMomentum, momentumStep } from './accumulation.ts';
import { completeIntervals, hazard, intervalAround } from './intervals.ts';

const test = suite('impl-ref/analysis');
const gradients = fc.array(natural, { minLength: 1, maxLength: 30 });
const beta = fc.constantFrom(0, 0.5, 0.9, 0.99);

test('[LRD-EQ-008] [LRD-EQ-007] the closed form equals the recursion over any run of steps, within its rounding', () => {
  fc.assert(
    fc.property(natural, gradients, beta, fc.constantFrom(1, 0.1), (m, g, b, eta) => {
      const recursion = g.reduce((previous, gradient) => momentumStep(previous, gradient, b, eta), m);
      const size = g.reduce(
        (s, gradient, i) => s + b ** (g.length - 1 - i) * Math.abs(eta * gradient),
        b ** g.length * Math.abs(m),
      );
      const bound = (4 * g.length + 4) * 2 ** -53 * size;
      assert.ok(Math.abs(accumulatedMomentum(m, g, b, eta) - recursion) <= bound);
    }),
    runs(200),
  );
});

test('[LRD-EQ-008] an optimizer whose coordinate is dropped lambda - 1 times holds the closed form, in SGDM and in Adam', () => {
  fc.assert(
    fc.property(gradients, (g) => {
      for (const [rule, slot, b, eta] of [
        ['sgdm', 'buf', 0.9, 1],
        ['adam', 'm', 0.9, 1 - 0.9],
      ] as const) {
        const optimizer = createOptimizer([{ name: 'w', shape: [1], values: [1] }], {
          rule,
          masks: { kind: 'given', mask: (step) => [step === g.length ? 1 : 0] },
        });
        let state = optimizer.init();
        for (const gradient of g) ({ state } = optimizer.step(state, [[gradient]]));
        const size = g.reduce((s, gradient) => s + Math.abs(gradient), 0);
        const expected = accumulatedMomentum(0, g, b, eta);
        assert.ok(
          Math.abs((state.tensors[0]?.slots[slot]?.[0] as number) - expected) <= (4 * g.length + 4) * 2 ** -53 * size,
        );
      }
    }),
    runs(100),
  );
});

test('[LRD-EQ-001] [LRD-EQ-004] [LRD-EQ-005] without drops SGDM follows eqs. (4) and (5) bit for bit', () => {
  fc.assert(
    fc.property(gradients, natural, (g, start) => {
      const optimizer = createOptimizer([{ name: 'w', shape: [1], values: [start] }], {
        rule: 'sgdm',
        hyper: { learningRate: 0.1 },
        keepProbability: 1,
      });
      let state = optimizer.init();
      let m = 0;
      let w = start;
      for (const gradient of g) {
        ({ state } = optimizer.step(state, [[gradient]]));
        m = momentumStep(m, gradient, 0.9, 1);
        w -= 0.1 * m;
        assert.is(state.tensors[0]?.values[0], w);
      }
    }),
    runs(100),
  );
});

test('[LRD-EQ-003] the intervals of a run, with what its end cuts off left out', () => {
  assert.equal(completeIntervals([1, 0, 0, 1, 1, 0, 0]), [1, 3, 1]);
  assert.equal(completeIntervals([0, 0]), []);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1), { maxLength: 50 }), (bits) => {
      const intervals = completeIntervals(bits);
      assert.is(intervals.length, bits.filter((bit) => bit === 1).length);
      assert.is(
        intervals.reduce((a, b) => a + b, 0),
        bits.lastIndexOf(1) + 1,
      );
      const { trials, kept } = hazard(bits, 60);
      assert.is(
        trials.reduce((a, b) => a + b, 0),
        bits.length,
      );
      for (const [a, count] of kept.entries())
        assert.is(count, intervals.filter((interval) => interval === a + 1).length);
      // A trial at age a: an interval that got at least so old, or the cut-off one.
      const cut = bits.length - (bits.lastIndexOf(1) + 1);
      for (const [a, count] of trials.entries()) {
        assert.is(count, intervals.filter((interval) => interval > a).length + (cut > a ? 1 : 0));
      }
    }),
    runs(200),
  );
  assert.equal(hazard([0, 0, 1, 1], 2), { trials: [2, 1], kept: [1, 0] });
});

test('[LRD-MASK-009] the interval around a step, or null where an end of the run cuts it', () => {
  const bits = [0, 1, 0, 0, 1, 1, 0];
  assert.equal(
    [0, 1, 2, 3, 4, 5, 6].map((t) => intervalAround(bits, t)),
    [null, null, 3, 3, 3, 1, null],
  );
  assert.is(intervalAround([1, 0, 1], 1), 2);
});

test.run();
