import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { masks } from '../definitions/masks.ts';
import type { CellOutcome } from '../results.ts';
import { answersInWords, directionOf } from './answers.ts';
import { paired } from './samples.ts';
import { summarize } from './summary.ts';
import { maskCells as cells } from '../testing/maskCells.ts';

const test = suite('models/experiments/analysis/answers');

const words = (...all: readonly CellOutcome[]): readonly string[] =>
  answersInWords(masks, summarize(masks, { experiment: 'masks', scale: 'full', overlay: {}, cells: all }));

const NONE = cells('sgdm/best/none', [[1, 97], [1.2, 97.2], [1.1, 97.1]]); // prettier-ignore

test('what is told from the arm without a mask and from its control is said, and what is not', () => {
  const faster = cells('sgdm/best/lrd', [[0.5, 98], [0.7001, 98.2], [0.6, 98.1001]]); // prettier-ignore
  const like = cells('sgdm/best/lr*0.5', [[1.01, 97], [1.2, 97.21], [1.12, 97.1]]); // prettier-ignore
  const [claims, count, sentence] = words(...NONE, ...faster, ...like);
  assert.match(claims ?? '', /^Of 1 masked arms, 1 train faster and 0 slower, 1 end with a better test accuracy and 0 with a worse one .* reproduced in those alone\.$/); // prettier-ignore
  assert.match(count ?? '', /^4 comparisons are made, paired by seed.*below 0\.05 \/ 4/);
  assert.match(sentence ?? '', /the best rate of each: LRD, p = 0\.5, learning rate 0\.1, 3 seeds: trains faster \(-0\.5, .*; ends better .*; against the control with its mean step it does better/); // prettier-ignore
});

test('an effect that the control has too may be a smaller step’s; none needs no explanation', () => {
  const slower = cells('sgdm/best/lrd', [[1.5, 97], [1.7001, 97.3], [1.6, 97]]); // prettier-ignore
  const like = cells('sgdm/best/lr*0.5', [[1.51, 97.1], [1.69, 97.2], [1.6, 97.1]]); // prettier-ignore
  const [claims, , sentence] = words(...NONE, ...slower, ...like);
  assert.match(claims ?? '', /not reproduced here\.$/);
  assert.match(sentence ?? '', /trains slower.*no difference at the end can be told.*the effect may be that of a smaller step\.$/); // prettier-ignore
  const same = cells('sgdm/best/lrd', [[1.1, 97.1], [1.1, 97.1], [1.1, 97.1]]); // prettier-ignore
  assert.match(words(...NONE, ...same)[2] ?? '', /no effect is told that a smaller step would have to explain\.$/);
});

test('one seed tells nothing, and no runs say nothing', () => {
  const [claims, few] = words(...NONE.slice(0, 1), ...cells('sgdm/best/lrd', [[0.1, 99]]));
  assert.is(claims, 'Nothing can be told of the papers’ claims yet.');
  assert.match(few ?? '', /^One seed tells no difference/);
  assert.equal(words(), []);
});

test('a difference counts where its p is below the level over the number of comparisons', () => {
  const one = paired([1, 1.1, 1.2], [2, 2.11, 2.19]);
  assert.is(directionOf(one, { comparisons: 1, rising: true }), 'worse');
  assert.is(directionOf(one, { comparisons: 1, rising: false }), 'better');
  assert.is(directionOf(one, { comparisons: 1e9, rising: false }), 'untold');
  assert.is(directionOf(undefined, { comparisons: 1, rising: true }), 'untold');
});

test.run();
