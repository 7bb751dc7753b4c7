/**
 * A step in two halves with a reduction between them, for replicas that train one model. It is for the rules whose state is linear in the gradient
 * (SGD, with or without momentum): each replica packs its share of the step direction, kept coordinates only, the packed shares are
 * summed over the replicas, and each applies the sum. Nothing but kept coordinates travels; masks are drawn on every replica.
 */
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type { Kernel, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { kernelName, requireElementwise } from './engine.ts';

/** A `Buffer` is a `Float32Array` (js, arrays) or a byte pointer (wasm). */
export interface ShareEngine<Buffer> {
  /**
   * The first half: updates the state with the gradient's share, and writes the share of the step direction into `wire`, the kept
   * coordinates of each tensor one after the other. Parameters are only read.
   *
   * @param weight - this replica's share of the batch, in [0, 1]; over all replicas they sum to 1
   * @param wire - room for all elements of the plan and `WIRE_SLACK` more
   * @returns the elements written, the same on every replica
   */
  pack(plan: StepPlan, tensors: readonly (TensorBuffers<Buffer> | null)[], weight: number, wire: Buffer): number;
  /**
   * The second half, behind the `pack` of the same plan: parameter - rate * sum where kept; the others keep their bits.
   *
   * @param wire - the sum over all replicas
   */
  apply(plan: StepPlan, tensors: readonly (TensorBuffers<Buffer> | null)[], wire: Buffer): void;
}

/** Elements behind the last one of a wire that a kernel may write or read: it moves four at a time. */
export const WIRE_SLACK = 4;

/** Whether the rule's state is linear in the gradient, so that the replicas' shares of it sum. */
export function isLinear({ family }: Kernel): boolean {
  return family === 'gradient' || family === 'momentum';
}

/** Throws `UnsupportedError` on a plan of another rule, `InvalidArgumentError` on a weight outside [0, 1]. */
export function checkShares(plan: StepPlan, weight: number): void {
  requireElementwise(plan, 'a step in shares');
  const other = plan.tensors.find((tensor) => tensor !== null && !isLinear(tensor.kernel));
  if (other !== undefined && other !== null) {
    throw new UnsupportedError(
      `shares of a step are only summed for rules that are linear in the gradient, not for ${kernelName(other.kernel)}`,
    );
  }
  if (!(weight >= 0 && weight <= 1)) throw new InvalidArgumentError(`weight must be in [0, 1], got ${weight}`);
}

/** What the share of a tensor is computed with: its kernel, and its decay with the weight in it. */
export function shareOf({ kernel, scalars }: TensorPlan, weight: number): { kernel: Kernel; decay: number } {
  const decay = weight * scalars.decay;
  // No decay is no term: 0 times an infinite parameter would be NaN.
  return { kernel: kernel.coupled && decay === 0 ? { ...kernel, coupled: false } : kernel, decay };
}

/** Which elements of a plan were kept, one bit each: held between the halves of a step, so that the mask is drawn once. */
export class KeptBits {
  #words = new Int32Array(0);

  /** Room for all elements of a plan, every tensor from a word of its own on. */
  reserve(plan: StepPlan): Int32Array {
    const words = plan.tensors.reduce((sum, tensor) => sum + wordsOf(tensor), 0);
    if (this.#words.length < words) this.#words = new Int32Array(words);
    return this.#words;
  }
}

/** Words of 32 bits that a tensor's mask takes. */
export function wordsOf(tensor: TensorPlan | null): number {
  return Math.ceil((tensor?.size ?? 0) / 32);
}
