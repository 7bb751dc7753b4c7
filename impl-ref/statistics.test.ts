import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { completeIntervals, intervalAround } from './analysis/intervals.ts';
import { noisyLabels } from './comparators/noisyLabels.ts';
import { normals, permutation } from './draws.ts';
import { effectiveKeepProbability, streamMask } from './masks.ts';
import { createOptimizer } from './optimizer.ts';
import { parseSeed } from './seed.ts';
import type { StreamPosition } from './stream.ts';
import { checkMean } from './testing/hypothesis.ts';
import type { Verdict } from './testing/hypothesis.ts';
import { testSeed } from './testing/properties.ts';

const test = suite('impl-ref/statistics');

/** A source of mask bits: the stream, or a wrong one that a check has to catch. */
type Source = (position: Partial<StreamPosition>, length: number, p: number) => Uint8Array;
const key = parseSeed(testSeed);
const stream: Source = (position, length, p) =>
  streamMask({ key, step: 1, stream: 'mask', base: 0, ...position }, length, p);

const pass = (verdict: Verdict): void => assert.ok(verdict.ok, verdict.text);
const fail = (verdict: Verdict): void => assert.not.ok(verdict.ok, `should have been caught: ${verdict.text}`);
const sum = (array: ArrayLike<number>): number =>
  Array.prototype.reduce.call(array, (s, x) => (s as number) + (x as number), 0) as number;

const N = 400_000;
const LEVELS = [0.1, 0.3, 0.5, 0.9, 2 ** -16];

function keepRate(source: Source, p: number): Verdict {
  return checkMean(sum(source({}, N, p)), N, effectiveKeepProbability(p), 0.01);
}

test('[LRD-ALG-006] [LRD-MASK-001] the share of kept coordinates is p', () => {
  for (const p of LEVELS) pass(keepRate(stream, p));
});

test('[LRD-MASK-001] p taken for the probability of dropping is caught, and so is a p that is off by .01', () => {
  fail(keepRate((position, length, p) => stream(position, length, 1 - p), 0.3));
  fail(keepRate((position, length, p) => stream(position, length, p + 0.01), 0.5));
});

/** How often pairs agree, over disjoint pairs: p^2 + (1 - p)^2 for independent bits. */
function agreement(a: Uint8Array, b: Uint8Array, p: number): Verdict {
  const q = effectiveKeepProbability(p);
  return checkMean(sum(a.map((bit, i) => (bit === b[i] ? 1 : 0))), a.length, q * q + (1 - q) * (1 - q), 0.02);
}

/** Disjoint pairs at a distance: the bits of every other stretch of `lag` elements, and those `lag` after. */
function lagged(all: Uint8Array, lag: number): readonly [Uint8Array, Uint8Array] {
  const first = all.filter((_, i) => Math.floor(i / lag) % 2 === 0 && i + lag < all.length);
  return [
    first,
    Uint8Array.from(
      [...all.keys()].filter((i) => Math.floor(i / lag) % 2 === 0 && i + lag < all.length),
      (i) => all[i + lag] as number,
    ),
  ];
}

test('[LRD-MASK-005] neighbours, steps, tensors, seeds and streams are independent', () => {
  const n = 100_000;
  for (const p of [0.3, 0.5]) {
    const all = stream({}, 2 * n, p);
    for (const lag of [1, 2, 3, 4, 7, 8, 16, 64, 1000]) pass(agreement(...lagged(all, lag), p));
    const one = stream({}, n, p);
    pass(agreement(one, stream({ step: 2 }, n, p), p));
    pass(agreement(one, stream({ step: 65537 }, n, p), p));
    pass(agreement(one, stream({ base: 64 * 10_000 }, n, p), p));
    pass(agreement(one, stream({ base: 2 ** 40 }, n, p), p));
    pass(agreement(one, stream({ key: [key[0] ^ 1, key[1]] }, n, p), p));
    pass(agreement(one, stream({ key: [key[0], key[1] ^ 1] }, n, p), p));
    pass(agreement(one, stream({ stream: 'gradientDropout' }, n, p), p));
    pass(agreement(one, stream({ stream: 'sparseGradients' }, n, p), p));
  }
});

