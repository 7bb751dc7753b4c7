import { foreignText } from 'learning-rate-dropout/internal';
import { NOT_ASKED } from '../judge/run.ts';
import type { Judgement, Verdict } from '../judge/run.ts';
import { stringify } from '../protocol/numbers.ts';
import { causesOf, sureness, titleOf, unjudgedBy } from './causes.ts';
import type { Cause } from './causes.ts';
import type { ConformanceReport } from './report.ts';
import { GUIDE, replayCommand, verdictLine } from './report.ts';

/** Characters of a case, of a line, and of the whole. */
const CASE_LIMIT = 600;
const LINE_LIMIT = 1200;
const TEXT_LIMIT = 150_000;
/** Findings of one cause that are written out. */
const SHOWN = 2;
/** Requirements that are named in a line. */
const NAMED = 12;

const cut = (line: string, limit: number): string => (line.length <= limit ? line : `${line.slice(0, limit)} ...`);

function list(names: readonly string[]): string {
  const more = names.length - NAMED;
  return `${names.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Properties by what time left of them. */
function foldedBy(unfinished: readonly Verdict[]): (readonly [string, readonly string[]])[] {
  const reasons = new Map<string, string[]>();
  for (const { property, reason = '' } of unfinished) reasons.set(reason, [...(reasons.get(reason) ?? []), property]);
  return [...reasons];
}

type Statements = ReadonlyMap<string, ConformanceReport['requirements'][number]>;

function findingLines(verdict: Verdict, adapter: string, seed: number, statements: Statements): string[] {
  const { property, requirements: ids, title, counterexample } = verdict;
  if (counterexample === undefined) return [];
  const [id = property] = ids;
  const { level = 'MUST', statement = '', locus = '' } = statements.get(id) ?? {};
  return [
    '',
    `     ${id} (${level}): ${statement}`,
    `       from      ${locus}`,
    `       property  ${title}`,
    `       found     ${counterexample.message}`,
    ...(counterexample.formula ?? []).map((line, i) => `       ${i === 0 ? 'update   ' : '         '} ${line}`),
    `       expected  ${cut(counterexample.expected, CASE_LIMIT)}`,
    `       got       ${cut(counterexample.got, CASE_LIMIT)}`,
    ...counterexample.cases.map((example) => `       case      ${cut(stringify(example), CASE_LIMIT)}`),
    `       again     ${replayCommand(adapter, seed, property)}`,
  ];
}

function causeLines(
  { words, diagnosis, findings }: Cause,
  judgement: Judgement,
  seed: number,
  statements: Statements,
): string[] {
  const sure = diagnosis === undefined ? '' : sureness(diagnosis);
  const rest = findings.slice(SHOWN);
  return [
    '',
    `   ${sure === '' ? '' : `${sure}: `}${words}`,
    ...(diagnosis?.mend === undefined ? [] : [`     mend  ${diagnosis.mend}`]),
    ...(diagnosis?.mistake === undefined ? [] : [`     see   ${GUIDE}#${diagnosis.mistake}`]),
    `     ${findings.length === 1 ? '1 finding' : `${findings.length} findings`}: ${list([...new Set(findings.map(({ property }) => property))])}`,
    ...findings.slice(0, SHOWN).flatMap((verdict) => findingLines(verdict, judgement.adapter, seed, statements)),
    ...(rest.length === 0 ? [] : ['', '     and, in a line each:']),
    ...rest.map(({ property, counterexample }) => `       ${property}: ${cut(counterexample?.message ?? '', 200)}`),
  ];
}

function judgementLines(judgement: Judgement, seed: number, statements: Statements): string[] {
  const { adapter, implementation, requirements, verdicts, seconds } = judgement;
  const count = (status: string): number => requirements.filter((r) => r.status === status).length;
  const cases = verdicts.filter(({ property }) => property !== 'LRD-PROTO-001').reduce((sum, v) => sum + v.cases, 0);
  const name = titleOf(judgement) === adapter ? '' : `${titleOf(judgement)}, `;
  const unfinished = verdicts.filter((verdict) => verdict.unfinished !== undefined);
  return [
    `${count('failed') > 0 ? 'FAIL' : 'ok  '} ${adapter.padEnd(16)} ${count('passed')} requirements passed, ${count('failed')} failed, ` +
      `${count('skipped')} not judged; ${cases} cases, ${name}${implementation.precision}, ${seconds.toFixed(1)} s`,
    ...causesOf(judgement).flatMap((cause) => causeLines(cause, judgement, seed, statements)),
    ...(causesOf(judgement).length === 0 ? [] : ['']),
    ...(unfinished.length === 0
      ? []
      : [
          `     time ran out in ${unfinished.length} of ${verdicts.length} properties (--minutes gives more):`,
          ...foldedBy(unfinished).map(([reason, keys]) => `       ${reason}: ${list(keys)}`),
        ]),
    ...[...unjudgedBy(judgement)]
      .filter(([reason]) => reason !== NOT_ASKED)
      .map(([reason, ids]) => `     not judged: ${list(ids)}: ${cut(reason, 300)}`),
  ];
}

/**
 * The report in a terminal's lines: the verdict, then for each implementation a summary, its findings by cause, and what could not be
 * judged.
 */
export function reportToText(report: ConformanceReport): string {
  const statements: Statements = new Map(report.requirements.map((requirement) => [requirement.id, requirement]));
  const lines = [
    `${verdictLine(report)} (seed ${report.seed})`,
    ...report.judgements.flatMap((judgement) => judgementLines(judgement, report.seed, statements)),
    ...report.unavailable.map(({ adapter, reason }) => `skip ${adapter.padEnd(16)} ${reason}`),
  ];
  if (report.kills.length > 0) {
    const caught = report.kills.filter((row) => row.caught).length;
    lines.push(`${caught} of ${report.kills.length} planted faults caught by the requirement that names them`);
    for (const row of report.kills) {
      if (!row.caught) lines.push(`     MISSED ${row.fault}: ${row.caughtBy} passes, though it ${row.what}`);
    }
  }
  const safe = lines.map((line) => line.replace(/[^ ].*/, (text) => foreignText(text, LINE_LIMIT)));
  let length = 0;
  const shown = safe.filter((line) => (length += line.length + 1) < TEXT_LIMIT);
  if (shown.length < safe.length)
    shown.push(`... and ${safe.length - shown.length} lines more: --json FILE has them all`);
  return shown.join('\n');
}
