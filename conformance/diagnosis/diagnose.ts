/**
 * From findings to causes. Each known mistake has a signature: how often it broke which property, and how, when it was planted
 * (`signatures.ts`); and it can be made again on the failing cases (`reproductions.ts`). The likeliest comes first; what it explains is
 * taken away, and the rest is asked again.
 */
import { PROPERTIES } from '../judge/properties.ts';
import type { Property } from '../judge/property.ts';
import type { Diagnosis, DrawnFinding, Judgement, Verdict } from '../judge/run.ts';
import { RULES } from 'learning-rate-dropout/spec';
import type { Implementation } from '../protocol/types.ts';
import { measureMasks } from '../statistics/measure.ts';
import { kindOf, likeness } from './features.ts';
import { MISTAKES } from './mistakes.ts';
import type { Mistake } from './mistakes.ts';
import type { Reproduced } from './replay.ts';
import { reproductions } from './reproductions.ts';
import type { Reproductions } from './reproductions.ts';
import type { Signature } from './signature.ts';
import { SIGNATURES } from './signatures.ts';

/** At most so many causes are named. */
const MAXIMUM_CAUSES = 4;
/** A property that a mistake breaks at least so often counts as explained by it. */
const EXPLAINED = 0.25;
/** And so often even where its numbers are others. */
const USUAL = 0.6;
/** What is less sure than this is no name for a cause, and a second cause must be as sure as that. */
const SURE_AT_ALL = 0.1;
const SURE_ENOUGH = 0.5;
/** Weights of the kinds of evidence, and what any of them may be wrong by. Effects of statistics tell more than a message does. */
const KIND_WEIGHT = 0.7;
const EFFECT_WEIGHT = 1.5;
const REPLAY_WEIGHT = 3;
const SLIP = 0.03;
/** What it is worth to make the numbers that came: all of them, or those of the element that is wrong. */
const REPRODUCED = { whole: 1 - SLIP, element: 0.25 } as const;
/** A mistake that makes everything that came is made in a part of the program only: what passes says little against it. */
const FORGIVEN = 0.3;
/** For how often a mistake breaks a property that it never broke when it was planted: hardly ever, for what is right does not fail. */
const UNSEEN = 0.05;

const SAMPLED = measureMasks(0);
const STATISTICAL = new Set(SAMPLED.map(({ key }) => key));
const propertyOf = new Map<string, Property>([...PROPERTIES, ...SAMPLED].map((one) => [one.key, one]));

/** Whether an implementation of the signature's abilities is judged by a property at all. */
function judges(signature: Signature, key: string): boolean {
  const { masks, features, kinds, statistics } = signature;
  if (!statistics && STATISTICAL.has(key)) return false;
  const able: Implementation = {
    name: '',
    language: '',
    precision: 'float64',
    rules: Object.keys(RULES),
    masks,
    features,
    ...(kinds === undefined ? {} : { kinds }),
  };
  return propertyOf.get(key)?.skip(able) === undefined;
}

/**
 * The chance that a property fails which the signature knows nothing of. Masks that are drawn rightly pass every test of them, whatever is
 * wrong besides: only what a mistake is known by is likely.
 */
function chanceUnknown({ requirements }: Mistake, verdict: Verdict): number {
  if (verdict.requirements.some((id) => requirements.includes(id))) return 0.5;
  return STATISTICAL.has(verdict.property) ? 0.02 : 0.15;
}

function chanceToBreak(signature: Signature, key: string, unseen = 0.3): number {
  const [count = 0] = signature.broke[key] ?? [];
  return (count + unseen) / (signature.runs + 2 * unseen);
}

function chanceOfKind(signature: Signature, key: string, kind: string): number {
  const [count = 0, kinds = {}] = signature.broke[key] ?? [];
  const alike = Object.entries(kinds).reduce((sum, [known, times]) => sum + times * likeness(kind, known), 0);
  return (alike + 0.3) / (count + 1.5);
}

