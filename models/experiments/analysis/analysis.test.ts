import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import type { EpochMetrics } from '../../trainer/train.ts';
import { bestEpoch, crossing, lossArea, valueOf } from './convergence.ts';
import { describeSample, paired, welch } from './samples.ts';
import { studentQuantile, studentTails } from './studentT.ts';

const test = suite('models/experiments/analysis');
const near = (got: number | undefined, expected: number, relative = 1e-10): void =>
  assert.ok(
    got !== undefined && Math.abs(got - expected) <= relative * Math.abs(expected),
    `${got} is not near ${expected}`,
  );

test('tails of Student’s t agree with its closed forms', () => {
  for (const t of [0.01, 0.5, 1, 3, 12.7]) {
    near(studentTails(t, 1), 1 - (2 / Math.PI) * Math.atan(t));
    near(studentTails(t, 2), 1 - t / Math.sqrt(2 + t * t));
    const s = t / Math.sqrt(4 + t * t);
    near(studentTails(t, 4), 1 - (s * (3 - s ** 2)) / 2, 1e-9);
  }
  assert.is(studentTails(0, 3.7), 1);
  near(studentTails(-2, 7), studentTails(2, 7));
});

test('with SciPy where there is none, far tails included', () => {
  // scipy.stats.t.sf(t, f) * 2, SciPy 1.17.1.
  near(studentTails(1000, 4), 5.999960000209998e-12);
  near(studentTails(2.5, 1.3), 0.19328076715615347);
  near(studentTails(0.3, 7.9), 0.7719191938383934);
  near(studentTails(40, 2.5), 0.0001419563429049338);
});

test('and with printed quantiles', () => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2, two-sided .05 and .01.
  for (const [freedom, at05, at01] of [
    [1, 12.706, 63.657],
    [5, 2.571, 4.032],
    [10, 2.228, 3.169],
    [30, 2.042, 2.75],
    [100, 1.984, 2.626],
  ] as const) {
    // prettier-ignore
    near(studentQuantile(0.05, freedom), at05, 3e-4);
    near(studentQuantile(0.01, freedom), at01, 3e-4);
  }
  // Almost normal.
  near(studentQuantile(0.05, 1e6), 1.959966, 1e-6);
  assert.throws(() => studentTails(1, 0.5), /freedom must be at least 1, got 0.5/);
});

test('mean and standard deviation are with n - 1', () => {
  const { count, mean, deviation } = describeSample([2, 4, 4, 4, 5, 5, 7, 9]);
  assert.equal([count, mean], [8, 5]);
  near(deviation, Math.sqrt(32 / 7));
  assert.equal(describeSample([3]), { count: 1, mean: 3, deviation: undefined });
});

test('Welch’s test gives what SciPy’s ttest_ind gives', () => {
  // scipy.stats.ttest_ind(a, b, equal_var=False), SciPy 1.17.1.
  const a = [27.5, 21, 19, 23.6, 17, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19, 21.7, 21.4];
  const b = [27.1, 22, 20.8, 23.4, 23.4, 23.5, 25.8, 22, 24.8, 20.2, 21.9, 22.1, 22.9, 30.5, 24.4];
  const result = welch(describeSample(a), describeSample(b));
  near(result?.t, -2.8529548701715215);
  near(result?.freedom, 27.88730398842012);
  near(result?.p, 0.008071938172194903);
  near(result?.low, -4.868022741791966);
  near(result?.high, -0.7986439248746979);
});

test('from printed means and deviations it finds what the tables of the paper hold', () => {
  // Table I, five trials: SGDM on CIFAR-10 t = 2.5, Adam on MNIST t = .7.
  const sample = (mean: number, deviation: number): { count: number; mean: number; deviation: number } => ({ count: 5, mean, deviation }); // prettier-ignore
  const sgdm = welch(sample(95.54, 0.2), sample(95.25, 0.16));
  near(sgdm?.t, 2.5318098221647753);
  near(sgdm?.p, 0.036485027002213115);
  near(welch(sample(98.23, 0.38), sample(98.06, 0.35))?.t, 0.7358, 1e-3);
});

test('without spread or with one value there is no test', () => {
  assert.is(welch(describeSample([1]), describeSample([1, 2])), undefined);
  assert.is(welch(describeSample([1, 1]), describeSample([2, 2])), undefined);
  assert.is(paired([1], [2]), undefined);
});

test('paired values are tested by their differences', () => {
  const result = paired([3, 5, 8], [1, 2, 4]);
  // Differences 2, 3, 4: mean 3, deviation 1, error 1 / sqrt(3).
  near(result?.t, 3 * Math.sqrt(3));
  assert.is(result?.freedom, 2);
});

const line = (epoch: number, trainLoss: number, testAccuracy: number): EpochMetrics => ({
  epoch,
  trainLoss,
  testAccuracy,
  trainAccuracy: 0,
  testLoss: 0,
  seconds: 10,
  inputSeconds: 0,
  learningRate: 0.1,
  keepProbability: 1,
  weightDecay: 0,
});

test('a level is reached at the end of the first epoch that has it, and not reaching it is said', () => {
  const metrics = [line(1, 0.9, 70), line(2, 0.5, 80), line(3, 0.6, 79)];
  assert.equal(crossing(metrics, 'trainLoss', 0.5, 100), { epoch: 2, steps: 200, seconds: 20 });
  assert.equal(crossing(metrics, 'testAccuracy', 70, 100), { epoch: 1, steps: 100, seconds: 10 });
  assert.is(crossing(metrics, 'trainLoss', 0.4, 100), undefined);
  assert.is(lossArea(metrics), 2);
  assert.is(bestEpoch(metrics, 'testAccuracy')?.epoch, 2);
  assert.is(bestEpoch(metrics, 'testError')?.epoch, 2);
  assert.is(valueOf(metrics[0] as EpochMetrics, 'testError'), 30);
  assert.ok(Number.isNaN(valueOf(metrics[0] as EpochMetrics, 'top5')));
});

test.run();
