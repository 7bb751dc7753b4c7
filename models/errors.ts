import { foreignText } from 'learning-rate-dropout/internal';

/** Characters that a message may have: names that are known are listed in it. */
const MESSAGE = 4000;

/** A wrong call: the command line prints the message alone and exits with code 2. What it quotes is made fit for a terminal. */
export class UsageError extends Error {
  /** `UsageError`. */
  override readonly name = 'UsageError';
  constructor(message: string) {
    super(foreignText(message, MESSAGE));
  }
}

/** The exit code of a task of an array that was stopped behind a checkpoint and goes on when it is run again: EX_TEMPFAIL of sysexits.h. */
export const STOPPED_TASK = 75;

/** A job that could not be done: the command line prints the message alone and exits with code 1, or the one given. */
export class JobError extends Error {
  /** `JobError`. */
  override readonly name = 'JobError';
  /** What the command line exits with: 1, or `STOPPED_TASK`. */
  readonly exitCode: number;
  constructor(message: string, exitCode = 1) {
    super(foreignText(message, MESSAGE));
    this.exitCode = exitCode;
  }
}

/**
 * Letters put in, left out, changed or swapped with their neighbour that make `a` of `b` (the optimal string alignment distance,
 * Damerau 1964).
 */
function distance(a: string, b: string): number {
  let [before, row]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const above = row as number[];
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (above[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((above[j] as number) + 1, (next[j - 1] as number) + 1, change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, ((before as number[])[j - 2] as number) + 1);
      }
      next.push(least);
    }
    [before, row] = [above, next];
  }
  return (row as number[])[b.length] as number;
}

/** `; did you mean WORD?` for the known word that is nearest to one that was mistyped; empty where none is near. */
export function didYouMean(given: string, known: readonly string[]): string {
  // Longer than any name: no slip of a finger.
  if (given.length === 0 || given.length > 40) return '';
  const wanted = given.toLowerCase();
  const near = known
    .map((word) => ({ word, away: distance(wanted, word.toLowerCase()) }))
    .filter(({ word, away }) => away <= Math.max(1, Math.floor(word.length / 3)))
    .sort((a, b) => a.away - b.away);
  const first = near[0] ?? known.filter((word) => word.startsWith(wanted)).map((word) => ({ word }))[0];
  return first === undefined ? '' : `; did you mean ${first.word}?`;
}

/** A `UsageError` for a name that is not among those known: lists them, and the one that was probably meant. */
export function unknownName(argument: string, value: string, known: readonly string[]): UsageError {
  const guess = didYouMean(value, known);
  return new UsageError(`${argument} must be one of ${known.join(', ')}; got ${JSON.stringify(value)}${guess}`);
}