/** Means over what belongs together, so that seven rules that break in one way count once. */
function byRequirement(terms: readonly (readonly [requirement: string, value: number])[]): number {
  const groups = new Map<string, number[]>();
  for (const [requirement, value] of terms) groups.set(requirement, [...(groups.get(requirement) ?? []), value]);
  let sum = 0;
  for (const values of groups.values()) sum += values.reduce((a, b) => a + b, 0) / values.length;
  return sum;
}

type Kinds = ReadonlyMap<string, string>;

/** How a mistake reproduces each finding that can be replayed; undefined where it does not. */
type Replayed = ReadonlyMap<string, Reproduced | undefined>;

/** The share of the requirements whose findings can be replayed that a mistake makes whole. */
function shareMade(replayed: Replayed, failed: readonly Verdict[]): number {
  const groups = new Map<string, boolean>();
  for (const { property, requirements } of failed) {
    if (!replayed.has(property)) continue;
    const group = requirements[0] ?? property;
    groups.set(group, (groups.get(group) ?? true) && replayed.get(property) === 'whole');
  }
  return groups.size === 0 ? 0 : [...groups.values()].filter(Boolean).length / groups.size;
}

function logLikelihood(
  mistake: Mistake,
  signature: Signature,
  verdicts: readonly Verdict[],
  known: ReadonlyMap<string, boolean>,
  kinds: Kinds,
  replayed: Replayed,
): number {
  const share = shareMade(
    replayed,
    verdicts.filter(({ status }) => status === 'failed'),
  );
  const slip = SLIP + share * (FORGIVEN - SLIP);
  return byRequirement(
    verdicts.map((verdict) => {
      const { property, requirements, status } = verdict;
      const group = requirements[0] ?? property;
      if (known.get(property) !== true) {
        const chance = chanceUnknown(mistake, verdict);
        return [group, Math.log(status === 'failed' ? chance : 1 - chance)];
      }
      if (status === 'passed') {
        const unseen = signature.broke[property] === undefined ? UNSEEN : undefined;
        return [group, Math.log(Math.max(slip, 1 - chanceToBreak(signature, property, unseen)))];
      }
      const chance = chanceToBreak(signature, property, UNSEEN);
      if (replayed.get(property) === 'whole') return [group, Math.log(Math.max(0.5, chance))];
      const weight = verdict.counterexample?.traits === undefined ? KIND_WEIGHT : EFFECT_WEIGHT;
      const kind = Math.log(chanceOfKind(signature, property, kinds.get(property) ?? ''));
      return [group, Math.log(Math.max(SLIP, chance)) + weight * kind];
    }),
  );
}

interface Suspect {
  readonly mistake: Mistake;
  readonly score: number;
  readonly explains: readonly string[];
  /** Of the requirements that failed, and of those that it always breaks, the shares that fit. */
  readonly fits: boolean;
}

/** Where a mistake's numbers cannot be foretold, that they are not made again says nothing. */
const chanceToReproduce = ({ random }: Mistake, how: Reproduced | undefined): number =>
  how !== undefined ? REPRODUCED[how] : random === true ? REPRODUCED.element : SLIP;

