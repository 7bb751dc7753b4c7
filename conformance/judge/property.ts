/** What a property is, and how it talks to the implementation that it judges. */
import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { foreignText } from 'learning-rate-dropout/internal';
import { NoAnswerError, OutOfTimeError, ProtocolError } from '../protocol/types.ts';
import type { Adapter, Case, Implementation, Outcome, StepRecord } from '../protocol/types.ts';
import { Finding } from './finding.ts';
import { SIMPLIFICATIONS } from './simplify.ts';

/** Thrown inside a property by a case that the implementation does not do. */
export class Skip extends Error {
  override readonly name = 'Skip';
  constructor(reason: string) {
    super(foreignText(reason, 300));
  }
}

export interface Property {
  /** Unique: the first requirement, and a word where several properties serve one. What `--only` selects. */
  readonly key: string;
  /** The requirements that it judges. */
  readonly requirements: readonly string[];
  /** What it does, in a sentence. */
  readonly title: string;
  /** Why an implementation cannot be judged by it; undefined where it can. */
  readonly skip: (implementation: Implementation) => string | undefined;
  /** Called once a round; `check` and `each` take the round's share of their cases. */
  readonly run: (context: Context) => Promise<void>;
  /** True: its cases are few and belong together; it runs in the first round only. */
  readonly whole?: true;
}

/**
 * Cases of each `check` and `each` that have been asked when a round is over. Every property has its first cases before any has its
 * second ones: an implementation that is slow is judged by everything first, and with power afterwards.
 */
export const ROUNDS: readonly number[] = [2, 8, Infinity];

export interface Context {
  readonly implementation: Implementation;
  /** 32 bits, different for every property. */
  readonly seed: number;
  /**
   * Draws cases from an arbitrary and lets `predicate` throw on a wrong answer; the failing case is shrunk. Of `runs` cases in all
   * it asks those of this round.
   */
  check<T>(arbitrary: Arbitrary<T>, predicate: (value: T) => Promise<void>, runs?: number): Promise<void>;
  /** The same with a list of cases, each of which is asked once. */
  each<T>(items: readonly T[], predicate: (item: T) => Promise<void>): Promise<void>;
  /** Steps of a case that the implementation must be able to run. Throws `Finding` on an error, `Skip` when it is skipped. */
  ask(example: Case): Promise<readonly StepRecord[]>;
  /** What became of a case, whatever it is. Throws `Finding` when the protocol was broken. */
  outcome(example: Case): Promise<Outcome>;
  /** Something to show beside the verdict, such as what a statistical test can detect. */
  note(text: string): void;
}

/** A broken protocol, as a finding of requirement LRD-PROTO-001. */
export class ProtocolFinding extends Finding {
  /** True: no answer came in time. */
  readonly silent: boolean;

  constructor(error: ProtocolError, example: Case) {
    super(error.message, { expected: 'an answer that follows the protocol', got: error.message, cases: [example] });
    this.silent = error instanceof NoAnswerError;
  }
}

export interface ContextOptions {
  readonly seed: number;
  /** Cases that a `check` draws in all rounds together. */
  readonly runs: number;
  /** False: the first failing case is reported as it is. */
  readonly shrink: boolean;
  /** Time by `performance.now()` at which judging ends. */
  readonly until: number;
}

/** How many of the cases that were meant to be asked were asked. */
export interface Tally {
  planned: number;
  asked: number;
}

export interface RunningContext extends Context {
  /** Index in `ROUNDS`. */
  round: number;
  readonly tally: Readonly<Tally>;
  readonly cases: () => number;
  /** Reasons of cases skipped, with how often. */
  readonly skips: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
}

/** A counterexample that takes longer to shrink than this is shown as small as it is by then. */
const SHRINK_LIMIT_MS = 60_000;
/** The same where each attempt costs a new process. */
const RESTART_LIMIT_MS = 1000;
/** Reasons that are told apart: a program may find a new one for every case. */
const MAXIMUM_REASONS = 12;

