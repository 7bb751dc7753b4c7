import { runToy } from 'learning-rate-dropout/ref';
import { renderToy } from '../report/toy.ts';
import { writeWhole } from '../runs/runFolder.ts';
import { columnsOf, table } from '../terminal.ts';
import { checkOutputs } from './outputs.ts';
import type { TOY } from './table/others.ts';
import type { Call } from './table/row.ts';

/**
 * `lrd toy [--out FILE.html]`: the paper's Fig. 3. Descents on eq. (9) of each rule with and without LRD, drawn over the contours,
 * and a table of how many starts of a grid end in which minimum.
 */
export function toyCommand({ options }: Call<typeof TOY>): void {
  const { rule: rules, start: starts, keep: keepProbability, lr: learningRate, steps, grid, seed, out } = options;
  checkOutputs({ out });
  const result = runToy({
    ...(rules.length === 0 ? {} : { rules }),
    ...(starts.length === 0 ? {} : { starts }),
    ...(keepProbability === undefined ? {} : { keepProbability }),
    ...(learningRate === undefined ? {} : { learningRate }),
    ...(steps === undefined ? {} : { steps }),
    ...(grid === undefined ? {} : { grid }),
    ...(seed === undefined ? {} : { seed }),
  });
  const head = ['rule', 'learning rate', 'keep probability', 'steps', 'global minimum', 'local minimum', 'elsewhere'];
  const rows = result.counts.map(({ rule, learningRate: rate, keepProbability: p, steps: n, ends }) =>
    [rule, rate, p, n, ends.global, ends.local, ends.elsewhere].map(String),
  );
  console.log(table(head, rows, columnsOf()));
  if (out === undefined) return;
  writeWhole(out, renderToy(result));
  console.log(out);
}
