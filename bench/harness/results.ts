/** What `lrd bench --json` writes and `--compare` reads. */
import { Type } from '@sinclair/typebox';
import { FROM_0, form, oneOf, wholeFrom } from '../../models/storage/form.ts';
import type { Read } from '../../models/storage/form.ts';

const text = Type.String();
const number = Type.Number();
const spread = Type.Object({ median: number, low: number, high: number });

const LANE = Type.Object({
  name: text,
  /** Milliseconds: median and quartiles over the turns. */
  ms: spread,
  /** Turns that the spread is over. */
  turns: wholeFrom(0),
  /** Nanoseconds an element: `ms` over the group's elements. */
  nsPerElement: Type.Optional(spread),
  /** Bytes that the step must move to and from memory, when nothing is read or written twice. */
  bytesMoved: Type.Optional(number),
  /** Time of a copy of as many bytes on the same processor, turn by turn, over this lane's: 1 is as fast as memory allows. */
  shareOfCopy: Type.Optional(spread),
  /** Bytes that a step needs beyond parameters, gradients and the rule's state; undefined: not measured. */
  extraBytes: Type.Optional(number),
  /** Milliseconds of the host per step, where `ms` is the clock of a device. */
  hostMs: Type.Optional(spread),
  /** Milliseconds that all threads of a step had on a processor: what the work costs on a busy machine too. */
  processorMs: Type.Optional(spread),
});

const LIMIT = Type.Object({ kind: oneOf(['at most', 'at least']), value: number });

const RATIO = Type.Object({
  lane: text,
  over: text,
  ratio: spread,
  /** The same by `processorMs`. */
  processor: Type.Optional(spread),
  /** A bound that the project has set itself. */
  limit: Type.Optional(LIMIT),
});

const FIGURE = Type.Object({ name: text, unit: text, value: spread, limit: Type.Optional(LIMIT) });

const SKIPPED = Type.Object({ name: text, reason: text });

const GROUP = Type.Object({
  /** Unique within the suite, and the same in every run with the same settings. */
  name: text,
  /** What `nsPerElement` divides by; undefined: nothing. */
  elements: Type.Optional(number),
  /** Where the group lies on a scaling plot: a family of lines and the number of tensors. */
  tensors: Type.Optional(number),
  lanes: Type.Array(LANE),
  ratios: Type.Array(RATIO),
  figures: Type.Array(FIGURE),
  skipped: Type.Array(SKIPPED),
  /** How much longer than its quickest run a fixed piece of work took in its slowest tenth: how noisy the machine was. */
  noise: number,
});

const SUITE = Type.Object({
  name: text,
  title: text,
  /** What was timed. */
  about: text,
  seconds: FROM_0,
  groups: Type.Array(GROUP),
});

const RESULT = Type.Object({
  version: Type.Literal(1),
  /** The call that makes it again. */
  command: text,
  environment: Type.Record(text, Type.Unknown()),
  warnings: Type.Array(text),
  suites: Type.Array(SUITE),
});

/** One implementation's figures in a group. Times are those of one step (or what the group calls one). */
export type LaneResult = Read<typeof LANE>;

/** A lane's time over another's, turn by turn. */
export type RatioResult = Read<typeof RATIO>;

export type Limit = Read<typeof LIMIT>;

/** A quantity of its own, such as a difference of two lanes. */
export type FigureResult = Read<typeof FIGURE>;

export type SkippedLane = Read<typeof SKIPPED>;

/** Lanes that took turns with each other. */
export type GroupResult = Read<typeof GROUP>;

export type SuiteResult = Read<typeof SUITE>;

export type BenchResult = Read<typeof RESULT>;

/** What a file of `lrd bench --json` is checked against. */
export const BENCH_RESULT = form('a result of lrd bench --json, version 1', RESULT);

/** Whether a value keeps a limit. */
export const keeps = ({ kind, value }: Limit, median: number): boolean =>
  kind === 'at most' ? median <= value : median >= value;
