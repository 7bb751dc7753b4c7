import { elementwise } from './elementwise.ts';
import type { Direction, Slots } from './rules/rule.ts';

/** What one pass of Algorithm 1's loop starts from, for one tensor. */
export interface Algorithm1Input {
  /** theta, W_{t-1}. */
  readonly values: Float64Array;
  /** Coupled L2 included. */
  readonly gradient: Float64Array;
  /** The rule's state before the step, M_{t-1} and V_{t-1}. */
  readonly slots: Slots;
  /** alpha. */
  readonly learningRate: number;
  /** phi_t and psi_t: the base rule at this step. */
  readonly direction: (gradient: Float64Array, slots: Slots) => Direction;
  /** Decoupled decay: its product with theta joins deltaW, so it is masked with it. 0 for every other rule. */
  readonly decoupledDecay: number;
  /** d_t, drawn by the caller: 1 keeps, 0 drops. */
  readonly mask: Uint8Array;
}

/** What Algorithm 1, lines 3 to 12, makes of a step. */
export interface Algorithm1Output {
  /** W_t. */
  readonly values: Float64Array;
  /** The rule's state after the step, which no mask has touched. */
  readonly slots: Slots;
  /** What the learning rate multiplies, decoupled decay included. */
  readonly deltaW: Float64Array;
  /** d_t as it came in. */
  readonly mask: Uint8Array;
}

/**
 * Algorithm 1 (TNNLS 2022, section III), lines 3 to 12, over any base rule.
 *
 * The mask selects and never multiplies: a dropped coordinate keeps its very bits, even where deltaW is NaN or infinite.
 * The moments do not see the mask.
 */
export function learningRateDropout(input: Algorithm1Input): Algorithm1Output {
  const { values, gradient, learningRate: alpha, decoupledDecay, mask } = input;
  // Lines 3 to 9: M_t, V_t, and Delta W_t.
  const { deltaW: direction, slots } = input.direction(gradient, input.slots);
  // 0 times an infinite value would be NaN: no decay is no term.
  const deltaW = decoupledDecay === 0 ? direction : elementwise((d, w) => d + decoupledDecay * w, direction, values);
  // Lines 10 to 12: W_t = W_{t-1} - alpha D_t o Delta W_t, as a selection. The copy carries the bits of what is dropped.
  const next = values.slice();
  for (let i = 0; i < next.length; i++) {
    if (mask[i] === 1) next[i] = (values[i] as number) - alpha * (deltaW[i] as number);
  }
  return { values: next, slots, deltaW, mask };
}
