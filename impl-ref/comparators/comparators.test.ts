import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { normals } from '../draws.ts';
import { effectiveKeepProbability, streamMask } from '../masks.ts';
import { createOptimizer } from '../optimizer.ts';
import type { OptimizerOptions, OptimizerState } from '../optimizer.ts';
import { parseSeed } from '../seed.ts';
import { words } from '../stream.ts';
import { bits, natural, runs, vector } from '../testing/properties.ts';
import type { GradientTransformation } from '../transformation.ts';
import { clipByGlobalNorm, clipByValue, globalNorm } from './clipping.ts';
import { scaledLearningRate } from './controlArms.ts';
import { gradientCentralization } from './gradientCentralization.ts';
import { gradientDropout } from './gradientDropout.ts';
import { gradientNoise, noiseVariance } from './gradientNoise.ts';
import { noisyLabels } from './noisyLabels.ts';
import { sparseGradients, sparseUpdates } from './sparseGradients.ts';
import { standardDropout } from './standardDropout.ts';

const test = suite('impl-ref/comparators');

function apply(
  transformation: GradientTransformation,
  gradients: readonly (readonly number[] | null)[],
  { step = 1, shapes = gradients.map((g) => [g?.length ?? 0]), bases = gradients.map((_, k) => 64 * k) } = {},
): (number[] | null)[] {
  const given = gradients.map((g) => (g === null ? null : Float64Array.from(g)));
  return transformation
    .apply(given, transformation.init(), { step, shapes, bases })
    .gradients.map((g) => (g === null ? null : Array.from(g)));
}

/** Runs an optimizer over the same gradients, by step, and gives the values after each step. */
function descend(
  options: OptimizerOptions,
  gradients: readonly number[][],
  start = [0, 0, 0, 0, 0, 0, 0, 0],
): OptimizerState[] {
  const optimizer = createOptimizer([{ name: 'w', shape: [start.length], values: start }], options);
  let state = optimizer.init();
  const states = [state];
  for (const gradient of gradients) {
    ({ state } = optimizer.step(state, [gradient]));
    states.push(state);
  }
  return states;
}
const slot = (state: OptimizerState | undefined, name: string): number[] =>
  Array.from(state?.tensors[0]?.slots[name] ?? []);
const theta = (state: OptimizerState | undefined): number[] => Array.from(state?.tensors[0]?.values ?? []);
const ones = (steps: number): number[][] => Array.from({ length: steps }, () => [1, 1, 1, 1, 1, 1, 1, 1]);

test('[LRD-SCHED-005] clipping by value bounds each element and leaves the others and the missing ones alone', () => {
  assert.equal(apply(clipByValue(2), [[-3, -2, 0.5, 2.5], null]), [[-2, -2, 0.5, 2], null]);
  assert.throws(() => clipByValue(0), /^limit must be above 0, got 0$/);
  assert.equal(apply(clipByValue(Infinity), [[1e300]]), [[1e300]]);
});

test('[LRD-SCHED-005] clipping by global norm scales all tensors by one factor, and only above the limit', () => {
  assert.equal(apply(clipByGlobalNorm(1), [[3], null, [4]]), [[3 * (1 / 5)], null, [4 * (1 / 5)]]);
  assert.equal(apply(clipByGlobalNorm(5), [[3], [4]]), [[3], [4]]);
  assert.throws(() => clipByGlobalNorm(-1), /^limit must be above 0, got -1$/);
  fc.assert(
    fc.property(
      vector(natural, 4),
      vector(natural, 3),
      fc.double({ min: 0.01, max: 10, noNaN: true }),
      (a, b, limit) => {
        const [x, y] = apply(clipByGlobalNorm(limit), [a, b]) as [number[], number[]];
        const norm = globalNorm([Float64Array.from(a), Float64Array.from(b)]);
        const clipped = globalNorm([Float64Array.from(x), Float64Array.from(y)]);
        assert.ok(Math.abs(clipped - Math.min(norm, limit)) <= 1e-14 * (norm + limit));
      },
    ),
    runs(100),
  );
});

