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

export interface MaskKind {
  readonly title: string;
  readonly granularity: Granularity;
  readonly draw: Draw;
  readonly factor: Factor;
  /** What becomes of decoupled weight decay unless asked otherwise. */
  readonly decay: 'scaled' | 'masked' | 'plain';
  /** The cells of the table that the kind may be moved to by `granularity` and `factor`. */
  readonly granularities: readonly Granularity[];
  readonly factors: readonly Factor[];
  readonly source: string;
}

const magmaPaper = 'Joo, Xia, Kim, Zhang, Ie 2026, arXiv 2602.15322';

/** The kinds of mask by name. */
export const MASK_KINDS = {
  lrd: {
    title: 'Learning rate dropout',
    granularity: 'element',
    draw: 'bernoulli',
    factor: 'one',
    decay: 'scaled',
    granularities: ['element', 'tensor'],
    factors: ['one', 'inverse', 'alignment'],
    source: 'Lin et al., IEEE TNNLS 2022, Algorithm 1',
  },
  'skip-update': {
    title: 'SkipUpdate',
    granularity: 'tensor',
    draw: 'bernoulli',
    factor: 'inverse',
    decay: 'scaled',
    granularities: ['element', 'tensor'],
    factors: ['one', 'inverse', 'alignment'],
    source: `${magmaPaper}, Algorithm 1`,
  },
  magma: {
    title: 'Magma, momentum-aligned masking',
    granularity: 'tensor',
    draw: 'bernoulli',
    factor: 'alignment',
    decay: 'scaled',
    granularities: ['element', 'tensor'],
    factors: ['one', 'inverse', 'alignment'],
    source: `${magmaPaper}, Algorithm 1`,
  },
  cautious: {
    title: 'Cautious',
    granularity: 'element',
    draw: 'agreement',
    factor: 'mean',
    decay: 'plain',
    granularities: ['element'],
    factors: ['one', 'mean'],
    source: 'Liang et al. 2024, arXiv 2411.16085, Algorithm 1',
  },
} as const satisfies Readonly<Record<string, MaskKind>>;

export type MaskKindName = keyof typeof MASK_KINDS;

const choice = (...values: readonly [string, ...string[]]): Choice => ({
  kind: 'choice',
  default: values[0],
  values,
  text: `must be one of ${values.join(', ')}`,
});

const fraction = (value: number): NumberRange => ({
  kind: 'number',
  default: value,
  minimum: 0,
  maximum: 1,
  openMaximum: true,
  text: 'must be in [0, 1)',
});

/** An option of a mask, with the factors or the draw that it belongs to. */
export interface MaskOption {
  readonly parameter: HyperParameter;
  /** Only with these factors; left out: with every one. */
  readonly factors?: readonly Factor[];
  /** What it decides, where sources differ, and which source says which. */
  readonly sources: string;
}

/** The options of a mask beside its cell, each with the sources of its values. */
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
    sources: 'tau of sigmoid(cos / tau): 2 in arXiv 2602.15322 and in every public implementation seen',
  },
  smoothing: {
    parameter: fraction(0.9),
    factors: ['alignment'],
    sources: 's_t = smoothing s_(t-1) + (1 - smoothing) s~_t: .9 in arXiv 2602.15322; 0 is no smoothing',
  },
  firstAlignment: {
    parameter: choice('half', 'one', 'measured'),
    factors: ['alignment'],
    sources:
      's_0 is not stated in arXiv 2602.15322. `half`: sigmoid(0), what orthogonal vectors measure; `one`: magma-optimizer 0.1.1 and kozistr/pytorch_optimizer; `measured`: s_1 = s~_1',
  },
  moment: {
    parameter: choice('rule', 'own'),
    factors: ['alignment'],
    sources:
      "Whose first moment the cosine takes. `rule`: the base rule's own (buf of sgdm, m of the Adam family), and where it has none (rmsprop, sgdm without momentum) one kept for it, state `mu`; `own`: always `mu`, as magma-optimizer 0.1.1 does",
  },
  momentDecay: {
    parameter: fraction(0.9),
    factors: ['alignment'],
    sources: 'mu = momentDecay mu + (1 - momentDecay) g: .9 in arXiv 2602.15322 and magma-optimizer 0.1.1',
  },
  momentTime: {
    parameter: choice('after', 'before'),
    factors: ['alignment'],
    sources:
      "`after`: m includes this step's gradient, as Algorithm 1 of arXiv 2602.15322 is written and magma-optimizer 0.1.1 runs; `before`: the moment of the step before, as a pull request to microsoft/dion has it",
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
    sources:
      "cos = m.g / max(|m| |g|, cosineEpsilon), and 0 where either vector is zero: 0 is the formula itself; 1e-8 is PyTorch's cosine_similarity",
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
    sources: "1 / max(mean, meanFloor): 1e-3 in the authors' C-Optim and in timm",
  },
  normalization: {
    parameter: choice('mean', 'count'),
    factors: ['mean'],
    sources:
      "`mean`: 1 / max(mean, meanFloor); `count`: size / (kept + 1), the authors' first code (meanFloor is then unused)",
  },
  decay: {
    parameter: choice('scaled', 'masked', 'plain'),
    sources:
      "Decoupled weight decay. `scaled`: part of the step, so masked and multiplied (Algorithm 1 of arXiv 2602.15322 read with AdamW's Delta; wrappers such as magma-optimizer); `masked`: masked, not multiplied; `plain`: neither (Algorithm 2 of arXiv 2411.16085, timm). Each kind has its own default",
  },
} as const satisfies Readonly<Record<string, MaskOption>>;

export type MaskOptionName = keyof typeof MASK_OPTIONS;

/** The kind that a keep probability alone asks for. */
export const DEFAULT_MASK_KIND: MaskKindName = 'lrd';

/** State that a mask adds to its rule's: one number a tensor, and a moment of the tensor's size where the rule has none to lend. */
export const MASK_STATE = { alignment: 'alignment', moment: 'mu' } as const;
