/**
 * The base rules: hyper-parameters with defaults and ranges, variants, and the names of their state.
 * Validation in every implementation reads this table, so an error says the same thing everywhere.
 */

/** A number's admissible range, with the words that an error message uses. */
export interface NumberRange {
  /** Tells the kinds of hyper-parameter apart. */
  readonly kind: 'number';
  /** Where it is left out. */
  readonly default: number;
  /** The lower end. */
  readonly minimum: number;
  /** The upper end; Infinity admits every finite number. */
  readonly maximum: number;
  /** Whether the ends themselves are excluded. */
  readonly openMinimum?: boolean;
  /** As `openMinimum`, of the upper end. */
  readonly openMaximum?: boolean;
  /** Whether only whole numbers are admitted. */
  readonly integer?: boolean;
  /** The rule in words, as in "must be in [0, 1)". */
  readonly text: string;
}

/** A hyper-parameter that is one of a few words. */
export interface Choice {
  /** Tells the kinds of hyper-parameter apart. */
  readonly kind: 'choice';
  /** The first of its values. */
  readonly default: string;
  /** All that it may be. */
  readonly values: readonly string[];
  /** The rule in words, as in "must be one of outside, inside". */
  readonly text: string;
}

/** A hyper-parameter that is true or false. */
export interface Flag {
  /** Tells the kinds of hyper-parameter apart. */
  readonly kind: 'flag';
  /** Where it is left out. */
  readonly default: boolean;
  /** The rule in words. */
  readonly text: string;
}

/** What a hyper-parameter may be, with its default and the words of an error. */
export type HyperParameter = NumberRange | Choice | Flag;

/** A base rule as data. */
export interface Rule {
  /** What it is called in a heading. */
  readonly title: string;
  /** Its hyper-parameters by name. */
  readonly hyper: Readonly<Record<string, HyperParameter>>;
  /** Every state tensor that some variant of the rule keeps, in order. Which ones a configuration has: see `text` in `design`. */
  readonly state: readonly string[];
  /** Whether `weightDecay` is added to the gradient (coupled L2) or to the masked step (decoupled). */
  readonly decay: 'coupled' | 'decoupled';
}

const positive = (value: number): NumberRange => ({
  kind: 'number',
  default: value,
  minimum: 0,
  openMinimum: true,
  maximum: Infinity,
  openMaximum: true,
  text: 'must be a finite number above 0',
});
const nonNegative = (value: number): NumberRange => ({
  kind: 'number',
  default: value,
  minimum: 0,
  maximum: Infinity,
  openMaximum: true,
  text: 'must be a finite number of at least 0',
});
const unit = (value: number): NumberRange => ({
  kind: 'number',
  default: value,
  minimum: 0,
  maximum: 1,
  openMaximum: true,
  text: 'must be in [0, 1)',
});
const choice = (...values: readonly [string, ...string[]]): Choice => ({
  kind: 'choice',
  default: values[0],
  values,
  text: `must be one of ${values.join(', ')}`,
});
const flag: Flag = { kind: 'flag', default: false, text: 'must be true or false' };

const adamHyper = {
  learningRate: nonNegative(1e-3),
  beta1: unit(0.9),
  beta2: unit(0.999),
  epsilon: positive(1e-8),
  weightDecay: nonNegative(0),
} as const;

/**
 * The rules, in order of increasing machinery. A learning rate of 0 is allowed in a step (schedules reach it); the
 * command line asks for more.
 */
export const RULES = {
  sgdm: {
    title: 'SGD with momentum',
    hyper: {
      learningRate: nonNegative(0.1),
      momentum: unit(0.9),
      dampening: { ...unit(0), maximum: 1, openMaximum: false, text: 'must be in [0, 1]' },
      nesterov: flag,
      weightDecay: nonNegative(0),
    },
    state: ['buf'],
    decay: 'coupled',
  },
  'sgdm-avg': {
    title: 'SGD with the mean of the last gradients, eq. (10)',
    hyper: {
      learningRate: nonNegative(0.1),
      window: {
        ...positive(10),
        minimum: 1,
        openMinimum: false,
        integer: true,
        text: 'must be a whole number of at least 1',
      },
      weightDecay: nonNegative(0),
    },
    state: ['ring'],
    decay: 'coupled',
  },
  rmsprop: {
    title: 'RMSprop',
    hyper: {
      learningRate: nonNegative(1e-3),
      rho: unit(0.99),
      epsilon: positive(1e-8),
      epsilonPlacement: choice('outside', 'inside'),
      momentum: unit(0),
      centered: flag,
      weightDecay: nonNegative(0),
    },
    state: ['v', 'gavg', 'buf'],
    decay: 'coupled',
  },
  adam: {
    title: 'Adam',
    hyper: { ...adamHyper, epsilonMode: choice('corrected', 'hat') },
    state: ['m', 'v'],
    decay: 'coupled',
  },
  amsgrad: {
    title: 'AMSGrad',
    hyper: {
      ...adamHyper,
      maxOf: choice('raw', 'corrected', 'uncorrected'),
      epsilonMode: choice('corrected', 'hat'),
    },
    state: ['m', 'v', 'vmax'],
    decay: 'coupled',
  },
  radam: {
    title: 'RAdam',
    hyper: { ...adamHyper, learningRate: nonNegative(0.03), variant: choice('torch', 'original', 'paper') },
    state: ['m', 'v'],
    decay: 'coupled',
  },
  adamw: {
    title: 'Adam with decoupled weight decay',
    hyper: { ...adamHyper, weightDecay: nonNegative(0.01), epsilonMode: choice('corrected', 'hat') },
    state: ['m', 'v'],
    decay: 'decoupled',
  },
} as const satisfies Readonly<Record<string, Rule>>;

/** A base rule by its name in configurations and in the protocol. */
export type RuleName = keyof typeof RULES;

/** The keep probability p, the same for every rule; `default` is the paper's. */
export const KEEP_PROBABILITY: NumberRange = {
  kind: 'number',
  default: 0.5,
  minimum: 2 ** -16,
  maximum: 1,
  text: 'must be in [2^-16, 1]',
};
