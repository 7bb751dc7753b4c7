import * as fc from 'fast-check';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import {
  followLearningRate,
  linearKeepProbability,
  annealingWithRestarts,
  milestones,
  perEpoch,
  polynomialDecay,
  taper,
} from 'learning-rate-dropout/ref';
import { UsageError } from '../../errors.ts';
import { parseSchedules } from './parse.ts';
import type { Schedule, TaperScheme } from './schedule.ts';
import { compileSchedule, compileSchedules, resolveSchedules } from './schedule.ts';

const test = suite('models/trainer/schedules');
const seed = Number(process.env['LRD_SEED'] ?? 20220314);
const check = <T>(property: fc.IProperty<T>): void =>
  fc.assert(property, { seed, numRuns: 100, includeErrorInReport: true });

/** Both sides at every step of a run. */
function agree(
  schedule: Schedule,
  context: { base: number; stepsPerEpoch: number; epochs: number },
  expected: (step: number) => number,
): void {
  const actual = compileSchedule(schedule, context);
  const steps = (context.epochs + 2) * context.stepsPerEpoch;
  for (let step = 1; step <= steps; step++) {
    if (!Object.is(actual(step), expected(step))) {
      assert.is(actual(step), expected(step), `${JSON.stringify(schedule)} at step ${step}`);
    }
  }
}

const sizes = { base: fc.double({ min: 1e-6, max: 1, noNaN: true }), stepsPerEpoch: fc.integer({ min: 1, max: 9 }) };

test("[LRD-SCHED-001] step decay is the reference's, at every step, the authors' early form too", () => {
  check(
    fc.property(
      fc.record({ ...sizes, epochs: fc.integer({ min: 1, max: 40 }) }),
      fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 }),
      fc.double({ min: 0.05, max: 1, noNaN: true }),
      fc.boolean(),
      (context, last, gamma, early) => {
        const schedule: Schedule = { kind: 'step', milestones: last, gamma, early };
        const reference = milestones({ learningRate: context.base, milestones: last, gamma, early });
        agree(schedule, context, perEpoch(reference, context.stepsPerEpoch));
      },
    ),
  );
});

test("[LRD-SCHED-002] annealing with restarts has the reference's rates in all 450 epochs and behind them", () => {
  agree({ kind: 'restarts' }, { base: 0.1, stepsPerEpoch: 3, epochs: 460 }, perEpoch(annealingWithRestarts(), 3));
  const short = perEpoch(annealingWithRestarts(undefined, [3, 1]), 2);
  agree({ kind: 'restarts', epochsPerRate: [3, 1] }, { base: 0.1, stepsPerEpoch: 2, epochs: 25 }, short);
});

test("[LRD-CMP-008] tapers are the reference's in all 450 epochs; behind them the last values hold", () => {
  for (const scheme of ['01', '02', '21', '22', '23'] as const satisfies readonly TaperScheme[]) {
    const value = compileSchedule({ kind: 'taper', scheme }, { base: NaN, stepsPerEpoch: 2, epochs: 450 });
    for (let epoch = 1; epoch <= 460; epoch++) {
      const { weightDecay, sparsity } = taper(scheme, Math.min(epoch, 450));
      const expected = scheme < '10' ? weightDecay : sparsity;
      assert.equal([value(2 * epoch - 1), value(2 * epoch)], [expected, expected], `scheme ${scheme}, epoch ${epoch}`);
    }
  }
});

test("[LRD-SCHED-003] polynomial decay is the reference's", () => {
  check(
    fc.property(
      fc.record({ ...sizes, epochs: fc.integer({ min: 1, max: 12 }) }),
      fc.option(fc.double({ min: 0.1, max: 3, noNaN: true }), { nil: undefined }),
      (context, power) => {
        const reference = polynomialDecay(context.base, context.epochs * context.stepsPerEpoch, power);
        agree(power === undefined ? { kind: 'polynomial' } : { kind: 'polynomial', power }, context, reference);
      },
    ),
  );
});