function suspect(
  mistake: Mistake,
  verdicts: readonly Verdict[],
  replayed: Reproductions['found'],
  kinds: Kinds,
): Suspect {
  const failed = verdicts.filter(({ status }) => status === 'failed');
  const own = new Map([...replayed].map(([property, by]) => [property, by.get(mistake.name)]));
  const reproduces = (property: string): boolean => own.get(property) !== undefined;
  const again = byRequirement(
    failed
      .filter(({ property }) => replayed.has(property))
      .map(({ property, requirements }) => [
        requirements[0] ?? property,
        REPLAY_WEIGHT * Math.log(chanceToReproduce(mistake, own.get(property))),
      ]),
  );
  let best: Suspect | undefined;
  for (const signature of SIGNATURES.filter(
    (one) =>
      (one.mistake ?? mistake.name) === mistake.name &&
      (one.mistake !== undefined || mistake.faults.includes(one.fault)),
  )) {
    const known = new Map(verdicts.map(({ property }) => [property, judges(signature, property)]));
    const score = logLikelihood(mistake, signature, verdicts, known, kinds, own) + again;
    if (best !== undefined && best.score >= score) continue;
    const chance = (verdict: Verdict): number =>
      known.get(verdict.property) === true
        ? chanceToBreak(signature, verdict.property, UNSEEN)
        : chanceUnknown(mistake, verdict);
    const explains = failed
      .filter(
        (verdict) =>
          reproduces(verdict.property) ||
          chance(verdict) >= USUAL ||
          (!replayed.has(verdict.property) &&
            chance(verdict) >= (known.get(verdict.property) === true ? EXPLAINED : 0.1)),
      )
      .map(({ property }) => property);
    const reproduced = failed.filter(({ property }) => reproduces(property)).length;
    const always = verdicts.filter((verdict) => chance(verdict) > 0.85);
    const kept = always.filter(({ status }) => status === 'passed').length;
    // What can be made again and is not, is something else.
    const other =
      mistake.random !== true &&
      reproduced === 0 &&
      2 * failed.filter(({ property }) => own.has(property)).length > failed.length;
    // Either it makes the very numbers, or what it breaks is broken, and little else.
    const fits =
      reproduced > 0 ||
      (!other && explains.length > 0 && 2 * explains.length >= failed.length && 3 * kept <= always.length);
    best = { mistake, score, explains, fits };
  }
  return best ?? { mistake, score: -Infinity, explains: [], fits: false };
}

/** Findings of one kind that no known mistake explains stand together. */
function unknowns(failed: readonly Verdict[], besides: boolean): Diagnosis[] {
  const groups = new Map<string, Verdict[]>();
  for (const verdict of failed) {
    const refused = verdict.counterexample?.message === 'a valid case is refused';
    const kind = refused ? `${verdict.counterexample?.message}: ${verdict.counterexample?.got}` : '';
    groups.set(kind, [...(groups.get(kind) ?? []), verdict]);
  }
  return [...groups].map(([kind, verdicts]) => ({
    words: kind !== '' ? kind : besides ? 'a mistake of no known kind, beside these' : 'a mistake of no known kind',
    sure: 0,
    explains: verdicts.map(({ property }) => property),
  }));
}

/**
 * The causes of a judgement's findings, the one that explains most first.
 *
 * @param drawn by property: what was found, as it was drawn (`JudgeRunOptions.drawn`)
 */
export async function diagnose(
  judgement: Pick<Judgement, 'verdicts' | 'implementation'>,
  drawn: ReadonlyMap<string, DrawnFinding>,
): Promise<readonly Diagnosis[]> {
  // A broken conversation says nothing about what was talked of.
  let open = judgement.verdicts.filter(
    ({ status, requirements, property }) =>
      status !== 'skipped' && !requirements.includes('LRD-PROTO-001') && propertyOf.has(property),
  );
  const failed = (): Verdict[] => open.filter(({ status }) => status === 'failed');
  if (failed().length === 0) return [];
  const { found: replayed, words } = await reproductions(drawn, judgement.implementation);
  const kinds = new Map([...drawn].map(([property, finding]) => [property, kindOf(finding)]));
  const found: Diagnosis[] = [];
  while (failed().length > 0 && found.length < MAXIMUM_CAUSES) {
    const suspects = MISTAKES.map((mistake) => suspect(mistake, open, replayed, kinds)).sort(
      (a, b) => b.score - a.score,
    );
    const first = suspects.find(({ fits }) => fits);
    if (first === undefined || first.explains.length === 0) break;
    // Among those that explain anything.
    const rivals = suspects.filter(({ explains }) => explains.length > 0);
    const total = rivals.reduce((sum, { score }) => sum + Math.exp(score - first.score), 0);
    if (1 / total < (found.length > 0 ? SURE_ENOUGH : SURE_AT_ALL)) break;
    found.push({
      mistake: first.mistake.name,
      words: words.get(first.mistake.name) ?? first.mistake.words,
      mend: first.mistake.mend,
      sure: Math.min(0.99, 1 / total),
      explains: first.explains,
    });
    const taken = new Set(first.explains);
    open = open.filter(({ property }) => !taken.has(property));
  }
  return [...found, ...unknowns(failed(), found.length > 0)];
}
