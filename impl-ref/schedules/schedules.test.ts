import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { followLearningRate, linearKeepProbability } from './keepProbability.ts';
import { annealingPosition, annealingWithRestarts, milestones, perEpoch, polynomialDecay } from './learningRate.ts';
import { CONSTANT_DECAYS, taper } from './taper.ts';

const test = suite('impl-ref/schedules');

/** "Adapting Regularization with Learning Rate", Table 1, row by row: last epoch, rate, decays 01 and 02, sparsities 21 to 23. */
const TABLE = [
  [50, 0.1, 0.0001, 0.0001, 0, 0, 0],
  [100, 0.01, 0.0001, 0.0001, 0, 0, 0],
  [150, 0.001, 0.0008, 0.0004, 0.5, 0.8, 0.3],
  [200, 0.0001, 0.0016, 0.0008, 0.5, 0.8, 0.3],
  [250, 0.00001, 0.0016, 0.0008, 0.5, 0.8, 0.3],
  [270, 0.1, 0.0001, 0.0001, 0, 0, 0],
  [290, 0.01, 0.0001, 0.0001, 0, 0, 0],
  [310, 0.001, 0.0008, 0.0004, 0, 0, 0],
  [330, 0.0001, 0.0016, 0.0008, 0, 0, 0],
  [350, 0.00001, 0.0016, 0.0008, 0, 0, 0],
  [370, 0.1, 0.0001, 0.0001, 0, 0, 0],
  [390, 0.01, 0.0001, 0.0001, 0, 0, 0],
  [410, 0.001, 0.0008, 0.0004, 0, 0, 0],
  [430, 0.0001, 0.0016, 0.0008, 0, 0, 0],
  [450, 0.00001, 0.0016, 0.0008, 0, 0, 0],
] as const;
const row = (epoch: number): (typeof TABLE)[number] => TABLE.find(([last]) => epoch <= last) as (typeof TABLE)[number];

test("[LRD-CMP-008] weight decay and sparsity of all 450 epochs are Table 1's", () => {
  for (let epoch = 1; epoch <= 450; epoch++) {
    const [, , decay01, decay02, ...sparsities] = row(epoch);
    assert.equal(taper('01', epoch), { weightDecay: decay01, sparsity: 0 });
    assert.equal(taper('02', epoch), { weightDecay: decay02, sparsity: 0 });
    for (const [i, scheme] of (['21', '22', '23'] as const).entries()) {
      assert.equal(taper(scheme, epoch), { weightDecay: 1e-4, sparsity: sparsities[i] });
    }
  }
  for (const epoch of [0, 451, 1.5]) {
    assert.throws(() => taper('01', epoch), new RegExp(`^epoch must be a whole number in \\[1, 450\\], got ${epoch}$`));
  }
  assert.equal(CONSTANT_DECAYS, [1e-3, 2e-3, 4e-3, 8e-3]);
});

test("[LRD-SCHED-002] the learning rates of all 450 epochs are Table 1's, and the last one holds after them", () => {
  const schedule = annealingWithRestarts();
  for (let epoch = 1; epoch <= 450; epoch++) assert.is(schedule(epoch), row(epoch)[1]);
  assert.is(schedule(451), 1e-5);
  assert.is(schedule(10_000), 1e-5);
  assert.equal(annealingPosition(451, 5, [50, 20, 20]), { phase: 2, rate: 4 });
  assert.equal([1, 2, 3, 4, 5, 6].map(annealingWithRestarts([3, 1], [2, 1])), [3, 3, 1, 1, 3, 1]);
});

test('[LRD-SCHED-001] reduced at the 100th and 150th epochs: epochs 1 to 100 run at the first rate', () => {
  const rate = milestones({ learningRate: 0.1, milestones: [100, 150] });
  assert.equal([1, 100, 101, 150, 151, 200].map(rate), [
    0.1,
    0.1,
    0.1 * 0.1,
    0.1 * 0.1,
    0.1 * 0.1 ** 2,
    0.1 * 0.1 ** 2,
  ]);
  const early = milestones({ learningRate: 0.1, milestones: [100, 150], early: true });
  assert.equal([1, 99, 100, 149, 150].map(early), [0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1, 0.1 * 0.1 ** 2]);
  assert.is(milestones({ learningRate: 1, milestones: [1], gamma: 0.5 })(2), 0.5);
});

test('a schedule of epochs becomes one of steps', () => {
  assert.equal([1, 3, 4, 6, 7].map(perEpoch((epoch) => epoch, 3)), [1, 1, 2, 2, 3]);
  assert.throws(() => perEpoch((epoch) => epoch, 0), /^stepsPerEpoch must be a whole number of at least 1, got 0$/);
  assert.is(perEpoch((epoch) => epoch, 1)(7), 7);
  assert.throws(() => perEpoch((epoch) => epoch, 1.5), /got 1.5$/);
});

test('[LRD-SCHED-003] polynomial decay starts at the base rate and ends at 0', () => {
  const rate = polynomialDecay(0.01, 100);
  assert.is(rate(1), 0.01);
  assert.is(rate(51), 0.01 * 0.5 ** 0.9);
  assert.equal([rate(101), rate(200)], [0, 0]);
  assert.is(polynomialDecay(1, 4, 2)(2), 0.5625);
});

test('[LRD-SCHED-004] the keep probability follows the learning rate or the step', () => {
  const rate = milestones({ learningRate: 0.1, milestones: [1, 2] });
  const p = followLearningRate(rate, [
    [0.1, 1],
    [0.01, 0.7],
    [0.001, 0.5],
  ]);
  assert.equal([1, 2, 3].map(p), [1, 0.7, 0.5]);
  assert.equal(
    [1, 1e-3, 0.5].map((r) =>
      followLearningRate(
        () => r,
        [
          [1e-3, 0.5],
          [1e-1, 1],
        ],
      )(1),
    ),
    [1, 0.5, 1],
  );
  const three = [
    [1e-3, 0.3],
    [1e-2, 0.5],
    [1e-1, 1],
  ] as const;
  assert.is(followLearningRate(() => 0.5, three)(1), 1);
  assert.throws(() => followLearningRate(rate, [])(1), /^keepProbabilities must have at least one pair, got none$/);
  assert.equal([1, 2, 3, 5, 9].map(linearKeepProbability(1, 0.5, 5)), [1, 0.875, 0.75, 0.5, 0.5]);
  assert.is(linearKeepProbability(1, 0.5, 1)(1), 0.5);
});

test.run();
