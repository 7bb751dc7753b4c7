/** Findings in the order in which a reader wants them: by cause, the likeliest cause first. */
import { MISTAKES } from '../diagnosis/mistakes.ts';
import type { Diagnosis, Judgement, Verdict } from '../judge/run.ts';

export interface Cause {
  /** What is wrong, in a sentence. */
  readonly words: string;
  readonly diagnosis?: Diagnosis;
  /** The findings that it explains, the plainest first. */
  readonly findings: readonly Verdict[];
}

/** A case that is short to write is short to read. */
const sizeOf = ({ counterexample }: Verdict): number => JSON.stringify(counterexample?.cases ?? []).length;

/** Broken conversations, once each, however often they came: the seq and the sizes in a message make no difference. */
function brokenConversations(failed: readonly Verdict[]): Cause[] {
  const groups = new Map<string, Verdict[]>();
  for (const verdict of failed.filter(({ requirements }) => requirements.includes('LRD-PROTO-001'))) {
    const kind = verdict.counterexample?.message.replaceAll(/\d+/g, '#') ?? '';
    groups.set(kind, [...(groups.get(kind) ?? []), verdict]);
  }
  return [...groups.values()].map((findings) => ({
    words: `the protocol is broken: ${findings[0]?.counterexample?.message ?? ''}`,
    findings,
  }));
}

/** The causes of a judgement's findings. Every finding stands below one of them. */
export function causesOf({ verdicts, diagnoses = [] }: Judgement): readonly Cause[] {
  const failed = verdicts
    .filter(({ status, counterexample }) => status === 'failed' && counterexample !== undefined)
    .sort((a, b) => sizeOf(a) - sizeOf(b));
  const diagnosed = diagnoses.map((diagnosis): Cause => {
    // What the mistake is known by comes first.
    const known = MISTAKES.find(({ name }) => name === diagnosis.mistake)?.requirements ?? [];
    const place = ({ requirements }: Verdict): number => {
      const at = known.findIndex((requirement) => requirements.includes(requirement));
      return at < 0 ? known.length : at;
    };
    const findings = failed.filter(({ property }) => diagnosis.explains.includes(property));
    return { words: diagnosis.words, diagnosis, findings: findings.sort((a, b) => place(a) - place(b)) };
  });
  const broken = brokenConversations(failed);
  const placed = new Set([...broken, ...diagnosed].flatMap(({ findings }) => findings));
  const rest = failed.filter((verdict) => !placed.has(verdict));
  return [
    ...broken,
    ...diagnosed.filter(({ findings }) => findings.length > 0),
    ...(rest.length === 0 ? [] : [{ words: 'other findings', findings: rest }]),
  ];
}

/** Requirements that were not judged, by the reason. */
export function unjudgedBy({ requirements }: Judgement): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, string[]>();
  for (const { requirement, status, reason = '' } of requirements) {
    if (status === 'skipped') reasons.set(reason, [...(reasons.get(reason) ?? []), requirement]);
  }
  return reasons;
}

/** How sure a diagnosis is, in words for its number. */
export function sureness({ sure, mistake }: Diagnosis): string {
  if (mistake === undefined) return '';
  const percent = `${Math.round(100 * sure)} %`;
  return sure >= 0.9 ? `almost certainly (${percent})` : sure >= 0.6 ? `probably (${percent})` : `perhaps (${percent})`;
}

/** An implementation by the name that it gives itself. */
export function titleOf({ adapter, implementation: { name, version } }: Judgement): string {
  const own = version === undefined ? name : `${name} ${version}`;
  return own === '' ? adapter : own;
}
