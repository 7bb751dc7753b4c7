import type { Flag, NumberRange, RULES, RuleName } from '../../spec/rules.ts';

/** A rule's hyper-parameters with every value resolved for one step, as `spec/rules.ts` names them. */
export type HyperOf<R extends RuleName> = {
  readonly [K in keyof (typeof RULES)[R]['hyper']]: (typeof RULES)[R]['hyper'][K] extends NumberRange
    ? number
    : (typeof RULES)[R]['hyper'][K] extends Flag
      ? boolean
      : string;
};

/** A tensor's state by the names in `spec/rules.ts`, flat and row-major. Those that a configuration does not keep are absent. */
export type Slots = Readonly<Record<string, Float64Array>>;

/** What a rule makes of one gradient: lines 3 to 9 of Algorithm 1. */
export interface Direction {
  /** Delta W_t, what the learning rate multiplies. */
  readonly deltaW: Float64Array;
  /** The rule's state after this gradient. */
  readonly slots: Slots;
}

/**
 * A base optimizer without its learning rate, for one tensor.
 *
 * @param gradient - after coupled L2
 * @param slots - state after the tensor's step t - 1; an absent one counts as never used
 * @param t - how many gradients this tensor has received, this one included
 */
export type BaseRule<R extends RuleName> = (
  gradient: Float64Array,
  slots: Slots,
  t: number,
  hyper: HyperOf<R>,
) => Direction;
