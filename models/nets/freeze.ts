import type { Net } from './net.ts';

/**
 * Chooses tensors whose sizes sum to half of all, as nearly as going from the largest to the smallest and taking the lighter
 * side gets. True: frozen. Pure, so that a run that goes on chooses the same ones.
 */
export function halfOfTensors(sizes: readonly number[]): boolean[] {
  const order = sizes.map((_, k) => k).sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b);
  const frozen = sizes.map(() => false);
  let [moving, still] = [0, 0];
  for (const k of order) {
    const size = sizes[k] as number;
    if (still < moving) {
      frozen[k] = true;
      still += size;
    } else {
      moving += size;
    }
  }
  return frozen;
}

/**
 * A network half of whose parameters, by whole tensors, keep their first values (TNNLS 2022, Fig. 1): they are carried along as
 * statistics are, saved and never optimized, and have no place in the mask stream.
 */
export function freezeHalf<Output>(net: Net<Output>): Net<Output> {
  const frozen = halfOfTensors(net.parameters.map(({ variable }) => variable.size));
  return {
    ...net,
    parameters: net.parameters.filter((_, k) => frozen[k] !== true),
    statistics: [...net.statistics, ...net.parameters.filter((_, k) => frozen[k] === true)],
  };
}
