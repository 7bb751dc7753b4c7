import type { Budget, Group } from '../harness/measure.ts';

/** What the caller asked for. */
export interface Profile {
  /** Every rule, every size, slow lanes too. */
  readonly full: boolean;
}

/** A set of groups that answers one question. */
export interface Suite {
  readonly name: string;
  readonly title: string;
  /** What is timed, for the report. */
  readonly about: string;
  groups(profile: Profile): readonly Group[] | Promise<readonly Group[]>;
  /** Runs only when it is named: its lanes are among those of another suite. */
  readonly extra?: boolean;
  /** What differs from the profile's budget. */
  budget?(profile: Profile): Partial<Budget>;
}