test('[LRD-MASK-005] a mask that is used again, and one bit for two neighbours, are caught', () => {
  const one = stream({}, 100_000, 0.5);
  fail(agreement(one, one, 0.5));
  const doubled = Uint8Array.from({ length: 200_000 }, (_, i) => one[i >> 1] as number);
  fail(agreement(...lagged(doubled, 1), 0.5));
});

test('[LRD-MASK-006] all subsets occur, with probability p^|S| (1 - p)^(n - |S|)', () => {
  for (const p of [0.5, 0.3]) {
    const q = effectiveKeepProbability(p);
    const n = 100_000;
    const counts = Array.from({ length: 8 }, () => 0);
    const all = stream({}, 3 * n, p);
    for (let i = 0; i < n; i++) {
      const subset = (all[3 * i] as number) + 2 * (all[3 * i + 1] as number) + 4 * (all[3 * i + 2] as number);
      counts[subset] = (counts[subset] as number) + 1;
    }
    for (const [subset, count] of counts.entries()) {
      const size = [1, 2, 4].filter((bit) => (subset & bit) !== 0).length;
      pass(checkMean(count, n, q ** size * (1 - q) ** (3 - size), 0.02));
    }
  }
});

/** One coordinate's bits by step, for many coordinates one after the other in independent runs. */
function history(source: Source, coordinates: number, steps: number, p: number): Uint8Array[] {
  const byStep = Array.from({ length: steps }, (_, t) => source({ step: t + 1 }, coordinates, p));
  return Array.from({ length: coordinates }, (_, i) => Uint8Array.from(byStep, (mask) => mask[i] as number));
}

/**
 * The hazard P(kept | age) against p, at ages 1 to 4: the first 50,000 trials at each age. Their number is fixed, as a number
 * that depends on the bits would not leave them independent.
 */
function hazardVerdicts(source: Source, p: number): Verdict[] {
  const runs = history(source, 16_000, 60, p);
  return [1, 2, 3, 4].map((tested) => {
    const wanted = 50_000;
    let trials = 0;
    let kept = 0;
    for (const bits of runs) {
      let age = 0;
      for (const bit of bits) {
        age += 1;
        if (age === tested && trials < wanted) {
          trials += 1;
          kept += bit;
        }
        if (bit === 1) age = 0;
      }
    }
    // Too few trials at an age is a finding too: an age that never comes up.
    if (trials < wanted) return { ok: false, text: `${trials} trials at age ${tested}` };
    return checkMean(kept, trials, effectiveKeepProbability(p), 0.03);
  });
}

test('[LRD-EQ-003] whatever its age, an interval ends at the next step with probability p', () => {
  for (const p of [0.5, 0.3]) for (const verdict of hazardVerdicts(stream, p)) pass(verdict);
});

test('[LRD-EQ-003] a mask that updates every 1/p-th step, with the right rate and mean interval, is caught', () => {
  const periodic: Source = ({ step = 1 }, length) => Uint8Array.from({ length }, (_, i) => (i + step) % 2);
  assert.ok(hazardVerdicts(periodic, 0.5).some(({ ok }) => !ok));
});

test('[LRD-EQ-003] the wait from a fixed step to the next update averages 1/p with variance (1 - p)/p^2', () => {
  const p = 0.5;
  const steps = 40;
  const n = 60_000;
  // The first interval of each of n independent coordinates; 2^-40 of them would be cut off.
  const first = history(stream, n, steps, p).map((bits) => completeIntervals(bits)[0] ?? steps);
  // Clipped at 20 for a range, which takes 2^-19 from the mean.
  const clipped = first.map((interval) => Math.min(interval, 20));
  pass(checkMean(sum(clipped), n, 1 / p, 0.5, 20));
  const squares = first.map((interval) => Math.min((interval - 1 / p) ** 2, 64));
  pass(checkMean(sum(squares), n, (1 - p) / p ** 2, 2, 64));
});

test('[LRD-MASK-009] the interval around a fixed step averages (2 - p)/p, not 1/p', () => {
  const p = 0.5;
  const steps = 60;
  const n = 40_000;
  const around = history(stream, n, steps, p).map((bits) => Math.min(intervalAround(bits, 30) ?? 30, 30));
  pass(checkMean(sum(around), n, (2 - p) / p, 0.9, 30));
  fail(checkMean(sum(around), n, 1 / p, 0.9, 30));
});

