import { foreignText } from 'learning-rate-dropout/internal';
import type { Case, StepRecord } from '../protocol/types.ts';

/** Characters that a message, and what was expected and came instead, may have. */
const MESSAGE = 600;
const VALUE = 4000;

/** An element of a case, at one of its steps. */
export interface Position {
  /** Index of the step in the case, from 0. */
  readonly index: number;
  readonly tensor: number;
  readonly element: number;
}

/** What an implementation got wrong. Thrown inside a property, so that fast-check shrinks the case. */
export class Finding extends Error {
  override readonly name = 'Finding';
  readonly expected: string;
  readonly got: string;
  /** The case that shows it; several where a property compares runs. */
  readonly cases: readonly Case[];
  /** The element that is wrong, where it is one. */
  readonly position?: Position;
  /** What tells one mistake from another: only statistics, whose evidence is too large to keep. */
  readonly traits?: readonly string[];
  /** What came for each of the cases, where it was steps. */
  answers: readonly (readonly StepRecord[] | undefined)[] = [];
  /** What was found before its case was shrunk: a small case shows a mistake, a large one tells it from others. */
  drawn: Finding = this;

  constructor(
    message: string,
    details: {
      expected: string;
      got: string;
      cases: readonly Case[];
      position?: Position | undefined;
      traits?: readonly string[];
    },
  ) {
    super(foreignText(message, MESSAGE));
    this.expected = foreignText(details.expected, VALUE);
    this.got = foreignText(details.got, VALUE);
    this.cases = details.cases;
    if (details.position !== undefined) this.position = details.position;
    if (details.traits !== undefined) this.traits = details.traits;
  }
}

/** A number in full, so that a reader can type it again. */
export function show(x: number | undefined): string {
  return Object.is(x, -0) ? '-0' : String(x);
}
