/**
 * Conformance protocol, version 2: what the kit and an implementation say to each other.
 *
 * One JSON object a line over stdin and stdout. In process the same records travel as they are, with NaN, the infinities and
 * -0 as numbers; on the wire these four are strings (`numbers.ts`).
 *
 * Version 2 adds kinds of mask: `kinds` of an implementation, `mask` of a case, the state `alignment` and `mu`. The kit greets with 2; a
 * program that answers 1 is served in version 1, and so is one that refuses to be greeted with 2 and answers a greeting with 1.
 */
import type { MaskRequest } from 'learning-rate-dropout/ref';
import type { MaskKindName, MaskOptionName } from 'learning-rate-dropout/spec';

/** The version of the conformance protocol that the kit greets with. */
export const PROTOCOL_VERSION = 2;

/** All that the kit serves. */
export const PROTOCOL_VERSIONS = [1, 2] as const;
/** One of them. */
export type ProtocolVersion = (typeof PROTOCOL_VERSIONS)[number];

/** Bytes that a line may have, newline excluded. */
export const MAXIMUM_LINE_BYTES = 16 * 2 ** 20;

/** Where an implementation can take its masks from. */
export type MaskSource = 'stream' | 'given' | 'own';

/**
 * What an implementation can do beyond running a rule from fresh parameters:
 *
 * - `state`: reports its state, by the names of the rule table
 * - `resume`: starts from a given state and first step
 * - `base`: runs the base rule without learning rate dropout (`keepProbability: null`)
 * - `schedule`: takes arrays, one value a step, for hyper-parameters and the keep probability
 * - `groups`: takes `excluded`, `hyper` and `keepProbability` on a parameter
 * - `null-gradient`: takes `null` for a tensor without a gradient
 *
 * and two that widen what its float32 arithmetic may do, both shown in the report:
 *
 * - `relaxed-float32`: WGSL's accuracies (division 2.5 ULP, square root through 1 / inverseSqrt, subnormals flushed)
 * - `float32-scalars`: host scalars such as 1 - beta or beta^t are formed in float32
 */
export type Feature =
  'state' | 'resume' | 'base' | 'schedule' | 'groups' | 'null-gradient' | 'relaxed-float32' | 'float32-scalars';

/** What an option of a mask may be. */
export type MaskOptionValue = number | string;

/**
 * What an implementation does of a kind of mask: the values of an option that it knows, one or several. An option that is left out takes
 * every value of the specification; `granularity` and `factor` that are left out are the kind's own.
 */
export type KindAbility = Readonly<
  Partial<Record<'granularity' | 'factor' | MaskOptionName, MaskOptionValue | readonly MaskOptionValue[]>>
>;

/** By kind of mask. */
export type Kinds = Readonly<Partial<Record<MaskKindName, KindAbility>>>;

/** What an implementation says of itself: nothing else is asked of it. */
export interface Implementation {
  /** As reports call it. */
  readonly name: string;
  /** Its own. */
  readonly version?: string;
  /** That it is written in. */
  readonly language: string;
  /** Where it can be read about. */
  readonly homepage?: string;
  /** Of its arithmetic: answers must lie in the interval that this allows. */
  readonly precision: 'float64' | 'float32';
  /** Names of the rule table. */
  readonly rules: readonly string[];
  /** Where it can take its masks from. */
  readonly masks: readonly MaskSource[];
  /** What it can do beyond running a rule from fresh parameters. */
  readonly features: readonly Feature[];
  /** Version 2: the kinds of mask that it knows beside learning rate dropout's own. Left out: none. */
  readonly kinds?: Kinds;
}

export type HyperValue = number | string | boolean;

/** Values by the names of the rule table; an array holds one value a step. */
export type CaseHyper = Readonly<Record<string, HyperValue | readonly HyperValue[]>>;

/** A tensor to optimize. */
export interface CaseParameter {
  /** Of no meaning to the rule. */
  readonly name: string;
  /** Its extents; the product is the number of values. */
  readonly shape: readonly number[];
  /** Flat, row-major. */
  readonly values: readonly number[] | Fill;
  /** True: never masked. Keeps its place in the stream's layout. */
  readonly excluded?: boolean;
  /** Its own settings, over the case's. */
  readonly hyper?: CaseHyper;
  /** Its own p, over the case's. */
  readonly keepProbability?: number | readonly number[];
}

