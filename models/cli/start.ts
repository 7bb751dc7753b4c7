#!/usr/bin/env node
/** `npm start`: FCNet on the embedded digits with Adam and SGDM, each with and without LRD, and a report. */
import { join } from 'node:path';
import { renderRunReport } from '../report/runReport.ts';
import { consoleProgress } from '../trainer/progress.ts';
import type { Run } from '../runs/runFolder.ts';
import { writeWhole } from '../runs/runFolder.ts';
import { runTraining } from '../runs/runTraining.ts';
import { reportErrors } from './errors.ts';

const EPOCHS = 30;
const ARMS = ['adam', 'sgdm'].flatMap((optimizer) =>
  [1, 0.5].map((keepProbability) => ({ optimizer, keepProbability })),
);

function printTable(runs: readonly Run[]): void {
  const rows = runs.map(({ config, metrics }) => {
    const last = metrics.at(-1);
    const seconds = metrics.reduce((sum, m) => sum + m.seconds, 0);
    return [
      config.optimizer,
      String(config.keepProbability),
      last?.trainLoss.toExponential(2) ?? '-',
      `${last?.testAccuracy.toFixed(2) ?? '-'} %`,
      seconds.toFixed(1),
    ];
  });
  const table = [['optimizer', 'keep probability', 'train loss', 'test accuracy', 'seconds'], ...rows];
  const widths = (table[0] as string[]).map((_, column) =>
    Math.max(...table.map((row) => (row[column] as string).length)),
  );
  console.log();
  for (const row of table) console.log(row.map((cell, column) => cell.padStart(widths[column] as number)).join('   '));
}

await reportErrors(async () => {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(':', '').replace('T', '-');
  const folder = join('runs', `start-${stamp}`);
  const runs: Run[] = [];
  for (const arm of ARMS) {
    const request = {
      ...arm,
      recipe: 'fcnet',
      data: 'digits',
      batchSize: 128,
      epochs: EPOCHS,
      seed: 1n,
      out: join(folder, `${arm.optimizer}-p${arm.keepProbability}`),
    };
    runs.push(await runTraining(request, { progress: consoleProgress() }));
  }
  const report = join(folder, 'report.html');
  writeWhole(report, renderRunReport(runs, 'FCNet on the UCI digits, with and without Learning Rate Dropout'));
  printTable(runs);
  console.log(`\nreport: ${report}`);
});
