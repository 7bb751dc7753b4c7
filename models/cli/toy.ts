import { runToy } from 'learning-rate-dropout/ref';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { UsageError, unknownName } from '../errors.ts';
import { renderToy } from '../report/toy.ts';
import { writeWhole } from '../runs/runFolder.ts';
import { parse, readSeed } from './options.ts';

function readStart(text: string): { x: number; y: number } {
  const [x, y, ...rest] = text.split(',').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (rest.length > 0 || !Number.isFinite(x) || !Number.isFinite(y)) {
    throw new UsageError(`--start must be two numbers as in -3,1.5, got ${JSON.stringify(text)}`);
  }
  return { x: x as number, y: y as number };
}

/**
 * `lrd toy [--out FILE.html]`: the paper's Fig. 3. Descents on eq. (9) of each rule with and without LRD, drawn over the contours,
 * and a table of how many starts of a grid end in which minimum.
 */
export function toyCommand(args: readonly string[]): void {
  const options = parse(args, {
    out: { type: 'string' },
    rule: { type: 'string', multiple: true },
    keep: { type: 'string' },
    lr: { type: 'string' },
    steps: { type: 'string' },
    grid: { type: 'string' },
    start: { type: 'string', multiple: true },
    seed: { type: 'string' },
  });
  const rules = options.texts('rule');
  const unknown = rules.find((rule) => !Object.hasOwn(RULES, rule));
  if (unknown !== undefined) throw unknownName('--rule', unknown, Object.keys(RULES));
  const starts = options.texts('start').map(readStart);
  const keepProbability = options.number('keep', 'a number in [2^-16, 1]', (p) => p >= 2 ** -16 && p <= 1);
  const learningRate = options.number('lr', 'a number above 0', (value) => value > 0);
  const steps = options.whole('steps');
  const grid = options.whole('grid');
  const seed = readSeed(options);
  const result = runToy({
    ...(rules.length === 0 ? {} : { rules: rules as RuleName[] }),
    ...(starts.length === 0 ? {} : { starts }),
    ...(keepProbability === undefined ? {} : { keepProbability }),
    ...(learningRate === undefined ? {} : { learningRate }),
    ...(steps === undefined ? {} : { steps }),
    ...(grid === undefined ? {} : { grid }),
    ...(seed === undefined ? {} : { seed }),
  });
  console.log('rule      learning rate  keep probability  steps  global minimum  local minimum  elsewhere');
  for (const { rule, learningRate: rate, keepProbability: p, steps: n, ends } of result.counts) {
    const cells = [rate, p, n, ends.global, ends.local, ends.elsewhere].map(String);
    const widths = [13, 16, 5, 14, 13, 9];
    console.log(`${rule.padEnd(8)}  ${cells.map((cell, i) => cell.padStart(widths[i] as number)).join('  ')}`);
  }
  const out = options.text('out');
  if (out === undefined) return;
  writeWhole(out, renderToy(result));
  console.log(out);
}