test('[LRD-CMP-002] dropout on gradients zeroes what its own stream drops, and rescales nothing', () => {
  const mask = streamMask({ key: parseSeed(9), step: 4, stream: 'gradientDropout', base: 64 }, 6, 0.5);
  const [first, missing, third] = apply(gradientDropout(9), [[1], null, [1, 2, 3, 4, 5, 6]], {
    step: 4,
    bases: [0, 0, 64],
  });
  assert.is(first?.length, 1);
  assert.is(missing, null);
  assert.equal(
    third,
    [1, 2, 3, 4, 5, 6].map((g, i) => (mask[i] === 1 ? g : 0)),
  );
  assert.ok(mask.includes(0) && mask.includes(1));
  assert.throws(() => gradientDropout(9, 0), /^keepProbability must be in/);
});

test('[LRD-CMP-002] dropout on gradients loses what it drops, where learning rate dropout stores it', () => {
  const masks = { kind: 'given', mask: () => [1, 1, 1, 1, 1, 1, 1, 1] } as const;
  const dg = descend({ rule: 'sgdm', masks, transformations: [gradientDropout(1)] }, ones(2));
  const lrd = descend({ rule: 'sgdm', masks: { kind: 'stream', seed: 1 } }, ones(2));
  assert.equal(slot(lrd.at(-1), 'buf'), [1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9]);
  assert.ok(slot(dg.at(-1), 'buf').some((b) => b < 1.9));
});

test('[LRD-CMP-003] gradient noise has the variance eta / (1 + t)^.55 with t from 0', () => {
  assert.is(noiseVariance(0), 0.1);
  assert.ok(Math.abs(noiseVariance(1) - 0.0683020128377198) < 1e-16);
  const z = normals({ key: parseSeed(2), step: 7, stream: 'gradientNoise', base: 64 }, 3);
  const [, noisy] = apply(gradientNoise(2, 0.3), [null, [1, 2, 3]], { step: 7 });
  const sigma = Math.sqrt(0.3 / 7 ** 0.55);
  assert.equal(
    noisy,
    [1, 2, 3].map((g, i) => g + sigma * (z[i] as number)),
  );
  assert.throws(() => gradientNoise(2, -1), /^eta must be a finite number of at least 0, got -1$/);
  assert.throws(() => gradientNoise(2, 1, Number.NaN), /^gamma must be a finite number of at least 0, got NaN$/);
});

test('[LRD-CMP-004] centralization subtracts the mean over all axes but the last, from rank two on', () => {
  const matrix = apply(gradientCentralization(), [[1, 10, 3, 20, 5, 60]], { shapes: [[3, 2]] });
  assert.equal(matrix, [[-2, -20, 0, -10, 2, 30]]);
  assert.equal(apply(gradientCentralization(), [[1, 3], null], { shapes: [[2], [2, 2]] }), [[1, 3], null]);
  assert.equal(apply(gradientCentralization(), [[1, 3]], { shapes: [[1, 2]] }), [[0, 0]]);
  const conv = apply(gradientCentralization(), [[1, 2, 3, 4, 5, 6, 7, 8]], { shapes: [[2, 1, 2, 2]] })[0] as number[];
  assert.equal(conv, [-3, -3, -1, -1, 1, 1, 3, 3]);
});

test("[LRD-CMP-001] the order is clipping, noise and its kin, L2, centralization, moments, whatever the list's order", () => {
  const seen: string[] = [];
  const spy = (name: string, stage: GradientTransformation['stage']): GradientTransformation => ({
    name,
    stage,
    init: () => ({}),
    apply(gradients, state) {
      seen.push(`${name} ${(gradients[0] as Float64Array).join()}`);
      return { gradients: gradients.map((g) => g?.map((x) => x + 1) ?? null), state };
    },
  });
  const transformations = [spy('c', 'centralize'), spy('n', 'noise'), spy('m', 'noise'), spy('v', 'clip')];
  const optimizer = createOptimizer([{ name: 'w', shape: [1], values: [10] }], {
    rule: 'sgdm',
    hyper: { weightDecay: 2 },
    keepProbability: 1,
    transformations,
  });
  const { state, report } = optimizer.step(optimizer.init(), [[5]]);
  assert.equal(seen, ['v 5', 'n 6', 'm 7', 'c 28']);
  assert.equal(report.gradients[0], Float64Array.of(29));
  assert.equal(slot(state, 'buf'), [29]);
  assert.throws(
    () => createOptimizer([], { rule: 'sgdm', transformations: [...transformations, spy('v', 'noise')] }),
    /^transformations must have distinct names, got v twice$/,
  );
});