/** The mean step of SGDM after 200 steps of a constant gradient, in units of alpha g / (1 - beta), over n coordinates. */
function meanStep(n: number, resetDropped: boolean): number {
  const beta = 0.9;
  const p = 0.5;
  if (!resetDropped) {
    const optimizer = createOptimizer([{ name: 'w', shape: [n], values: new Float64Array(n) }], {
      rule: 'sgdm',
      hyper: { learningRate: 1, momentum: beta },
      masks: { kind: 'stream', seed: testSeed },
    });
    let state = optimizer.init();
    const ones = new Float64Array(n).fill(1);
    for (let t = 0; t < 200; t++) ({ state } = optimizer.step(state, [ones]));
    const before = state.tensors[0]?.values as Float64Array;
    const after = optimizer.step(state, [ones]).state.tensors[0]?.values as Float64Array;
    return sum(before.map((w, i) => w - (after[i] as number))) * (1 - beta);
  }
  // What three public implementations do: the momentum of a dropped coordinate is zeroed.
  let buf = new Float64Array(n);
  for (let t = 1; t <= 200; t++) {
    const mask = stream({ step: t }, n, p);
    buf = buf.map((b, i) => (beta * b + 1) * (mask[i] as number));
  }
  return sum(buf) * (1 - beta);
}

test('[LRD-MASK-010] under a constant gradient the mean step is p / (1 - beta); momentum that is reset on drops is caught', () => {
  const n = 5_000;
  // After 200 steps the momentum is 1 - .9^200 of its limit, 7e-10 short.
  pass(checkMean(meanStep(n, false), n, 0.5, 0.4));
  fail(checkMean(meanStep(n, true), n, 0.5, 0.4));
});

test('[LRD-CMP-005] a label is disturbed with probability r and is then uniform over the other classes', () => {
  const classes = 5;
  const rate = 0.1;
  const n = 200_000;
  for (const label of [0, 2, 4]) {
    const noisy = noisyLabels(
      Array.from({ length: n }, () => label),
      { seed: testSeed, step: 3, classes, rate },
    );
    for (let c = 0; c < classes; c++) {
      const expected = c === label ? 1 - rate : rate / (classes - 1);
      pass(checkMean(noisy.filter((y) => y === c).length, n, expected, 0.013));
    }
    // DisturbLabel draws the true class again in one of C cases: r (C - 1) / C of the labels change.
    fail(checkMean(noisy.filter((y) => y !== label).length, n, (rate * (classes - 1)) / classes, 0.013));
  }
});

test("[LRD-STREAM-008] normal numbers have mean 0, variance 1, and the normal distribution's tails", () => {
  const n = 400_000;
  const z = normals({ key, step: 1, stream: 'gradientNoise', base: 0 }, n);
  // P(|Z| <= z) at z = .5, 1, 2, 3, from Abramowitz and Stegun, table 26.1.
  for (const [limit, probability] of [
    [0.5, 0.3829249225480262],
    [1, 0.6826894921370859],
    [2, 0.9544997361036416],
    [3, 0.9973002039367398],
  ] as const) {
    pass(checkMean(z.filter((x) => Math.abs(x) <= limit).length, n, probability, 0.01));
  }
  pass(checkMean(z.filter((x) => x < 0).length, n, 0.5, 0.01));
  // Even and odd elements come from one pair, and are independent all the same.
  let both = 0;
  for (let i = 0; i < n; i += 2) if ((z[i] as number) > 0 && (z[i + 1] as number) > 0) both += 1;
  pass(checkMean(both, n / 2, 0.25, 0.013));
});

test('[LRD-STREAM-009] every permutation of three is equally frequent over epochs', () => {
  const n = 60_000;
  const counts = new Map<string, number>();
  for (let epoch = 1; epoch <= n; epoch++) {
    const order = permutation(testSeed, epoch, 3).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.is(counts.size, 6);
  for (const count of counts.values()) pass(checkMean(count, n, 1 / 6, 0.03));
});

test('a check that could not see its deviation is refused', () => {
  assert.throws(() => checkMean(5, 10, 0.5, 0.01), /n must show a deviation of 0.01, got 10/);
});

test.run();
