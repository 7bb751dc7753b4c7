import { readFileSync } from 'node:fs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { README, keptAccount, withAccount } from './account.ts';
import type { Ran } from './analysis/account.ts';
import { accountOf } from './analysis/account.ts';
import { masks } from './definitions/masks.ts';
import type { CellOutcome } from './results.ts';
import { maskCells as cells } from './testing/maskCells.ts';

const test = suite('models/experiments/account');

const ran = (...all: readonly (readonly CellOutcome[])[]): Ran => ({
  experiment: masks,
  outcome: { experiment: 'masks', scale: 'full', overlay: {}, cells: all.flat() },
});

const account = (...all: readonly (readonly CellOutcome[])[]): readonly string[] | undefined =>
  accountOf([ran(...all)]);

const NONE = cells('adam/none', [[1, 97], [1.2, 97.2], [1.1, 97.1]]); // prettier-ignore
const SLOWER = cells('adam/lrd', [[1.5, 97.1], [1.7001, 97.1], [1.6, 97.2]]); // prettier-ignore
const AS_SLOW = cells('adam/lr*0.5', [[1.51, 97.1], [1.69, 97.2], [1.6, 97.1]]); // prettier-ignore
const SLOWER_YET = cells('adam/lr*0.5', [[1.9, 97.1], [2.1101, 97.2], [2.02, 97.1]]); // prettier-ignore

test('the README says of LRD what the kept results tell by rule, and nothing else', () => {
  const text = readFileSync(README, 'utf8');
  assert.is(withAccount(text, keptAccount()), text, 'npm run -s ts -- models/experiments/scripts/account.ts --write');
});

test('an effect that the control has too is a smaller step’s; one that it lacks is not', () => {
  const [speed, end, control] = account(NONE, SLOWER, AS_SLOW) ?? [];
  assert.match(speed ?? '', /^Of 1 comparisons .*fcnet on mnist; Adam; the paper’s rates; 100 epochs; 3 seeds\), LRD at p = \.5 trained faster in 0, slower in 1, and in 0 no difference/); // prettier-ignore
  assert.match(end ?? '', /test accuracy in 0, with a worse one in 0, and in 1 no difference can be told\.$/);
  assert.match(control ?? '', /better in 0, worse in 0, and in 1 nothing tells them apart: as far as can be told, it does what a smaller step does\.$/); // prettier-ignore
  assert.match(
    account(NONE, SLOWER, SLOWER_YET)?.[2] ?? '',
    /better in 1, worse in 0, and in 0 nothing tells them apart: so a smaller step does not explain all that it does\.$/,
  );
  assert.match(account(NONE, SLOWER)?.[2] ?? '', /^Of 0 comparisons .* is not told\.$/);
});

test('the comparisons of several experiments are counted together, each by its own rule', () => {
  const one = ran(NONE, SLOWER, AS_SLOW);
  const [speed, , control] = accountOf([one, ran(NONE), one]) ?? [];
  assert.match(
    speed ?? '',
    /^Of 2 comparisons .* 3 seeds\) and \(fcnet .* 3 seeds\), LRD .* faster in 0, slower in 2,/,
  );
  assert.match(control ?? '', /^Of 2 comparisons .* in 2 nothing tells them apart/);
});

test('one seed tells nothing, and neither do other kinds of mask', () => {
  assert.is(account(NONE.slice(0, 1), SLOWER.slice(0, 1)), undefined);
  assert.is(account(NONE, cells('adam/magma', [[0.5, 98], [0.6, 98], [0.7, 98.1]])), undefined); // prettier-ignore
  assert.is(account(NONE), undefined);
});

test('a README without its marks is refused', () => {
  assert.throws(() => withAccount('# A project\n', ['x']), /must have <!-- account: .* and <!-- \/account -->/);
});

test.run();
