import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { findExperiment } from '../experiments/catalogue.ts';
import type { Experiment } from '../experiments/experiment.ts';
import { settingsOf } from '../experiments/plan.ts';
import type { CellOutcome } from '../experiments/results.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { experimentSection } from './experimentSection.ts';
import { sectionsPage } from './page.ts';

const test = suite('models/report/experimentSection');

const overlay = { epochs: 3 };
function cell(
  experiment: Experiment,
  id: string,
  seed: number,
  loss: number,
  changes: Partial<CellOutcome> = {},
): CellOutcome {
  const arm = experiment.arms.find((known) => known.id === id);
  if (arm === undefined) throw new Error(`no arm ${id}`);
  const metrics = [1, 2, 3].map((epoch): EpochMetrics => ({
    epoch,
    trainLoss: loss / epoch,
    trainAccuracy: 95,
    testLoss: loss,
    testAccuracy: 100 - loss / epoch,
    seconds: 10,
    inputSeconds: 0,
    learningRate: 0.1,
    keepProbability: 1,
    weightDecay: 0,
  }));
  const settings = settingsOf(arm, { experiment, scale: 'full', overlay });
  return { arm: id, seed, settings, outcome: 'finished', metrics, backend: 'wasm', node: 'v20', processor: 'a <processor>', examples: { train: 60000, test: 10000 }, ...changes }; // prettier-ignore
}

function page(experiment: Experiment, cells: readonly CellOutcome[]): string {
  const outcome = { experiment: experiment.name, scale: 'full', overlay, cells } as const;
  return sectionsPage('Title', '', [experimentSection(experiment, outcome)]);
}

test('paper and ours stand side by side, with what differs and what is missing', () => {
  const table1 = findExperiment('table1');
  const html = page(table1, [
    cell(table1, 'mnist/adam/p=1', 1, 3),
    cell(table1, 'mnist/adam/p=1', 2, 3.3),
    cell(table1, 'mnist/adam/p=0.5', 1, 6),
    cell(table1, 'mnist/adam/p=0.5', 2, 5.4),
    cell(table1, 'mnist/sgdm/p=1', 1, 1, { outcome: 'unfinished', metrics: [] }),
    cell(table1, 'mnist/radam/p=1', 1, 1, { outcome: 'diverged', metrics: [] }),
  ]);
  assert.match(html, /98\.06 ± 0\.35/);
  assert.match(html, /98\.23 ± 0\.38/);
  // Last epochs: 99 and 98.9; 98 and 98.2.
  assert.match(html, /98\.95 ± 0\.07/);
  assert.match(html, /98\.10 ± 0\.14/);
  assert.match(html, /−0\.85/);
  assert.match(html, /epochs 3 instead of 100/);
  assert.match(html, /2 trials instead of 5/);
  assert.match(html, /5 of 6 runs are done/);
  assert.match(html, /0 of 1, 1 diverged/);
  // Training loss of .1 or less: nobody, within three epochs.
  assert.match(html, /&gt; 3, &gt; 3/);
  assert.match(html, /0 end with a better test accuracy/);
  assert.match(html, /a &lt;processor&gt;/);
  // Figures of data sets without a run are left out.
  assert.match(html, /Fig\. 4/);
  assert.not.match(html, /<b>Fig\. 5/);
  assert.is(html.match(/fill-opacity="0.17"/g)?.length, 6);
});

test('a further metric has a table of its own beside what the paper prints of it', () => {
  const fig9 = findExperiment('fig9');
  const [line] = cell(fig9, 'voc/adam/p=1', 1, 1).metrics as [EpochMetrics];
  const run = (id: string, meanIoU: number, pixelAccuracy: number): CellOutcome =>
    cell(fig9, id, 1, 1, { metrics: [{ ...line, meanIoU, pixelAccuracy }] });
  const html = page(fig9, [run('voc/adam/p=1', 41.25, 80.5), run('voc/adam/p=0.5', 51.5, 85.75)]);
  const [iou, pixels] = ['mean IoU', 'pixel accuracy'].map((name) => html.split(`Paper and ours: ${name}, %`)[1] ?? '');
  const table = (text: string | undefined): string => text?.split('</table>')[0] ?? '';
  for (const value of ['63.70', '68.80', '+5.10', '41.25', '51.50', '+10.25'])
    assert.ok(table(iou).includes(value), value);
  for (const value of ['90.50', '92.10', '+1.60', '80.50', '85.75', '+5.25'])
    assert.ok(table(pixels).includes(value), value);
  assert.match(html, /mean IoU ≥ 50 %/);
  assert.match(html, /<b>Fig\. 9<\/b>/);
});

test('a page needs nothing from elsewhere', () => {
  for (const name of ['table1', 'cost', 'taper-fig1']) {
    const experiment = findExperiment(name);
    const whole = page(
      experiment,
      experiment.arms.map(({ id }, k) => cell(experiment, id, 1, 1 + k / 10)),
    );
    // The page's own script and data aside.
    const html = whole.replaceAll(/<script[^]*?<\/script>/g, '');
    assert.not.match(html, /(src|href)="(?!#)|url\(|@import/);
    assert.not.match(html, /NaN|undefined|Infinity|\[object/);
  }
});

test('a cost is compared in seconds, beside the printed ones', () => {
  const cost = findExperiment('cost');
  const html = page(cost, [cell(cost, 'sgdm/p=1', 1, 1), cell(cost, 'sgdm/p=0.5', 1, 1)]);
  assert.match(html, /31\.3<.*10\.00/);
  assert.match(html, /32\.5/);
  assert.not.match(html, /Speed of convergence/);
});

test.run();