test('[LRD-CMP-006] [LRD-STREAM-011] standard dropout is inverted, by the probability that holds', () => {
  const at = { key: parseSeed(3), step: 2, base: 0 } as const;
  const mask = streamMask({ ...at, stream: 'standardDropout' }, 40, 0.9);
  const out = standardDropout(new Float64Array(40).fill(2), at);
  assert.equal(
    Array.from(out),
    Array.from(mask, (bit) => (bit === 1 ? 2 * (1 / effectiveKeepProbability(0.9)) : 0)),
  );
  assert.ok(mask.includes(0));
  assert.equal(standardDropout(Float64Array.of(1, 2), at, 1), Float64Array.of(1, 2));
});

test('[LRD-CMP-005] noisy labels are drawn anew each step, and never outside the classes', () => {
  const labels = Array.from({ length: 100 }, (_, i) => i % 3);
  const at = (step: number, rate: number): number[] => noisyLabels(labels, { seed: 1, step, classes: 3, rate });
  assert.equal(at(1, 0), labels);
  assert.ok(at(1, 1).every((y, i) => y !== labels[i] && y >= 0 && y < 3));
  assert.equal(at(1, 0.5), at(1, 0.5));
  assert.not.equal(at(1, 0.5), at(2, 0.5));
  assert.throws(() => at(1, 1.5), /^rate must be in \[0, 1\], got 1.5$/);
  assert.throws(
    () => noisyLabels([0], { seed: 1, step: 1, classes: 1, rate: 0.1 }),
    /^classes must be a whole number of at least 2, got 1$/,
  );
});

const plan = [0, 0.5, 0.5, 0.25, 0.25, 0, 0.5];
const sparsity = (step: number): number => plan[step - 1] as number;

test('[LRD-CMP-007] the sparse pattern stays while the extent stays, and is another one when the extent changes', () => {
  const masks = { kind: 'given', mask: () => [1, 1, 1, 1, 1, 1, 1, 1] } as const;
  const states = descend(
    { rule: 'sgdm', hyper: { momentum: 0 }, masks, transformations: [sparseGradients(4, sparsity)] },
    ones(7),
  );
  const held = (step: number, p: number): number[] =>
    Array.from(streamMask({ key: parseSeed(4), step, stream: 'sparseGradients', base: 0 }, 8, p));
  const moved = states.slice(1).map((state, t) => theta(state).map((w, i) => (w === theta(states[t])[i] ? 0 : 1)));
  const all = [1, 1, 1, 1, 1, 1, 1, 1];
  assert.equal(moved, [all, held(2, 0.5), held(2, 0.5), held(4, 0.75), held(4, 0.75), all, held(7, 0.5)]);
  assert.equal(states[3]?.transformations['sparseGradients'], { extent: 0.5, step: 2 });
  assert.equal(states[0]?.transformations, { sparseGradients: { extent: 0, step: 0 } });
});

test('[LRD-CMP-007] the two readings agree for plain SGD and differ with momentum', () => {
  const base = (momentum: number): OptimizerOptions => ({ rule: 'sgdm', hyper: { momentum }, keepProbability: null });
  for (const momentum of [0, 0.9]) {
    const gradients = descend({ ...base(momentum), transformations: [sparseGradients(4, sparsity)] }, ones(7));
    const updates = descend({ ...base(momentum), updateMasks: [sparseUpdates(4, sparsity)] }, ones(7));
    const same = bits(theta(gradients.at(-1))).join() === bits(theta(updates.at(-1))).join();
    assert.is(same, momentum === 0);
  }
});

test('[LRD-CMP-007] sparse updates and learning rate dropout combine: a coordinate moves where both let it', () => {
  const optimizer = createOptimizer(
    [
      { name: 'w', shape: [40], values: new Float64Array(40) },
      { name: 'b', shape: [3], values: [0, 0, 0], excluded: true },
    ],
    { rule: 'sgdm', masks: { kind: 'stream', seed: 8 }, updateMasks: [sparseUpdates(4, () => 0.5)] },
  );
  const { report } = optimizer.step(optimizer.init(), [new Float64Array(40).fill(1), [1, 1, 1]]);
  const one = streamMask({ key: parseSeed(8), step: 1, stream: 'mask', base: 0 }, 40, 0.5);
  const two = streamMask({ key: parseSeed(4), step: 1, stream: 'sparseGradients', base: 0 }, 40, 0.5);
  assert.equal(
    report.masks[0],
    one.map((bit, i) => bit & (two[i] as number)),
  );
  assert.equal(report.masks[1], Uint8Array.of(1, 1, 1));
  assert.throws(
    () => descend({ rule: 'sgdm', keepProbability: 1, updateMasks: [sparseUpdates(4, () => 1)] }, ones(1)),
    /^sparsity must be in/,
  );
});

