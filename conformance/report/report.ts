/** The report of a run, as data. Its schema is `REPORT_SCHEMA`. */
import { REQUIREMENTS } from 'learning-rate-dropout/spec';
import type { Judgement } from '../judge/run.ts';
import { stringify } from '../protocol/numbers.ts';
import { PROTOCOL_VERSION } from '../protocol/types.ts';

export interface Unavailable {
  readonly adapter: string;
  readonly reason: string;
}

/** One planted wrong implementation: which requirements it failed. */
export interface KillRow {
  /** Its name. */
  readonly fault: string;
  /** What is wrong with it, in a sentence. */
  readonly what: string;
  /** The requirement that names it. */
  readonly caughtBy: string;
  /** Ids of all requirements that failed on it. */
  readonly failed: readonly string[];
  /** Whether the requirement that names it failed. */
  readonly caught: boolean;
}

/** What `lrd conformance --json` writes. */
export interface ConformanceReport {
  /** Of this form. */
  readonly version: 2;
  /** The version of the conformance protocol. */
  readonly protocol: number;
  /** When, in ISO 8601. */
  readonly date: string;
  /** That the cases were drawn with. */
  readonly seed: number;
  /** Something was judged, no implementation breaks a MUST, and every planted fault was caught. */
  readonly passed: boolean;
  /** What was judged, with its source. */
  readonly requirements: readonly {
    readonly id: string;
    readonly level: 'MUST' | 'SHOULD';
    readonly statement: string;
    readonly locus: string;
  }[];
  /** One for each implementation. */
  readonly judgements: readonly Judgement[];
  /** Adapters that cannot run on this machine, with the reason. */
  readonly unavailable: readonly Unavailable[];
  /** Which planted faults were caught. */
  readonly kills: readonly KillRow[];
}

export function makeReport(
  parts: Pick<ConformanceReport, 'seed' | 'judgements' | 'unavailable' | 'kills'>,
): ConformanceReport {
  const requirements = REQUIREMENTS.filter(({ binds }) => binds === 'implementation').map(
    ({ id, level, statement, locus }) => ({ id, level, statement, locus }),
  );
  const musts = new Set(requirements.filter(({ level }) => level === 'MUST').map(({ id }) => id));
  const broken = parts.judgements.some((judgement) =>
    judgement.requirements.some(({ requirement, status }) => status === 'failed' && musts.has(requirement)),
  );
  // That answers follow the protocol is not yet a requirement of learning rate dropout.
  const judged = parts.judgements.some(({ verdicts }) =>
    verdicts.some(({ status, property }) => status !== 'skipped' && property !== 'LRD-PROTO-001'),
  );
  return {
    version: 2,
    protocol: PROTOCOL_VERSION,
    date: new Date().toISOString(),
    passed: !broken && (judged || parts.judgements.length === 0) && parts.kills.every(({ caught }) => caught),
    requirements,
    ...parts,
  };
}

/** Where the mistakes are described, a row each with the mistake's name for an anchor. */
export const GUIDE = 'conformance/GUIDE.md';

/** The verdict in a sentence. */
export function verdictLine({ passed, judgements, requirements, kills }: ConformanceReport): string {
  const musts = new Set(requirements.filter(({ level }) => level === 'MUST').map(({ id }) => id));
  const broken = judgements.filter((judgement) =>
    judgement.requirements.some(({ requirement, status }) => status === 'failed' && musts.has(requirement)),
  );
  if (broken.length > 0) {
    const who = judgements.length === 1 ? '' : ` by ${broken.length} of ${judgements.length} implementations`;
    return `a MUST is broken${who}`;
  }
  if (kills.some(({ caught }) => !caught)) return 'a planted fault was not caught';
  return passed ? 'every MUST that could be judged holds' : 'nothing was judged';
}

/** The command that runs one property again, with the same cases. */
export function replayCommand(adapter: string, seed: number, property: string): string {
  const quoted = /^[\w:.-]+$/.test(adapter) ? adapter : `'${adapter.replaceAll("'", `'\\''`)}'`;
  // An answer to `start` is none of the properties that can be chosen.
  const only = property === 'LRD-PROTO-001' ? '' : ` --only ${property}$`;
  return `npx lrd conformance --adapter ${quoted} --seed ${seed}${only}`;
}

/** The report as JSON; NaN, the infinities and -0 in cases are strings, as in the protocol. */
export function reportToJson(report: ConformanceReport): string {
  return `${stringify(report)}\n`;
}

const text = { type: 'string' } as const;
const count = { type: 'integer', minimum: 0 } as const;
const list = (items: object): object => ({ type: 'array', items });
const record = (properties: Readonly<Record<string, object>>, optional: readonly string[] = []): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const status = { enum: ['passed', 'failed', 'skipped'] } as const;

/** JSON Schema (2020-12) of the report. */
export const REPORT_SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Report of a conformance run',
  ...record({
    version: { const: 2 },
    protocol: { const: PROTOCOL_VERSION },
    date: text,
    seed: count,
    passed: { type: 'boolean' },
    requirements: list(record({ id: text, level: { enum: ['MUST', 'SHOULD'] }, statement: text, locus: text })),
    judgements: list(
      record(
        {
          adapter: text,
          implementation: { type: 'object' },
          seed: count,
          seconds: { type: 'number' },
          requirements: list(record({ requirement: text, status, reason: text }, ['reason'])),
          diagnoses: list(
            record(
              {
                mistake: text,
                words: text,
                mend: text,
                sure: { type: 'number', minimum: 0, maximum: 1 },
                explains: list(text),
              },
              ['mistake', 'mend'],
            ),
          ),
          verdicts: list(
            record(
              {
                property: text,
                requirements: list(text),
                title: text,
                status,
                cases: count,
                seconds: { type: 'number' },
                reason: text,
                notes: list(text),
                counterexample: record(
                  {
                    cases: list({ type: 'object' }),
                    message: text,
                    expected: text,
                    got: text,
                    position: record({ index: count, tensor: count, element: count }),
                    formula: list(text),
                    traits: list(text),
                  },
                  ['position', 'formula', 'traits'],
                ),
                unfinished: record({ planned: count, asked: count }),
                unjudged: list(text),
              },
              ['reason', 'notes', 'counterexample', 'unfinished', 'unjudged'],
            ),
          ),
        },
        ['diagnoses'],
      ),
    ),
    unavailable: list(record({ adapter: text, reason: text })),
    kills: list(record({ fault: text, what: text, caughtBy: text, failed: list(text), caught: { type: 'boolean' } })),
  }),
} as const;
