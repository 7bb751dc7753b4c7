/**
 * A keep probability that follows the learning rate, as the third paper's sparsity does: more regularization where the rate's own
 * is smaller. `keepProbabilities` lists (learning rate, p) pairs; a step takes the p of the smallest listed rate that is not below its own.
 *
 * @example
 * followLearningRate(rate, [[1e-1, 1], [1e-3, 0.5]])  // p = 1 above 1e-3, .5 from there down
 */
export function followLearningRate(
  learningRate: (step: number) => number,
  keepProbabilities: readonly (readonly [learningRate: number, keepProbability: number])[],
): (step: number) => number {
  const ascending = [...keepProbabilities].sort(([a], [b]) => a - b);
  return (step) => {
    const rate = learningRate(step);
    // A rate may differ from the listed one by the rounding of alpha gamma^k.
    const entry = ascending.find(([listed]) => rate <= listed * (1 + 1e-12)) ?? ascending.at(-1);
    if (entry === undefined) throw new RangeError('keepProbabilities must have at least one pair, got none');
    return entry[1];
  };
}

/** From `first` at step 1 in a straight line to `last` at step `steps`, and there from then on. */
export function linearKeepProbability(first: number, last: number, steps: number): (step: number) => number {
  return (step) => (step >= steps ? last : first + ((last - first) * (step - 1)) / (steps - 1));
}
