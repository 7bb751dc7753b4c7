import { availableParallelism } from 'node:os';
import { compare } from '../../bench/harness/compare.ts';
import { BENCH_RESULT } from '../../bench/harness/results.ts';
import type { BenchResult } from '../../bench/harness/results.ts';
import { figure, groupText, spreadText } from '../../bench/harness/table.ts';
import { renderBenchReport } from '../../bench/report/html.ts';
import { runBench } from '../../bench/run.ts';
import { SUITES } from '../../bench/suites/index.ts';
import { UsageError } from '../errors.ts';
import { writeWhole } from '../runs/runFolder.ts';
import { readAs } from '../storage/form.ts';
import { checkOutputs } from './outputs.ts';
import type { BENCH } from './table/judge.ts';
import type { Call } from './table/row.ts';

function printComparison(path: string, before: BenchResult, after: BenchResult): void {
  const { changes, compared, warnings } = compare(before, after);
  console.log(`against ${path}: ${changes.length} of ${compared} quantities moved by more than their spread`);
  for (const warning of warnings) console.log(`  ${warning}`);
  for (const { what, before: old, after: now, factor } of changes) {
    console.log(`  x ${figure(factor)}  ${what}: ${spreadText(old)} then, ${spreadText(now)} now`);
  }
}

/** As a shell takes it. */
const quoted = (word: string): string => (/^[\w./:=,+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** `lrd bench [SUITE]...`: measures, prints, and writes what was asked for. */
export async function benchCommand({ words, options, args }: Call<typeof BENCH>): Promise<void> {
  const { json, html, only, compare: comparePath } = options;
  const seconds = options['group-seconds'];
  const suites = SUITES.filter(({ name, extra }) =>
    words.suites.length === 0 ? extra !== true : words.suites.includes(name),
  );
  const before =
    comparePath === undefined ? undefined : readAs(comparePath, BENCH_RESULT, undefined, `--compare ${comparePath}`);
  checkOutputs({ json, html });
  const result = await runBench({
    suites,
    full: options.full,
    only,
    threads: options.threads === 'all' ? availableParallelism() : (options.threads ?? 1),
    groupMs: seconds === undefined ? undefined : 1000 * seconds,
    command: ['lrd', 'bench', ...args.map(quoted)].join(' '),
    onSuite: ({ title, about }) => console.log(`# ${title}\n${about}\n`),
    onGroup: (group) => console.log(groupText(group)),
  });
  if (result.suites.every(({ groups }) => groups.length === 0)) {
    throw new UsageError(`--only must match the name of a group, got ${JSON.stringify(only?.source)}`);
  }
  for (const warning of result.warnings) console.log(`warning: ${warning}`);
  if (before !== undefined) printComparison(comparePath as string, before, result);
  if (json !== undefined) writeWhole(json, `${JSON.stringify(result, null, 2)}\n`);
  if (html !== undefined) writeWhole(html, renderBenchReport(result));
}
