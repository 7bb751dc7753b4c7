import { BACKENDS } from '../backend.ts';
import { UsageError } from '../errors.ts';
import { evaluateRun } from '../runs/evaluateRun.ts';
import type { TestMetrics } from '../tasks/task.ts';
import { parse } from './options.ts';

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
];

/** `lrd evaluate RUN`: tests the network of a run's checkpoint again. */
export async function evaluateCommand(args: readonly string[]): Promise<void> {
  const options = parse(args, {
    'data-dir': { type: 'string' },
    backend: { type: 'string' },
    json: { type: 'boolean' },
  });
  const [folder, ...extra] = options.positionals;
  if (folder === undefined) throw new UsageError('lrd evaluate needs a RUN folder');
  if (extra.length > 0) throw new UsageError(`lrd evaluate takes one RUN, got also ${extra.join(' ')}`);
  const { config, backend, epochs, batches, examples, metrics } = await evaluateRun({
    folder,
    dataDir: options.text('data-dir'),
    backend: options.choice('backend', BACKENDS),
  });
  const { recipe, data } = config;
  if (options.flag('json')) {
    console.log(JSON.stringify({ folder, recipe, data, backend, epochs, batches, examples, ...metrics }, null, 2));
    return;
  }
  const within = batches === 0 ? '' : ` and ${batches} batches`;
  console.log(
    `${folder}: ${recipe} after ${epochs} epochs${within}, on ${examples} test images of ${data}, ${backend}`,
  );
  for (const [name, label, format] of ROWS) {
    const value = metrics[name];
    if (value !== undefined) console.log(`${label.padEnd(14)}  ${format(value)}`);
  }
}
