import * as assert from 'uvu/assert';
import { suite } from '../harness/suite.ts';
import {
  MAXIMUM_TESTS,
  MISS,
  MUST_CATCH,
  PROBABILITIES,
  RUNS,
  SIZES,
  STEPS,
  TEST_LEVEL,
  detectableRate,
  drawsForRate,
  pairsForCorrelation,
} from './design.ts';
import {
  betaRegularized,
  binomialPValue,
  chiSquarePValue,
  logGamma,
  normalPValue,
  normalUpperQuantile,
} from './tails.ts';
import { gaps, overallRate, pairs, ratesAndCounts } from './tests.ts';
import type { Sample } from './tests.ts';
import { sfc32 } from '../planted/implementation.ts';

const test = suite('conformance/statistics');

function near(got: number, expected: number, relative: number): void {
  assert.ok(
    Math.abs(got - expected) <= relative * Math.abs(expected),
    `${got} is not within ${relative} of ${expected}`,
  );
}

test('log-gamma agrees with factorials', () => {
  let factorial = 1;
  for (let n = 1; n <= 20; n++) {
    near(Math.exp(logGamma(n)), factorial, 1e-12);
    factorial *= n;
  }
  near(logGamma(0.5), Math.log(Math.PI) / 2, 1e-13);
});

test('binomial tails agree with sums over the probabilities', () => {
  const sum = (n: number, p: number, from: number, to: number): number => {
    let total = 0;
    for (let k = from; k <= to; k++) {
      total += Math.exp(
        logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1) + k * Math.log(p) + (n - k) * Math.log1p(-p),
      );
    }
    return total;
  };
  for (const [n, p] of [
    [10, 0.5],
    [40, 0.3],
    [200, 0.1],
    [1000, 0.5],
  ] as const) {
    for (const k of [0, 1, Math.floor(n * p), Math.ceil(n * p) + 3, Math.floor(n * 0.7), n]) {
      const expected = Math.min(1, 2 * Math.min(sum(n, p, 0, k), sum(n, p, k, n)));
      near(binomialPValue(k, n, p), expected, 1e-8);
    }
  }
  near(betaRegularized(0.25, 2, 3), 0.26171875, 1e-12);
});

// Values of R 4.2: 2 * pnorm(-z), pchisq(q, df, lower.tail = FALSE).
test('normal and chi-square tails agree with R, far out', () => {
  near(normalPValue(1.959963984540054), 0.05, 1e-10);
  near(normalPValue(6), 1.973175290075396e-9, 1e-8);
  near(normalUpperQuantile(0.025), 1.959963984540054, 1e-9);
  near(normalUpperQuantile(1e-9), 5.997807015, 1e-8);
  near(chiSquarePValue(3.841458820694124, 1), 2 * 0.05, 1e-9);
  near(chiSquarePValue(30, 10), 2 * 0.0008566412, 1e-6);
});

test('the sample is as large as its stated deviations need', () => {
  const elements = SIZES.reduce((sum, n) => sum + n, 0);
  assert.ok(RUNS * STEPS * (SIZES[0] as number) >= pairsForCorrelation(MUST_CATCH.correlation));
  for (const p of PROBABILITIES) {
    assert.ok(RUNS * STEPS * elements >= drawsForRate(p, MUST_CATCH.rate));
    assert.ok(RUNS * STEPS * elements <= 4e6);
    assert.ok(detectableRate(p, RUNS * STEPS * elements) <= MUST_CATCH.rate);
  }
  near(MISS, 1e-6, 0);
});

const SHARE = 1e-4;

function draw(
  seed: number,
  p: number,
  twist: (bit: boolean, before: boolean | undefined, random: () => number) => boolean = (bit) => bit,
): Sample {
  const random = sfc32(seed);
  const elements = SIZES.reduce((sum, n) => sum + n, 0);
  return Array.from({ length: RUNS }, () =>
    Array.from({ length: STEPS }, () => {
      let before: boolean | undefined;
      return Uint8Array.from({ length: elements }, () => {
        before = twist(random() < p, before, random);
        return before ? 1 : 0;
      });
    }),
  );
}

test('[LRD-ALG-006] honest samples pass every test, and there are fewer tests than the budget is split over', () => {
  let tests = 0;
  for (const p of PROBABILITIES) {
    const sample = draw(1000 + p * 100, p);
    const results = [...overallRate(sample, p), ...ratesAndCounts(sample, p), ...pairs(sample, p), ...gaps(sample, p)];
    tests += results.length;
    for (const { name, pValue } of results) assert.ok(pValue >= TEST_LEVEL, `p = ${p}, ${name}: ${pValue}`);
    // As p-values of an honest sample must be: not all near 0 or 1.
    const small = results.filter(({ pValue }) => pValue < 0.1).length / results.length;
    assert.ok(small < 0.35, `${small} of the p-values lie below .1`);
    assert.ok(
      results.every(({ pValue }) => pValue > SHARE),
      'a p-value below 1e-4 from a fixed honest sample',
    );
  }
  assert.ok(tests <= MAXIMUM_TESTS, `${tests} tests`);
});

test('[LRD-MASK-005] a correlation of .02 between neighbours is seen', () => {
  const p = 0.5;
  const sample = draw(5, p, (bit, before, random) =>
    before !== undefined && random() < MUST_CATCH.correlation ? before : bit,
  );
  const worst = Math.min(...pairs(sample, p).map(({ pValue }) => pValue));
  assert.ok(worst < TEST_LEVEL, String(worst));
});

test('[LRD-MASK-001] a rate that is off by .01 is seen', () => {
  for (const p of PROBABILITIES) {
    const [result] = overallRate(draw(9, p + MUST_CATCH.rate), p);
    assert.ok((result?.pValue as number) < TEST_LEVEL);
  }
});

test.run();
