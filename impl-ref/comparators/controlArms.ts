import { effectiveKeepProbability } from '../masks.ts';

/**
 * The control arm for the mean step: p = 1 with the learning rate times p. Learning rate dropout has no 1/p, so its mean step
 * is p times the base rule's; what this arm gains too is not owed to the masks.
 */
export function scaledLearningRate(learningRate: number, keepProbability: number): number {
  return learningRate * effectiveKeepProbability(keepProbability);
}
