/**
 * The family that learning rate dropout belongs to: a masked update is granularity x draw x factor,
 *
 *     theta_i <- d_i ? theta_i - alpha s deltaW_i : theta_i
 *
 * where d comes from a draw for each element or one for a whole tensor, and s is one factor a tensor. LRD is (element, Bernoulli, 1),
 * SkipUpdate (tensor, Bernoulli, 1/p), Magma (tensor, Bernoulli, alignment), Cautious (element, agreement, 1/mean). The base rule's
 * moments see every gradient whole, whatever the mask.
 */
import type { Choice, HyperParameter, NumberRange } from './rules.ts';

/** What one draw decides about. */
export type Granularity = 'element' | 'tensor';

/** Where the mask comes from: a Bernoulli draw with the keep probability, or the agreement in sign of step direction and gradient. */
export type Draw = 'bernoulli' | 'agreement';

/** What the step of a kept coordinate is multiplied by. */
export type Factor = 'one' | 'inverse' | 'alignment' | 'mean';

/** A cell of the family, as a kind has it. */
export interface MaskKind {
  /** What one draw decides about. */
  readonly granularity: Granularity;
  /** Where its mask comes from. */
  readonly draw: Draw;
  /** What a kept step is multiplied by. */
  readonly factor: Factor;
  /** What becomes of decoupled weight decay unless asked otherwise. */
  readonly decay: 'scaled' | 'masked' | 'plain';
  /** The cells of the table that the kind may be moved to by `granularity` and `factor`. */
  readonly granularities: readonly Granularity[];
  /** As `granularities`, of the factor. */
  readonly factors: readonly Factor[];
}

/** The kinds of mask by name; `familySources.ts` says whose they are. */
export const MASK_KINDS = {
  lrd: {
    granularity: 'element',
    draw: 'bernoulli',
    factor: 'one',
    decay: 'scaled',
    granularities: ['element', 'tensor'],
    factors: ['one', 'inverse', 'alignment'],
  },
  'skip-update': {
    granularity: 'tensor',
    draw: 'bernoulli',
    factor: 'inverse',
    decay: 'scaled',
    granularities: ['element', 'tensor'],
    factors: ['one', 'inverse', 'alignment'],
  },
  magma: {
    granularity: 'tensor',
    draw: 'bernoulli',
    factor: 'alignment',
    decay: 'scaled',
    granularities: ['element', 'tensor'],
    factors: ['one', 'inverse', 'alignment'],
  },
  cautious: {
    granularity: 'element',
    draw: 'agreement',
    factor: 'mean',
    decay: 'plain',
    granularities: ['element'],
    factors: ['one', 'mean'],
  },
} as const satisfies Readonly<Record<string, MaskKind>>;

/** A kind of mask by its name in configurations. */
export type MaskKindName = keyof typeof MASK_KINDS;

/* @__NO_SIDE_EFFECTS__ */
function choice(...values: readonly [string, ...string[]]): Choice {
  return {
    kind: 'choice',
    default: values[0],
    values,
    text: `must be one of ${values.join(', ')}`,
  };
}

/* @__NO_SIDE_EFFECTS__ */
function fraction(value: number): NumberRange {
  return {
    kind: 'number',
    default: value,
    minimum: 0,
    maximum: 1,
    openMaximum: true,
    text: 'must be in [0, 1)',
  };
}

/** An option of a mask, with the factors or the draw that it belongs to. */
export interface MaskOption {
  /** What it may be, with its default. */
  readonly parameter: HyperParameter;
  /** Only with these factors; left out: with every one. */
  readonly factors?: readonly Factor[];
}

/** The options of a mask beside its cell; `familySources.ts` says what they decide and who says what. */
export const MASK_OPTIONS = {
  temperature: {
    parameter: {
      kind: 'number',
      default: 2,
      minimum: 0,
      openMinimum: true,
      maximum: Infinity,
      openMaximum: true,
      text: 'must be a finite number above 0',
    },
    factors: ['alignment'],
  },
  smoothing: {
    parameter: fraction(0.9),
    factors: ['alignment'],
  },
  firstAlignment: {
    parameter: choice('half', 'one', 'measured'),
    factors: ['alignment'],
  },
  moment: {
    parameter: choice('rule', 'own'),
    factors: ['alignment'],
  },
  momentDecay: {
    parameter: fraction(0.9),
    factors: ['alignment'],
  },
  momentTime: {
    parameter: choice('after', 'before'),
    factors: ['alignment'],
  },
  cosineEpsilon: {
    parameter: {
      kind: 'number',
      default: 0,
      minimum: 0,
      maximum: Infinity,
      openMaximum: true,
      text: 'must be a finite number of at least 0',
    },
    factors: ['alignment'],
  },
  meanFloor: {
    parameter: {
      kind: 'number',
      default: 1e-3,
      minimum: 0,
      openMinimum: true,
      maximum: 1,
      text: 'must be in (0, 1]',
    },
    factors: ['mean'],
  },
  normalization: {
    parameter: choice('mean', 'count'),
    factors: ['mean'],
  },
  decay: {
    parameter: choice('scaled', 'masked', 'plain'),
  },
} as const satisfies Readonly<Record<string, MaskOption>>;

/** An option of a mask by its name. */
export type MaskOptionName = keyof typeof MASK_OPTIONS;

/** The kind that a keep probability alone asks for. */
export const DEFAULT_MASK_KIND: MaskKindName = 'lrd';

/** State that a mask adds to its rule's: one number a tensor, and a moment of the tensor's size where the rule has none to lend. */
export const MASK_STATE = { alignment: 'alignment', moment: 'mu' } as const;
