import type { Gradient } from './transformation.ts';

/**
 * The mean gradient of micro-batches of equal size, by tensor: what one optimizer step, with one mask, then takes. A tensor that
 * some micro-batch has no gradient for counts as 0 there; without any it stays null.
 *
 * @param microBatches - one or more lists of gradients by tensor
 * @throws RangeError when there is no micro-batch, or their tensors differ in number or size
 */
export function meanGradients(microBatches: readonly (readonly (ArrayLike<number> | null)[])[]): Gradient[] {
  const [first] = microBatches;
  if (first === undefined) throw new RangeError('microBatches must have at least one entry, got none');
  return first.map((_, k) => {
    let sum: Float64Array | null = null;
    for (const gradients of microBatches) {
      if (gradients.length !== first.length) {
        throw new RangeError(`microBatches must have ${first.length} tensors each, got ${gradients.length}`);
      }
      const gradient = gradients[k] ?? null;
      if (gradient === null) continue;
      sum ??= new Float64Array(gradient.length);
      if (sum.length !== gradient.length) {
        throw new RangeError(
          `microBatches must agree in the size of tensor ${k}, got ${sum.length} and ${gradient.length}`,
        );
      }
      for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (gradient[i] as number);
    }
    return sum?.map((s) => s / microBatches.length) ?? null;
  });
}