test("[LRD-SCHED-004] a keep probability follows the step or the learning rate as the reference's does", () => {
  const context = { base: 1, stepsPerEpoch: 4, epochs: 5 };
  agree({ kind: 'linear', last: 0.5 }, context, linearKeepProbability(1, 0.5, 20));
  const values = [
    [1e-1, 1],
    [1e-3, 0.3],
    [1e-2, 0.5],
  ] as const;
  const rates = parseSchedules(['lr=step:1,2,3', 'keep=follow:0.1=1,0.001=0.3,0.01=0.5']);
  assert.equal(rates.keepProbability, { kind: 'follow', values: values.map((pair) => [...pair]) });
  const compiled = compileSchedules(
    rates,
    { learningRate: 0.1, keepProbability: 1, weightDecay: 0, sparsity: 0 },
    context,
  );
  const learningRate = perEpoch(milestones({ learningRate: 0.1, milestones: [1, 2, 3] }), 4);
  const reference = followLearningRate(learningRate, values);
  for (let step = 1; step <= 20; step++) {
    assert.is(compiled.learningRate?.(step), learningRate(step));
    assert.is(compiled.keepProbability?.(step), reference(step), `step ${step}`);
  }
  assert.equal(
    [1, 5, 9, 13].map((step) => compiled.keepProbability?.(step)),
    [1, 0.5, 0.3, 0.3],
  );
});

test('cosine goes from the base down to its minimum, half way at half time; values by epoch hold from there on', () => {
  const context = { base: 0.2, stepsPerEpoch: 10, epochs: 4 };
  const cosine = compileSchedule({ kind: 'cosine', minimum: 0.1 }, context);
  assert.is(cosine(1), 0.2);
  assert.ok(Math.abs(cosine(21) - 0.15) < 1e-15);
  assert.equal([cosine(41), cosine(1000)], [0.1, 0.1]);
  for (let step = 1; step < 41; step++) assert.ok(cosine(step + 1) < cosine(step));
  const epochs = compileSchedule({ kind: 'epochs', values: [[4, 3], [2, 5]] }, context); // prettier-ignore
  assert.equal([1, 10, 11, 30, 31, 99].map(epochs), [0.2, 0.2, 5, 5, 3, 3]);
  assert.equal([1, 99].map(compileSchedule({ kind: 'constant' }, context)), [0.2, 0.2]);
});

test('a warm-up rises to the base and falls from there as a cosine does; one that is longer than the run only rises', () => {
  const context = { base: 0.2, stepsPerEpoch: 10, epochs: 4 };
  const rate = compileSchedule({ kind: 'warmup', steps: 8 }, context);
  assert.equal([1, 4, 8, 9].map(rate), [0.025, 0.1, 0.2, 0.2]);
  assert.ok(Math.abs(rate(25) - 0.1) < 1e-15);
  for (let step = 9; step < 41; step++) assert.ok(rate(step + 1) < rate(step) || step === 40, String(step));
  assert.equal([41, 99].map(rate), [0, 0]);
  const long = compileSchedule({ kind: 'warmup', steps: 80 }, context);
  assert.equal([20, 40].map(long), [0.05, 0.1]);
});

test('the grammar of --schedule: every form, as it stands in config.json', () => {
  const parse = (text: string): unknown => Object.entries(parseSchedules([text]))[0];
  const forms: readonly [string, unknown][] = [
    ['lr=constant', ['learningRate', { kind: 'constant' }]],
    ['lr=step:100,150', ['learningRate', { kind: 'step', milestones: [100, 150] }]],
    ['lr=step:30:0.2', ['learningRate', { kind: 'step', milestones: [30], gamma: 0.2 }]],
    ['lr=step-early:100,150', ['learningRate', { kind: 'step', milestones: [100, 150], early: true }]],
    ['lr=polynomial', ['learningRate', { kind: 'polynomial' }]],
    ['lr=polynomial:2', ['learningRate', { kind: 'polynomial', power: 2 }]],
    ['lr=cosine', ['learningRate', { kind: 'cosine' }]],
    ['lr=cosine:1e-5', ['learningRate', { kind: 'cosine', minimum: 1e-5 }]],
    ['lr=warmup:100', ['learningRate', { kind: 'warmup', steps: 100 }]],
    ['lr=warmup:100:1e-5', ['learningRate', { kind: 'warmup', steps: 100, minimum: 1e-5 }]],
    ['keep=linear:0.5', ['keepProbability', { kind: 'linear', last: 0.5 }]],
    ['lr=restarts', ['learningRate', { kind: 'restarts' }]],
    ['lr=restarts:5,2,2', ['learningRate', { kind: 'restarts', epochsPerRate: [5, 2, 2] }]],
    ['weight-decay=taper:01', ['weightDecay', { kind: 'taper', scheme: '01' }]],
    ['sparsity=taper:22:5,2,2', ['sparsity', { kind: 'taper', scheme: '22', epochsPerRate: [5, 2, 2] }]],
    ['weight-decay=epochs:1=1e-4,101=8e-4', ['weightDecay', { kind: 'epochs', values: [[1, 1e-4], [101, 8e-4]] }]], // prettier-ignore
  ];
  for (const [text, expected] of forms) assert.equal(parse(text), expected, text);
  assert.equal(parseSchedules([]), {});
});