export function contextOf(adapter: Adapter, options: ContextOptions): RunningContext {
  let cases = 0;
  const skips = new Map<string, number>();
  const notes: string[] = [];
  const tally: Tally = { planned: 0, asked: 0 };
  let answers = new Map<Case, readonly StepRecord[]>();

  const skip = (reason: string): void => {
    const known = skips.has(reason) || skips.size < MAXIMUM_REASONS ? reason : 'other reasons';
    skips.set(known, (skips.get(known) ?? 0) + 1);
  };
  const over = (): boolean => performance.now() >= options.until;

  /** The share of `count` cases that this round asks, as a range. */
  const share = (count: number): { from: number; to: number } => {
    if (context.round === 0) tally.planned += count;
    return {
      from: Math.min(count, ROUNDS[context.round - 1] ?? 0),
      to: Math.min(count, ROUNDS[context.round] ?? Infinity),
    };
  };

  /** One case of a property: what was skipped is counted, a finding learns what had been answered. */
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    answers = new Map();
    try {
      await work();
      tally.asked += 1;
    } catch (error) {
      if (error instanceof Skip) {
        tally.asked += 1;
        skip(error.message);
        return;
      }
      if (error instanceof OutOfTimeError) return;
      if (error instanceof Finding) error.answers = error.cases.map((example) => answers.get(example));
      throw error;
    }
  };

  /**
   * The same finding in a case of one element, with ones for numbers, where the property takes a case and that shows it too: what
   * fast-check cannot reach, because shapes are drawn before the numbers in them.
   */
  const plainer = async (
    finding: Finding,
    predicate: (value: Case) => Promise<void>,
    end: number,
  ): Promise<Finding> => {
    let best = finding;
    const [drawn] = finding.cases;
    if (finding.cases.length !== 1 || drawn === undefined || finding instanceof ProtocolFinding) return best;
    let current = drawn;
    for (const simplify of SIMPLIFICATIONS) {
      const candidate = best.position === undefined ? undefined : simplify(current, best.position);
      if (candidate === undefined || performance.now() >= end) continue;
      try {
        await attempt(() => predicate(candidate));
      } catch (error) {
        if (!(error instanceof Finding) || error instanceof ProtocolFinding) continue;
        if (error.cases.length !== 1) continue;
        [best, current] = [error, error.cases[0] ?? candidate];
      }
    }
    return best;
  };

  const context: RunningContext = {
    implementation: adapter.implementation,
    seed: options.seed,
    round: 0,
    tally,
    cases: () => cases,
    skips,
    notes,
    note: (text) => {
      notes.push(text);
    },
    outcome: async (example) => {
      if (over()) throw new OutOfTimeError();
      cases += 1;
      try {
        return await adapter.run(example, options.until);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        throw new ProtocolFinding(error, example);
      }
    },
    ask: async (example) => {
      const outcome = await context.outcome(example);
      if (outcome.kind === 'result') {
        answers.set(example, outcome.steps);
        return outcome.steps;
      }
      if (outcome.kind === 'skipped') throw new Skip(outcome.reason);
      if (outcome.code === 'unsupported') throw new Skip(outcome.message);
      throw new Finding('a valid case is refused', {
        expected: 'a result',
        got: `${outcome.code}: ${outcome.message}`,
        cases: [example],
      });
    },
    each: async (items, predicate) => {
      const { from, to } = share(items.length);
      for (const item of items.slice(from, to)) await attempt(() => predicate(item));
    },
    check: async (arbitrary, predicate, runs = options.runs) => {
      const { from, to } = share(runs);
      if (to === from) return;
      let [first, last]: (Finding | undefined)[] = [];
      let end = options.until;
      const property = fc.asyncProperty(arbitrary, async (value) => {
        // Never in the middle of a conversation: what is out of time is not begun, and passes for a case that shows nothing.
        if (performance.now() >= end) return;
        try {
          await attempt(() => predicate(value));
        } catch (error) {
          if (error instanceof Finding) {
            // fast-check keeps shrinking as long as something fails: the last finding is of the smallest case.
            if (first === undefined) end = Math.min(end, performance.now() + SHRINK_LIMIT_MS);
            // A smaller case would keep everybody waiting as long; and after each broken answer a new process must start.
            if (first === undefined && error instanceof ProtocolFinding) {
              end = error.silent ? 0 : Math.min(end, performance.now() + RESTART_LIMIT_MS);
            }
            first ??= error;
            last = error;
          }
          throw error;
        }
      });
      const details = await fc.check(property, {
        seed: options.seed,
        // Past the cases of the rounds before: all rounds together are one run of fast-check.
        path: String(from),
        numRuns: to - from,
        endOnFailure: !options.shrink,
      });
      if (first !== undefined && last !== undefined) {
        const smallest = options.shrink ? await plainer(last, predicate as (value: Case) => Promise<void>, end) : last;
        smallest.drawn = first;
        throw smallest;
      }
      if (details.failed)
        throw details.errorInstance instanceof Error ? details.errorInstance : new Error('a property failed');
    },
  };
  return context;
}
