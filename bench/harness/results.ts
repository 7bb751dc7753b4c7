/** What `lrd bench --json` writes and `--compare` reads. */
import type { Spread } from './statistics.ts';

/** One implementation's figures in a group. Times are those of one step (or what the group calls one). */
export interface LaneResult {
  readonly name: string;
  /** Milliseconds: median and quartiles over the turns. */
  readonly ms: Spread;
  /** Turns that the spread is over. */
  readonly turns: number;
  /** Nanoseconds an element: `ms` over the group's elements. */
  readonly nsPerElement?: Spread;
  /** Bytes that the step must move to and from memory, when nothing is read or written twice. */
  readonly bytesMoved?: number;
  /** Time of a copy of as many bytes on the same processor, turn by turn, over this lane's: 1 is as fast as memory allows. */
  readonly shareOfCopy?: Spread;
  /** Bytes that a step needs beyond parameters, gradients and the rule's state; undefined: not measured. */
  readonly extraBytes?: number;
  /** Milliseconds of the host per step, where `ms` is the clock of a device. */
  readonly hostMs?: Spread;
}

/** A lane's time over another's, turn by turn. */
export interface RatioResult {
  readonly lane: string;
  readonly over: string;
  readonly ratio: Spread;
  /** A bound that the project has set itself. */
  readonly limit?: Limit;
}

export interface Limit {
  readonly kind: 'at most' | 'at least';
  readonly value: number;
}

/** A quantity of its own, such as a difference of two lanes. */
export interface FigureResult {
  readonly name: string;
  readonly unit: string;
  readonly value: Spread;
  readonly limit?: Limit;
}

export interface SkippedLane {
  readonly name: string;
  readonly reason: string;
}

/** Lanes that took turns with each other. */
export interface GroupResult {
  /** Unique within the suite, and the same in every run with the same settings. */
  readonly name: string;
  /** What `nsPerElement` divides by; undefined: nothing. */
  readonly elements?: number;
  /** Where the group lies on a scaling plot: a family of lines and the number of tensors. */
  readonly tensors?: number;
  readonly lanes: readonly LaneResult[];
  readonly ratios: readonly RatioResult[];
  readonly figures: readonly FigureResult[];
  readonly skipped: readonly SkippedLane[];
  /** How much longer than its quickest run a fixed piece of work took in its slowest tenth: how noisy the machine was. */
  readonly noise: number;
}

export interface SuiteResult {
  readonly name: string;
  readonly title: string;
  /** What was timed. */
  readonly about: string;
  readonly seconds: number;
  readonly groups: readonly GroupResult[];
}

export interface BenchResult {
  readonly version: 1;
  /** The call that makes it again. */
  readonly command: string;
  readonly environment: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
  readonly suites: readonly SuiteResult[];
}

/** Whether a value keeps a limit. */
export const keeps = ({ kind, value }: Limit, median: number): boolean =>
  kind === 'at most' ? median <= value : median >= value;