test('a wrong schedule is one line that names the value and the rule', () => {
  const wrong: readonly [string[], RegExp][] = [
    [
      ['step:100'],
      /--schedule must be TARGET=FORM with TARGET one of lr, keep, weight-decay, sparsity; got "step:100"/,
    ],
    [['momentum=step:1'], /TARGET one of lr, keep/],
    [['lr=staircase:3'], /must be one of constant, step:EPOCH.*got "lr=staircase:3"/],
    [['lr=step'], /step:EPOCH,EPOCH\.\.\.\[:GAMMA\] must be given in full, got "lr=step"/],
    [['lr=step:100,50'], /ascending order, got "lr=step:100,50"/],
    [['lr=step:1.5'], /whole numbers of epochs of at least 1, got "lr=step:1\.5"/],
    [['lr=step:10:x'], /GAMMA of at least 0/],
    [['lr=step:10:1:1'], /single colons/],
    [['lr=step:'], /single colons/],
    [['lr=constant:1'], /must have no parts/],
    [['lr=polynomial:0'], /POWER above 0/],
    [['lr=cosine:1:2'], /no more parts/],
    [['lr=cosine:'], /single colons/],
    [['lr=warmup'], /must be given in full/],
    [['lr=warmup:1.5'], /whole number of STEPS/],
    [['lr=warmup:10:-1'], /MINIMUM of at least 0/],
    [['lr=taper:01'], /must be for weight-decay or sparsity/],
    [['weight-decay=taper:21'], /SCHEME among 01, 02 for its target/],
    [['sparsity=taper:01'], /SCHEME among 21, 22, 23/],
    [['lr=follow:1=1'], /another target than lr/],
    [['keep=follow:1'], /numbers of at least 0/],
    [['keep=epochs:0=1'], /whole numbers of epochs/],
    [['lr=cosine', 'lr=polynomial'], /once for each target, got learningRate twice/],
  ];
  for (const [texts, pattern] of wrong) {
    let message = 'no error';
    try {
      parseSchedules(texts);
    } catch (error) {
      assert.instance(error, UsageError);
      ({ message } = error as Error);
    }
    assert.match(message, pattern, texts.join());
    assert.not.match(message, /\n/);
  }
});

test('a schedule that leaves its range is found before the run, with the epoch', () => {
  const bases = { learningRate: 0.1, keepProbability: 0.5, weightDecay: 0, sparsity: 0 };
  const context = { epochs: 10, stepsPerEpoch: 3 };
  const refuses = (text: string, pattern: RegExp): void =>
    assert.throws(() => compileSchedules(parseSchedules([text]), bases, context), pattern);
  refuses('keep=linear:0', /^the schedule of keepProbability must be in \[2\^-16, 1\], got 0 in epoch 10$/);
  refuses('keep=epochs:7=1.5', /got 1\.5 in epoch 7$/);
  refuses('sparsity=linear:1', /^the schedule of sparsity must be in \[0, 1 - 2\^-16\], got 1 in epoch 10$/);
  assert.equal(Object.keys(compileSchedules(parseSchedules(['keep=epochs:11=1.5']), bases, context)), [
    'keepProbability',
  ]);
});

test('a schedule keeps the length that the run began with', () => {
  const resolved = resolveSchedules(parseSchedules(['lr=cosine', 'keep=linear:1', 'weight-decay=taper:01']), 30);
  assert.equal(resolved, {
    learningRate: { kind: 'cosine', epochs: 30 },
    keepProbability: { kind: 'linear', last: 1, epochs: 30 },
    weightDecay: { kind: 'taper', scheme: '01' },
  });
  assert.equal(resolveSchedules(resolved, 40), resolved);
  const value = compileSchedule(resolved.learningRate as Schedule, { base: 1, stepsPerEpoch: 1, epochs: 60 });
  assert.equal([value(31), value(60)], [0, 0]);
});

test.run();