test('a sparse run resumed keeps its pattern: the step at which it was drawn is state', () => {
  const options = { rule: 'sgdm', keepProbability: 1, updateMasks: [sparseUpdates(4, sparsity)] } as const;
  const states = descend(options, ones(7));
  const optimizer = createOptimizer([{ name: 'w', shape: [8], values: new Float64Array(8) }], options);
  let state = JSON.parse(JSON.stringify(states[2]?.transformations)) as OptimizerState['transformations'];
  let resumed: OptimizerState = { ...(states[2] as OptimizerState), transformations: state };
  for (const gradient of ones(5)) ({ state: resumed } = optimizer.step(resumed, [gradient]));
  state = resumed.transformations;
  assert.equal(state, states[7]?.transformations);
  assert.equal(theta(resumed), theta(states[7]));
});

test('each comparator runs alone and with learning rate dropout, and is a function of seed and step', () => {
  const list = [
    clipByValue(0.5),
    clipByGlobalNorm(1),
    gradientDropout(1),
    gradientNoise(1),
    sparseGradients(1, () => 0.5),
    gradientCentralization(),
  ];
  for (const transformation of list) {
    for (const keepProbability of [null, 0.5]) {
      const options = {
        rule: 'adam',
        keepProbability,
        masks: { kind: 'stream', seed: 2 },
        transformations: [transformation],
      } as const;
      const one = descend(options, ones(3));
      assert.equal(one, descend(options, ones(3)));
      assert.ok(theta(one.at(-1)).every(Number.isFinite));
    }
  }
});

test('[LRD-CMP-001] each transformation says when it acts, and starts from a record of its own', () => {
  const table = [
    [clipByValue(1), 'clipByValue', 'clip', {}],
    [clipByGlobalNorm(1), 'clipByGlobalNorm', 'clip', {}],
    [gradientDropout(1), 'gradientDropout', 'noise', {}],
    [gradientNoise(1), 'gradientNoise', 'noise', {}],
    [sparseGradients(1, sparsity), 'sparseGradients', 'noise', { extent: 0, step: 0 }],
    [gradientCentralization(), 'gradientCentralization', 'centralize', {}],
  ] as const;
  for (const [transformation, name, stage, start] of table) {
    assert.equal([transformation.name, transformation.stage, transformation.init()], [name, stage, start]);
  }
  const updates = sparseUpdates(1, sparsity);
  assert.equal([updates.name, updates.init()], ['sparseUpdates', { extent: 0, step: 0 }]);
});

test('[LRD-CMP-007] a missing gradient stays missing under a sparse pattern', () => {
  assert.equal(
    apply(
      sparseGradients(1, () => 0.5),
      [null, [1]],
    )[0],
    null,
  );
});

test('[LRD-CMP-005] a label is disturbed iff its u is below r: not where it equals r', () => {
  const word = words({ key: parseSeed(1), step: 1, stream: 'noisyLabels', base: 0 }, 1)[0] as number;
  const u = (word + 0.5) / 2 ** 32;
  const at = (rate: number): number[] => noisyLabels([0], { seed: 1, step: 1, classes: 2, rate });
  assert.equal(at(u), [0]);
  assert.equal(at(u + 2 ** -40), [1]);
  assert.throws(
    () => noisyLabels([0], { seed: 1, step: 1, classes: 2.5, rate: 0.1 }),
    /^classes must be a whole number/,
  );
});

test('[LRD-DEC-007] the control arm scales the learning rate by the probability that holds', () => {
  assert.is(scaledLearningRate(0.1, 0.5), 0.05);
  assert.is(scaledLearningRate(1, 0.3), 19661 / 65536);
});

test('[LRD-DEC-007] RMSprop with and without coupled L2 are two arms', () => {
  const arm = (weightDecay: number): number[] =>
    theta(
      descend({ rule: 'rmsprop', hyper: { weightDecay }, keepProbability: 1 }, ones(1), [5, 0, 0, 0, 0, 0, 0, 0]).at(
        -1,
      ),
    );
  assert.not.equal(arm(0.5), arm(0));
});

test.run();
