import { relative } from 'node:path';
import { foreignText } from 'learning-rate-dropout/internal';
import { listRuns } from '../runs/listRuns.ts';
import type { FoundRun } from '../runs/listRuns.ts';
import { readRun } from '../runs/runFolder.ts';
import type { Run } from '../runs/runFolder.ts';
import { shortName } from '../storage/modules.ts';
import { columnsOf, table, wrapped } from '../terminal.ts';
import { differingSettings, settingsOf } from '../runs/settingsOf.ts';
import type { EpochMetrics } from '../trainer/epochMetrics.ts';
import type { DIFF, RUNS } from './table/experiment.ts';
import type { Call } from './table/row.ts';

/** Characters of a cell, at most: longer than any path. */
const LONGEST = 8192;

/** A table for the terminal; what comes from files is made visible first. */
function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map((cell) => foreignText(cell, LONGEST)));
  return table(head, cells, columnsOf());
}

/** JSON with blanks at which a line can be broken. */
const readable = (value: string): string =>
  /^[[{]/.test(value) ? value.replaceAll(/([,:])(?=["[{\dtfn-])/g, '$1 ') : value;

const percent = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(2));

const best = (metrics: readonly EpochMetrics[]): number | undefined =>
  metrics.reduce<number | undefined>((top, { testAccuracy }) => Math.max(top ?? testAccuracy, testAccuracy), undefined);

/** What is shown of every run, whether it differs or not. */
const ALWAYS = ['recipe', 'data', 'optimizer', 'keepProbability'];

function rowOf(found: FoundRun, root: string, settings: readonly string[]): string[] {
  const name = relative(root, found.folder) || '.';
  if (found.state === 'broken') return [name, 'broken', '', '', '', ...settings.map(() => '')];
  const { config, metrics } = found.run;
  const values = settingsOf(config);
  return [
    name,
    found.state,
    `${metrics.length}/${config.epochs}`,
    percent(metrics.at(-1)?.testAccuracy),
    percent(best(metrics)),
    ...settings.map((setting) => readable(shortName(values.get(setting) ?? '-'))),
  ];
}

/** `lrd runs [DIR]`: a table of the runs below a folder. */
export function runsCommand({ words, options }: Call<typeof RUNS>): void {
  const root = words.dir ?? 'runs';
  const found = listRuns(root);
  if (options.json) {
    for (const entry of found) {
      const { folder, state } = entry;
      if (entry.state === 'broken') console.log(JSON.stringify({ folder, state, why: entry.why }));
      else {
        const { config, metrics } = entry.run;
        console.log(
          JSON.stringify({ folder, state, epochsDone: metrics.length, config, last: metrics.at(-1) ?? null }),
        );
      }
    }
    return;
  }
  if (found.length === 0) {
    console.log(`no runs below ${root}`);
    return;
  }
  const configs = found.flatMap((entry) => (entry.state === 'broken' ? [] : [entry.run.config]));
  const settings = [...ALWAYS, ...differingSettings(configs).filter((name) => !ALWAYS.includes(name))];
  const head = ['run', 'state', 'epochs', 'accuracy %', 'best %', ...settings];
  console.log(
    textTable(
      head,
      found.map((entry) => rowOf(entry, root, settings)),
    ),
  );
  for (const entry of found)
    if (entry.state === 'broken') console.log(wrapped(`broken: ${foreignText(entry.why, LONGEST)}`, columnsOf()));
}

/** The curves that `lrd diff` compares, with the digits that it shows. */
const CURVES = [
  ['trainLoss', 'train loss', 4],
  ['trainAccuracy', 'train accuracy %', 2],
  ['testLoss', 'test loss', 4],
  ['testAccuracy', 'test accuracy %', 2],
  ['validationLoss', 'validation loss', 4],
  ['validationAccuracy', 'validation accuracy %', 2],
  ['meanIoU', 'mean IoU %', 2],
  ['mAP', 'mAP %', 2],
] as const;

/** Epochs that are shown of long curves, the first and the last among them. */
const SHOWN = 12;

function shownEpochs(count: number): number[] {
  if (count <= SHOWN) return Array.from({ length: count }, (_, k) => k + 1);
  return Array.from({ length: SHOWN }, (_, k) => 1 + Math.round((k * (count - 1)) / (SHOWN - 1)));
}

function curveRows(a: Run, b: Run, key: (typeof CURVES)[number][0], digits: number): string[][] {
  const both = Math.min(a.metrics.length, b.metrics.length);
  return shownEpochs(both).map((epoch) => {
    const [there, here] = [a, b].map(({ metrics }) => metrics[epoch - 1]?.[key]);
    const show = (value: number | undefined): string => (value === undefined ? '-' : value.toFixed(digits));
    const change =
      there === undefined || here === undefined ? '-' : `${here >= there ? '+' : ''}${(here - there).toFixed(digits)}`;
    return [String(epoch), show(there), show(here), change];
  });
}

/** The first epoch in which two runs are not the same, times left out; undefined where they are, as far as both go. */
function firstDifference(a: Run, b: Run): number | undefined {
  const same = (x: EpochMetrics, y: EpochMetrics): boolean =>
    JSON.stringify({ ...x, seconds: 0, inputSeconds: 0 }) === JSON.stringify({ ...y, seconds: 0, inputSeconds: 0 });
  const both = Math.min(a.metrics.length, b.metrics.length);
  for (let k = 0; k < both; k++) if (!same(a.metrics[k] as EpochMetrics, b.metrics[k] as EpochMetrics)) return k + 1;
  return undefined;
}

/** `lrd diff A B`: what differs between two runs, settings and curves. */
export function diffCommand({ words, options }: Call<typeof DIFF>): void {
  const [a, b] = [readRun(words.a), readRun(words.b)];
  const names = differingSettings([a.config, b.config]);
  const [there, here] = [settingsOf(a.config), settingsOf(b.config)];
  const first = firstDifference(a, b);
  if (options.json) {
    const settings = Object.fromEntries(names.map((name) => [name, [there.get(name) ?? null, here.get(name) ?? null]]));
    const curves = Object.fromEntries(
      CURVES.map(([key]) => [key, [a, b].map(({ metrics }) => metrics.map((line) => line[key] ?? null))]),
    );
    console.log(JSON.stringify({ a: a.folder, b: b.folder, settings, firstDifferentEpoch: first ?? null, curves }));
    return;
  }
  for (const [name, { folder }] of [
    ['A', a],
    ['B', b],
  ] as const)
    console.log(`${name}  ${foreignText(folder, LONGEST)}`);
  console.log('');
  if (names.length === 0) console.log('the same settings');
  else {
    const values = (of: typeof there, name: string): string => readable(of.get(name) ?? '-');
    console.log(
      textTable(
        ['setting', 'A', 'B'],
        names.map((name) => [name, values(there, name), values(here, name)]),
      ),
    );
  }
  const both = Math.min(a.metrics.length, b.metrics.length);
  const lengths =
    a.metrics.length === b.metrics.length ? '' : `; ${a.metrics.length} and ${b.metrics.length} epochs are done`;
  if (first === undefined) {
    console.log(`\nthe same curves over ${both} epochs${lengths}`);
    return;
  }
  console.log(`\nthe curves differ from epoch ${first} on${lengths}`);
  for (const [key, title, digits] of CURVES) {
    if ([a, b].some(({ metrics }) => metrics[0]?.[key] === undefined)) continue;
    console.log(`\n${title}`);
    console.log(textTable(['epoch', 'A', 'B', 'B - A'], curveRows(a, b, key, digits)));
  }
}
