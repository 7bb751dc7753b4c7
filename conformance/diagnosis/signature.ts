import type { Implementation } from '../protocol/types.ts';

/** How often a planted fault, in an implementation of certain abilities, broke each property, and in how many runs. */
export interface Signature {
  readonly fault: string;
  /** The mistake that it is, where `fault` is none of those that are planted. */
  readonly mistake?: string;
  readonly masks: Implementation['masks'];
  readonly features: Implementation['features'];
  /** Left out: none. */
  readonly kinds?: Implementation['kinds'];
  /** Whether the large sample of masks was drawn. */
  readonly statistics: boolean;
  readonly runs: number;
  /** By property: runs that broke it, and how often each kind of message came. */
  readonly broke: Readonly<Record<string, readonly [runs: number, kinds: Readonly<Record<string, number>>]>>;
}
