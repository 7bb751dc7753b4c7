import { NOT_ASKED } from '../judge/run.ts';
import { stringify } from '../protocol/numbers.ts';
import type { ConformanceReport } from './report.ts';
import { replayCommand } from './report.ts';

const CASE_LIMIT = 600;

const cut = (line: string, limit: number): string => (line.length <= limit ? line : `${line.slice(0, limit)} ...`);

/** The report in a terminal's lines: a summary an implementation, and each failure with its counterexample. */
export function reportToText(report: ConformanceReport): string {
  const statements = new Map(report.requirements.map(({ id, ...rest }) => [id, rest]));
  const lines: string[] = [];
  for (const { adapter, implementation, requirements, verdicts, seconds } of report.judgements) {
    const count = (status: string): number => requirements.filter((r) => r.status === status).length;
    const cases = verdicts.filter(({ property }) => property !== 'LRD-PROTO-001').reduce((sum, v) => sum + v.cases, 0);
    const mark = count('failed') > 0 ? 'FAIL' : 'ok  ';
    lines.push(
      `${mark} ${adapter.padEnd(16)} ${count('passed')} requirements passed, ${count('failed')} failed, ` +
        `${count('skipped')} not judged; ${cases} cases, ${implementation.precision}, ${seconds.toFixed(1)} s`,
    );
    for (const { requirement, status, reason } of requirements) {
      if (status === 'skipped' && reason !== NOT_ASKED)
        lines.push(`       not judged: ${requirement}: ${reason ?? ''}`);
    }
    for (const { property, requirements: ids, title, status, counterexample } of verdicts) {
      if (status !== 'failed' || counterexample === undefined) continue;
      const [id = property] = ids;
      const { level = 'MUST', statement = '', locus = '' } = statements.get(id) ?? {};
      lines.push(
        '',
        `     ${id} (${level}): ${statement}`,
        `       from      ${locus}`,
        `       property  ${title}`,
        `       found     ${counterexample.message}`,
        `       expected  ${cut(counterexample.expected, CASE_LIMIT)}`,
        `       got       ${cut(counterexample.got, CASE_LIMIT)}`,
        ...counterexample.cases.map((example) => `       case      ${cut(stringify(example), CASE_LIMIT)}`),
        `       again     ${replayCommand(adapter, report.seed, property)}`,
        '',
      );
    }
  }
  for (const { adapter, reason } of report.unavailable) lines.push(`skip ${adapter.padEnd(16)} ${reason}`);
  if (report.kills.length > 0) {
    const caught = report.kills.filter((row) => row.caught).length;
    lines.push(`${caught} of ${report.kills.length} planted faults caught by the requirement that names them`);
    for (const row of report.kills) {
      if (!row.caught) lines.push(`     MISSED ${row.fault}: ${row.caughtBy} passes, though it ${row.what}`);
    }
  }
  lines.push(`seed ${report.seed}: ${report.passed ? 'every MUST that could be judged holds' : 'a MUST is broken'}`);
  return lines.join('\n');
}
