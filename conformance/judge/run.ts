/** Judges one implementation: every property, every statistical test, one verdict a requirement. */
import { select } from 'learning-rate-dropout/internal';
import { REQUIREMENTS } from 'learning-rate-dropout/spec';
import { OutOfTimeError } from '../protocol/types.ts';
import type { Adapter, Case, Implementation, StepRecord } from '../protocol/types.ts';
import { measureMasks } from '../statistics/measure.ts';
import { Finding } from './finding.ts';
import type { Position } from './finding.ts';
import { writeOut } from './formula.ts';
import { PROPERTIES } from './properties.ts';
import { ProtocolFinding, ROUNDS, Skip, contextOf } from './property.ts';
import type { Property, RunningContext, Tally } from './property.ts';

/** How a property or requirement came out; `skipped`: it was not judged. */
export type Status = 'passed' | 'failed' | 'skipped';

/** The smallest case that was found to break a property. */
export interface Counterexample {
  /** Shrunk; two where runs are compared. */
  readonly cases: readonly Case[];
  /** What is wrong, in a line. */
  readonly message: string;
  /** What was allowed, in words or numbers. */
  readonly expected: string;
  /** What came. */
  readonly got: string;
  /** The element that is wrong, where it is one. */
  readonly position?: Position;
  /** Its steps written out with their numbers. */
  readonly formula?: readonly string[];
  /** Of a statistical finding: what its tests are about, in which direction they are off, and how much. */
  readonly traits?: readonly string[];
}

/** What one property found. */
export interface Verdict {
  /** Its key, which `--only` matches. */
  readonly property: string;
  /** Ids of the requirements that it stands for. */
  readonly requirements: readonly string[];
  /** What it says, in a line. */
  readonly title: string;
  /** How it came out. */
  readonly status: Status;
  /** Cases that the implementation ran. */
  readonly cases: number;
  /** That it took. */
  readonly seconds: number;
  /** Why it was skipped, or what narrowed it. */
  readonly reason?: string;
  /** Remarks for the report, a line each. */
  readonly notes?: readonly string[];
  /** What broke it. */
  readonly counterexample?: Counterexample;
  /** Where time ran out: how many of its cases were asked. */
  readonly unfinished?: Readonly<Tally>;
  /** Requirements that it would have judged, had its case been answered. */
  readonly unjudged?: readonly string[];
}

/** One implementation against one requirement: the worst of the properties that judge it. */
export interface RequirementVerdict {
  /** Its id. */
  readonly requirement: string;
  /** The worst of its properties. */
  readonly status: Status;
  /** Why it was not judged. */
  readonly reason?: string;
}

/** A cause of findings. */
export interface Diagnosis {
  /** A mistake's name; undefined where it is of no known kind. */
  readonly mistake?: string;
  /** What is wrong, in a sentence. */
  readonly words: string;
  readonly mend?: string;
  /** How sure, in [0, 1]: its share of the likelihood of all known mistakes. */
  readonly sure: number;
  /** Keys of the properties whose findings it explains. */
  readonly explains: readonly string[];
}

/** What was found of one implementation. */
export interface Judgement {
  /** As the caller named it. */
  readonly adapter: string;
  /** What it said of itself. */
  readonly implementation: Implementation;
  /** That the cases were drawn with. */
  readonly seed: number;
  /** The outcome of each property. */
  readonly verdicts: readonly Verdict[];
  /** The outcome of each requirement. */
  readonly requirements: readonly RequirementVerdict[];
  /** That it took, by the wall's clock. */
  readonly seconds: number;
  /** Causes of the findings, the likeliest first; absent where nobody asked for them. */
  readonly diagnoses?: readonly Diagnosis[];
}

/** A case of a counterexample, and what it was answered with. */
export interface Evidence {
  readonly example: Case;
  readonly steps: readonly StepRecord[];
}

/** A finding as it was before its case was shrunk, for a diagnosis. */
export interface DrawnFinding extends Pick<Counterexample, 'message' | 'expected' | 'got' | 'position' | 'traits'> {
  /** Cases that were answered with steps; empty where one of them was not. */
  readonly evidence: readonly Evidence[];
}