/** One value for a whole tensor. */
export interface Fill {
  readonly fill: number;
}

export type Reported = 'parameters' | 'masks' | 'state';

/** State by name, then by tensor, flat and row-major. A mask's `alignment` is one number a tensor. */
export type State = Readonly<Record<string, readonly (readonly number[])[]>>;

/** One run that an implementation is asked for. */
export interface Case {
  /** Name in the rule table. */
  readonly rule: string;
  /** The rule's hyper-parameters; those left out have the rule's defaults. */
  readonly hyper?: CaseHyper;
  /** In [2^-16, 1]; 1 when left out; null: the base rule without learning rate dropout. */
  readonly keepProbability?: number | readonly number[] | null;
  /**
   * Version 2: another kind of mask than learning rate dropout's, with options in place of the kind's defaults. A kind that draws nothing
   * (`cautious`) has neither `keepProbability`, unless it is null, nor `masks` nor `seed`.
   */
  readonly mask?: MaskRequest;
  /** `stream` and `own`, or bit strings by step, by tensor ("1" keeps). Default `own`. */
  readonly masks?: 'stream' | 'own' | readonly (readonly string[])[];
  /** "0x" and up to 16 hexadecimal digits. With `own` masks a hint that an implementation may use. */
  readonly seed?: string;
  /** Default 1. */
  readonly firstStep?: number;
  /** What to go on from, with `firstStep`. Default: zeros. */
  readonly state?: State;
  /** In list order, that of the mask stream's layout. */
  readonly parameters: readonly CaseParameter[];
  /** By step, by tensor. */
  readonly gradients: readonly (readonly (readonly number[] | Fill | null)[])[];
  /** Default: everything that the implementation can report. */
  readonly report?: readonly Reported[];
}

/** After one step. */
export interface StepRecord {
  /** By tensor, flat and row-major. */
  readonly parameters?: readonly (readonly number[])[];
  /** One bit string a tensor; null for a tensor without a gradient, or where the implementation cannot tell. */
  readonly masks?: readonly (string | null)[];
  /** After the step, by name. */
  readonly state?: State;
}

export type ErrorCode = 'invalid-argument' | 'unsupported' | 'internal';

/** What became of a case. */
export type Outcome =
  | { readonly kind: 'result'; readonly steps: readonly StepRecord[] }
  | { readonly kind: 'skipped'; readonly reason: string; readonly issue?: string }
  | { readonly kind: 'errored'; readonly code: ErrorCode; readonly message: string };

/** An implementation as the kit sees it, in this process or behind a pipe. */
export interface Adapter {
  /** What it said of itself at the start. */
  readonly implementation: Implementation;
  /**
   * Runs one case. Resolves to `errored` for what the implementation refuses.
   *
   * @param until time by `performance.now()` at which nobody waits for the answer any longer. Default: none
   * @throws ProtocolError when the implementation broke the protocol (crash, no answer in time, garbage)
   * @throws OutOfTimeError when `until` has come, and nothing is known of the case
   */
  run(example: Case, until?: number): Promise<Outcome>;
  /** Ends it, and every process that it has started. */
  close(): Promise<void>;
}

/** An implementation that broke the protocol: no answer can be judged. The message is one line. */
export class ProtocolError extends Error {
  /** The class's name. */
  override readonly name: string = 'ProtocolError';
}

/** A case that was not answered within its limit. */
export class NoAnswerError extends ProtocolError {
  override readonly name = 'NoAnswerError';
}

/** The time of the whole run is over: no fault of the implementation. */
export class OutOfTimeError extends Error {
  override readonly name = 'OutOfTimeError';
  constructor() {
    super('the time of the run is over');
  }
}

export type Request =
  | { readonly cmd: 'start'; readonly version: ProtocolVersion }
  | { readonly cmd: 'run'; readonly seq: number; readonly case: Case }
  | { readonly cmd: 'stop' };

export type Response =
  | { readonly version: ProtocolVersion; readonly implementation: Implementation }
  | { readonly seq: number; readonly result: { readonly steps: readonly StepRecord[] } }
  | { readonly seq: number; readonly skipped: { readonly reason: string; readonly issue?: string } }
  | { readonly seq: number; readonly errored: { readonly code: ErrorCode; readonly message: string } };
