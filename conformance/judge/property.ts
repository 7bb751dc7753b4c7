/** What a property is, and how it talks to the implementation that it judges. */
import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { ProtocolError } from '../protocol/types.ts';
import type { Adapter, Case, Implementation, Outcome, StepRecord } from '../protocol/types.ts';
import { Finding } from './finding.ts';

/** Thrown inside a property by a case that the implementation does not do. */
export class Skip extends Error {
  override readonly name = 'Skip';
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
  readonly run: (context: Context) => Promise<void>;
}

export interface Context {
  readonly implementation: Implementation;
  /** 32 bits, different for every property. */
  readonly seed: number;
  /** Draws cases from an arbitrary and lets `predicate` throw on a wrong answer; the failing case is shrunk. */
  check<T>(arbitrary: Arbitrary<T>, predicate: (value: T) => Promise<void>, runs?: number): Promise<void>;
  /** Steps of a case that the implementation must be able to run. Throws `Finding` on an error, `Skip` when it is skipped. */
  ask(example: Case): Promise<readonly StepRecord[]>;
  /** What became of a case, whatever it is. Throws `Finding` when the protocol was broken. */
  outcome(example: Case): Promise<Outcome>;
  /** Something to show beside the verdict, such as what a statistical test can detect. */
  note(text: string): void;
}

/** A broken protocol, as a finding of requirement LRD-PROTO-001. */
export class ProtocolFinding extends Finding {}

export interface ContextOptions {
  readonly seed: number;
  /** Cases a property draws. */
  readonly runs: number;
  /** False: the first failing case is reported as it is. */
  readonly shrink: boolean;
}

export interface RunningContext extends Context {
  readonly cases: () => number;
  /** Reasons of cases skipped, with how often. */
  readonly skips: ReadonlyMap<string, number>;
  readonly notes: readonly string[];
}

export function contextOf(adapter: Adapter, options: ContextOptions): RunningContext {
  let cases = 0;
  const skips = new Map<string, number>();
  const notes: string[] = [];
  const context: RunningContext = {
    implementation: adapter.implementation,
    seed: options.seed,
    cases: () => cases,
    skips,
    notes,
    note: (text) => {
      notes.push(text);
    },
    outcome: async (example) => {
      cases += 1;
      try {
        return await adapter.run(example);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        throw new ProtocolFinding(error.message, {
          expected: 'an answer that follows the protocol',
          got: error.message,
          cases: [example],
        });
      }
    },
    ask: async (example) => {
      const outcome = await context.outcome(example);
      if (outcome.kind === 'result') return outcome.steps;
      if (outcome.kind === 'skipped') throw new Skip(outcome.reason);
      if (outcome.code === 'unsupported') throw new Skip(outcome.message);
      throw new Finding('a valid case is refused', {
        expected: 'a result',
        got: `${outcome.code}: ${outcome.message}`,
        cases: [example],
      });
    },
    check: async (arbitrary, predicate, runs = options.runs) => {
      let last: Finding | undefined;
      const property = fc.asyncProperty(arbitrary, async (value) => {
        try {
          await predicate(value);
        } catch (error) {
          if (error instanceof Skip) {
            skips.set(error.message, (skips.get(error.message) ?? 0) + 1);
            return;
          }
          // fast-check keeps shrinking as long as something fails: the last finding is of the smallest case.
          if (error instanceof Finding) last = error;
          throw error;
        }
      });
      const details = await fc.check(property, {
        seed: options.seed,
        numRuns: runs,
        endOnFailure: !options.shrink,
        interruptAfterTimeLimit: SHRINK_LIMIT_MS,
        markInterruptAsFailure: false,
      });
      if (last !== undefined) throw last;
      if (details.failed)
        throw details.errorInstance instanceof Error ? details.errorInstance : new Error('a property failed');
    },
  };
  return context;
}

/** A counterexample that takes longer to shrink than this is shown as small as it is by then. */
const SHRINK_LIMIT_MS = 60_000;