/** How thoroughly `judge` asks. */
export interface JudgeRunOptions {
  /** Name of the adapter, for the report. */
  readonly adapter: string;
  /** A whole number in [0, 2^53) that all cases are drawn with. */
  readonly seed: number;
  /** Only properties whose key one of these regular expressions matches. */
  readonly only?: readonly (string | RegExp)[];
  /** Stop at the first finding. Default false. */
  readonly firstFinding?: boolean;
  /** Make each failing case as small as it goes. Default true. */
  readonly shrink?: boolean;
  /** Whether to draw the large sample of masks and test it. Default true. */
  readonly statistics?: boolean;
  /** Cases a property draws. Default 25. */
  readonly runs?: number;
  /** Time by `performance.now()` at which judging ends: what has not been asked by then is not judged. Default: never. */
  readonly until?: number;
  /** Called after each property in each round. `total` counts properties times rounds. */
  readonly progress?: (done: number, total: number, verdict: Verdict) => void;
  /** Called with every finding as it was drawn. */
  readonly drawn?: (property: string, finding: DrawnFinding) => void;
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

/** A property between its rounds. */
interface Trial {
  readonly property: Property;
  readonly context: RunningContext;
  seconds: number;
  /** Settled before its last round: a finding, or a reason to skip it. */
  settled?: Pick<Verdict, 'status'> & Partial<Verdict>;
  /** Time ran out in it. */
  late: boolean;
}

/** A mistake is caught, 95 times of 100, by `cases` cases if it shows in this share of all. */
const visibleShare = (cases: number): number => 1 - 0.05 ** (1 / cases);
const percent = (share: number): string => `${Math.ceil(100 * share)} %`;

/** What the time that ran out costs in power. */
function lost({ asked, planned }: Tally): string {
  if (planned === 0) return 'time ran out before its first case';
  const rest =
    asked === 0
      ? ''
      : `; a mistake is caught (95 times of 100) if it shows in ${percent(visibleShare(asked))} of the cases, with all of them in ${percent(visibleShare(planned))}`;
  return `time ran out: ${asked} of ${planned} cases asked${rest}`;
}

function verdictOf({ property, context, seconds, settled, late }: Trial): Verdict {
  const { key, requirements, title } = property;
  const tally = property.whole === true ? { planned: 1, asked: late ? 0 : 1 } : { ...context.tally };
  const verdict = (status: Status, more: Partial<Verdict> = {}): Verdict => ({
    property: key,
    requirements,
    title,
    status,
    cases: context.cases(),
    seconds,
    ...(context.notes.length === 0 ? {} : { notes: [...context.notes] }),
    ...more,
  });
  if (settled !== undefined) return verdict(settled.status, settled);
  const skipped = [...context.skips.values()].reduce((sum, n) => sum + n, 0);
  const why = [...context.skips.keys()].join('; ');
  const unfinished = (late && tally.planned === 0) || tally.asked < tally.planned ? { unfinished: tally } : {};
  const reasons = [
    ...(skipped === 0 ? [] : [`${skipped} of ${context.cases()} cases skipped: ${why}`]),
    ...('unfinished' in unfinished ? [lost(tally)] : []),
  ].join('; ');
  // What was never judged has not passed; nor has what time left less of than the smallest set.
  if ('unfinished' in unfinished && tally.asked < Math.max(1, Math.min(tally.planned, ROUNDS[0] as number))) {
    return verdict('skipped', { reason: reasons === '' ? lost(tally) : reasons, ...unfinished });
  }
  if (skipped > 0 && skipped >= context.cases()) return verdict('skipped', { reason: why });
  return verdict('passed', { ...(reasons === '' ? {} : { reason: reasons }), ...unfinished });
}

/** Where it went wrong, and how it should have come about. The last case is the one that is wrong. */
function explained({ position, cases, answers }: Finding): Pick<Counterexample, 'position' | 'formula'> {
  const example = cases.at(-1);
  if (position === undefined || example === undefined) return {};
  return { position, formula: writeOut(example, answers.at(-1), position) };
}

function drawnOf({ message, expected, got, cases, answers, position, traits }: Finding): DrawnFinding {
  const evidence = cases.flatMap((example, i): Evidence[] => {
    const steps = answers[i];
    return steps === undefined ? [] : [{ example, steps }];
  });
  return {
    message,
    expected,
    got,
    ...(position === undefined ? {} : { position }),
    ...(traits === undefined ? {} : { traits }),
    evidence: evidence.length === cases.length ? evidence : [],
  };
}

/** One round of one property. */
async function judgeRound(trial: Trial, options: JudgeRunOptions): Promise<void> {
  const { property, context } = trial;
  const start = performance.now();
  try {
    await property.run(context);
  } catch (error) {
    if (error instanceof OutOfTimeError) trial.late = true;
    else if (error instanceof Skip) trial.settled = { status: 'skipped', reason: error.message };
    else if (error instanceof Finding) {
      const { message, expected, got, cases, traits } = error;
      trial.settled = {
        status: 'failed',
        counterexample: {
          cases,
          message,
          expected,
          got,
          ...explained(error),
          ...(traits === undefined ? {} : { traits }),
        },
        ...(error instanceof ProtocolFinding
          ? { requirements: ['LRD-PROTO-001'], unjudged: property.requirements }
          : {}),
      };
      options.drawn?.(property.key, drawnOf(error.drawn));
    } else throw error;
  } finally {
    trial.seconds += (performance.now() - start) / 1000;
  }
  if (performance.now() >= (options.until ?? Infinity)) trial.late ||= context.tally.asked < context.tally.planned;
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
    const unanswered = verdicts.filter(({ unjudged }) => unjudged?.includes(id) === true);
    if (own.some(({ status }) => status === 'failed')) return { requirement: id, status: 'failed' };
    const skipped = own.filter(({ status }) => status === 'skipped');
    const reasons = [...new Set(own.flatMap(({ reason }) => (reason === undefined ? [] : [reason])))].join('; ');
    if (own.length === skipped.length && unanswered.length === 0) {
      return {
        requirement: id,
        status: 'skipped',
        reason: reasons === '' ? (UNJUDGED[id] ?? NOT_ASKED) : reasons,
      };
    }
    // A part of it that nobody has seen is not a part that holds.
    const unseen = skipped.filter(({ unfinished }) => unfinished !== undefined);
    if (unseen.length > 0 || unanswered.length > 0) {
      const words = [
        ...(unseen.length === 0 ? [] : [`time ran out before ${unseen.map(({ property }) => property).join(', ')}`]),
        ...(unanswered.length === 0
          ? []
          : [`no valid answer in ${unanswered.map(({ property }) => property).join(', ')}`]),
      ];
      return { requirement: id, status: 'skipped', reason: words.join('; ') };
    }
    return { requirement: id, status: 'passed', ...(reasons === '' ? {} : { reason: reasons }) };
  });
}

