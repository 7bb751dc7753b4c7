import type { Case } from '../protocol/types.ts';

/** What an implementation got wrong. Thrown inside a property, so that fast-check shrinks the case. */
export class Finding extends Error {
  override readonly name = 'Finding';
  readonly expected: string;
  readonly got: string;
  /** The case that shows it; several where a property compares runs. */
  readonly cases: readonly Case[];

  constructor(message: string, details: { expected: string; got: string; cases: readonly Case[] }) {
    super(message);
    this.expected = details.expected;
    this.got = details.got;
    this.cases = details.cases;
  }
}

/** A number in full, so that a reader can type it again. */
export function show(x: number | undefined): string {
  return Object.is(x, -0) ? '-0' : String(x);
}
