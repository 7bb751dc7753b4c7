import { evaluateRun } from '../runs/evaluateRun.ts';
import { columnsOf, wrapped } from '../terminal.ts';
import type { TestMetrics } from '../tasks/task.ts';
import type { Call } from './table/row.ts';
import type { EVALUATE } from './table/train.ts';

const percent = (value: number): string => `${value.toFixed(2)} %`;

/** In the order in which they are shown. */
const ROWS: readonly (readonly [keyof TestMetrics, string, (value: number) => string])[] = [
  ['testLoss', 'test loss', (value) => value.toFixed(4)],
  ['testAccuracy', 'test accuracy', percent],
  ['top5', 'top-5 accuracy', percent],
  ['meanIoU', 'mean IoU', percent],
  ['pixelAccuracy', 'pixel accuracy', percent],
  ['mAP', 'mAP, 11 points', percent],
  ['mAPArea', 'mAP, area', percent],
  ['validationLoss', 'validation loss', (value) => value.toFixed(4)],
  ['validationAccuracy', 'validation accuracy', percent],
];

/** `lrd evaluate RUN`: tests the network of a run's checkpoint again. */
export async function evaluateCommand({ words, options }: Call<typeof EVALUATE>): Promise<void> {
  const folder = words.run;
  const { config, backend, epochs, batches, examples, metrics } = await evaluateRun({
    folder,
    dataDir: options['data-dir'],
    backend: options.backend,
  });
  const { recipe, data } = config;
  if (options.json) {
    console.log(JSON.stringify({ folder, recipe, data, backend, epochs, batches, examples, ...metrics }, null, 2));
    return;
  }
  const within = batches === 0 ? '' : ` and ${batches} batches`;
  const what = `${folder}: ${recipe} after ${epochs} epochs${within}, on ${examples} test images of ${data}, ${backend}`;
  console.log(wrapped(what, columnsOf()));
  const rows = ROWS.flatMap(([name, label, format]) => {
    const value = metrics[name];
    return value === undefined ? [] : [[label, format(value)] as const];
  });
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, value] of rows) console.log(`${label.padEnd(width)}   ${value}`);
}
