/** Judges one implementation: every property, every statistical test, one verdict a requirement. */
import { REQUIREMENTS } from 'learning-rate-dropout/spec';
import type { Adapter, Case, Implementation } from '../protocol/types.ts';
import { measureMasks } from '../statistics/measure.ts';
import { Finding } from './finding.ts';
import { PROPERTIES } from './properties.ts';
import { ProtocolFinding, Skip, contextOf } from './property.ts';
import type { Property } from './property.ts';

export type Status = 'passed' | 'failed' | 'skipped';

export interface Counterexample {
  /** Shrunk; two where runs are compared. */
  readonly cases: readonly Case[];
  readonly message: string;
  readonly expected: string;
  readonly got: string;
}

/** What one property found. */
export interface Verdict {
  readonly property: string;
  readonly requirements: readonly string[];
  readonly title: string;
  readonly status: Status;
  /** Cases that the implementation ran. */
  readonly cases: number;
  readonly seconds: number;
  /** Why it was skipped, or what narrowed it. */
  readonly reason?: string;
  readonly notes?: readonly string[];
  readonly counterexample?: Counterexample;
}

/** One implementation against one requirement: the worst of the properties that judge it. */
export interface RequirementVerdict {
  readonly requirement: string;
  readonly status: Status;
  readonly reason?: string;
}

export interface Judgement {
  readonly adapter: string;
  readonly implementation: Implementation;
  readonly seed: number;
  readonly verdicts: readonly Verdict[];
  readonly requirements: readonly RequirementVerdict[];
  readonly seconds: number;
}

export interface JudgeRunOptions {
  /** Name of the adapter, for the report. */
  readonly adapter: string;
  readonly seed: number;
  /** Only properties whose key starts with one of these. */
  readonly only?: readonly string[];
  /** Stop at the first finding. Default false. */
  readonly firstFinding?: boolean;
  /** Make each failing case as small as it goes. Default true. */
  readonly shrink?: boolean;
  /** Whether to draw the large sample of masks and test it. Default true. */
  readonly statistics?: boolean;
  /** Cases a property draws. Default 25. */
  readonly runs?: number;
  /** Called after each property. */
  readonly progress?: (done: number, total: number, verdict: Verdict) => void;
}

const DEFAULT_RUNS = 25;

/** Each property gets a seed of its own that does not depend on which others run (FNV-1a). */
function seedOf(seed: number, key: string): number {
  let hash = 0x811c9dc5 ^ (seed | 0);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ Math.floor(seed / 2 ** 32), 0x01000193);
  }
  return hash | 0;
}

async function judgeProperty(adapter: Adapter, property: Property, options: JudgeRunOptions): Promise<Verdict> {
  const start = performance.now();
  const { key, requirements, title } = property;
  const context = contextOf(adapter, {
    seed: seedOf(options.seed, key),
    runs: options.runs ?? DEFAULT_RUNS,
    shrink: options.shrink ?? true,
  });
  const verdict = (status: Status, more: Partial<Verdict> = {}): Verdict => ({
    property: key,
    requirements,
    title,
    status,
    cases: context.cases(),
    seconds: (performance.now() - start) / 1000,
    ...(context.notes.length === 0 ? {} : { notes: context.notes }),
    ...more,
  });
  const reason = property.skip(adapter.implementation);
  if (reason !== undefined) return verdict('skipped', { reason });
  try {
    await property.run(context);
  } catch (error) {
    if (error instanceof Skip) return verdict('skipped', { reason: error.message });
    if (!(error instanceof Finding)) throw error;
    const { message, expected, got, cases } = error;
    return verdict('failed', {
      counterexample: { cases, message, expected, got },
      ...(error instanceof ProtocolFinding ? { requirements: ['LRD-PROTO-001'] } : {}),
    });
  }
  const skipped = [...context.skips.values()].reduce((sum, n) => sum + n, 0);
  if (skipped === 0) return verdict('passed');
  const why = [...context.skips.keys()].join('; ');
  // What was never judged has not passed.
  if (skipped >= context.cases()) return verdict('skipped', { reason: why });
  return verdict('passed', { reason: `${skipped} of ${context.cases()} cases skipped: ${why}` });
}

/** Reason of requirements that `only` leaves out. */
export const NOT_ASKED = 'not asked for';

const UNJUDGED: Readonly<Record<string, string>> = {
  'LRD-ALG-001': 'the protocol hands gradients out: where they are taken is not seen',
  'LRD-ERROR-005': 'the protocol carries only well-formed seeds',
  'LRD-DEC-008': 'judged by benchmarks',
};

/** The worst status of the properties that judge each requirement that binds implementations. */
function summarize(verdicts: readonly Verdict[]): RequirementVerdict[] {
  return REQUIREMENTS.filter(({ binds }) => binds === 'implementation').map(({ id }): RequirementVerdict => {
    const own = verdicts.filter(({ requirements }) => requirements.includes(id));
    if (own.some(({ status }) => status === 'failed')) return { requirement: id, status: 'failed' };
    const skipped = own.filter(({ status }) => status === 'skipped');
    const reasons = [...new Set(own.flatMap(({ reason }) => (reason === undefined ? [] : [reason])))].join('; ');
    if (own.length === skipped.length) {
      return {
        requirement: id,
        status: 'skipped',
        reason: reasons === '' ? (UNJUDGED[id] ?? NOT_ASKED) : reasons,
      };
    }
    return { requirement: id, status: 'passed', ...(reasons === '' ? {} : { reason: reasons }) };
  });
}

/** Runs the kit over an open adapter. The adapter stays open. */
export async function judge(adapter: Adapter, options: JudgeRunOptions): Promise<Judgement> {
  const start = performance.now();
  const chosen = [...PROPERTIES, ...(options.statistics === false ? [] : measureMasks(options.seed))].filter(
    ({ key }) => options.only === undefined || options.only.some((prefix) => key.startsWith(prefix)),
  );
  const verdicts: Verdict[] = [];
  for (const property of chosen) {
    const verdict = await judgeProperty(adapter, property, options);
    verdicts.push(verdict);
    options.progress?.(verdicts.length, chosen.length, verdict);
    if (verdict.status === 'failed' && options.firstFinding === true) break;
  }
  const broken = verdicts.some(({ requirements }) => requirements.includes('LRD-PROTO-001'));
  if (!broken && verdicts.some(({ cases }) => cases > 0)) {
    verdicts.push({
      property: 'LRD-PROTO-001',
      requirements: ['LRD-PROTO-001'],
      title: 'Every answer follows the protocol',
      status: 'passed',
      cases: verdicts.reduce((sum, { cases }) => sum + cases, 0),
      seconds: 0,
    });
  }
  return {
    adapter: options.adapter,
    implementation: adapter.implementation,
    seed: options.seed,
    verdicts,
    requirements: summarize(verdicts),
    seconds: (performance.now() - start) / 1000,
  };
}
