import { masks } from '../definitions/masks.ts';
import type { CellOutcome } from '../results.ts';

/** Seeds of an arm of `masks`, each with its training loss and its accuracy at the end. */
export function maskCells(id: string, ends: readonly (readonly [loss: number, accuracy: number])[]): CellOutcome[] {
  const arm = masks.arms.find((known) => known.id === id);
  if (arm === undefined) throw new Error(id);
  return ends.map(([trainLoss, testAccuracy], k) => ({
    arm: id,
    seed: k + 1,
    settings: arm.settings,
    outcome: 'finished',
    metrics: [{ epoch: 1, trainLoss, trainAccuracy: 90, testLoss: 1, testAccuracy, seconds: 1, inputSeconds: 0, learningRate: 0.1, keepProbability: 1, weightDecay: 0 }], // prettier-ignore
  }));
}