/** Cases without an answer after which a program that has never answered one is left alone. */
const SILENT_CASES = 3;

/**
 * Runs the kit over an open adapter, one conversation at a time. The adapter stays open.
 *
 * @throws InvalidArgumentError when `only` matches no property
 */
export async function judge(adapter: Adapter, options: JudgeRunOptions): Promise<Judgement> {
  const start = performance.now();
  const until = options.until ?? Infinity;
  const all = [...PROPERTIES, ...(options.statistics === false ? [] : measureMasks(options.seed))];
  const chosen = select('--only', 'a property', options.only ?? [], all, ({ key }) => key);

  let [answered, silent] = [0, 0];
  const counting: Adapter = {
    implementation: adapter.implementation,
    run: async (example, end) => {
      const outcome = await adapter.run(example, end);
      answered += 1;
      return outcome;
    },
    close: () => adapter.close(),
  };
  const trials = chosen.map((property): Trial => {
    const context = contextOf(counting, {
      seed: seedOf(options.seed, property.key),
      runs: options.runs ?? DEFAULT_RUNS,
      shrink: options.shrink ?? true,
      until,
    });
    const reason = property.skip(adapter.implementation);
    return {
      property,
      context,
      seconds: 0,
      late: false,
      ...(reason === undefined ? {} : { settled: { status: 'skipped', reason } }),
    };
  });
  let done = 0;
  const found = (): boolean => trials.some(({ settled }) => settled?.status === 'failed');
  judging: for (const round of ROUNDS.keys()) {
    for (const trial of trials) {
      done += 1;
      trial.context.round = round;
      if (trial.settled === undefined && !(trial.property.whole === true && round > 0)) {
        if (answered === 0 && silent >= SILENT_CASES) {
          const reason = `the program has answered none of the ${silent} cases that it was asked`;
          trial.settled = { status: 'skipped', reason };
        } else if (performance.now() >= until) trial.late = true;
        else {
          await judgeRound(trial, options);
          silent += Number(verdictOf(trial).unjudged !== undefined);
        }
      }
      options.progress?.(done, trials.length * ROUNDS.length, verdictOf(trial));
      if (options.firstFinding === true && found()) break judging;
    }
  }
  // With `firstFinding`, what had not been begun has no verdict.
  const begun = trials.filter(({ settled, late, context }) => settled !== undefined || late || context.cases() > 0);
  const verdicts = begun.map(verdictOf);
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
