import type { Group } from '../harness/measure.ts';
import type { Training } from '../lanes/training.ts';
import { titleOf, torchTrainingLane, trainingLane, trainingNames } from '../lanes/training.ts';
import type { Suite } from './suite.ts';

/** The least steps a second over PyTorch's: .7 for the network of products, .15 for that of convolutions. */
const SUBJECTS: readonly { readonly training: Training; readonly least: number }[] = [
  { training: { net: 'fcnet', rule: 'sgdm', batch: 128 }, least: 0.7 },
  // The small batch is the one that PyTorch's convolutions are slowest with on a processor.
  { training: { net: 'resnet34', rule: 'sgdm', batch: 8 }, least: 0.15 },
];

function trainGroup(training: Training, least: number): Group {
  const lrd = (keep: number): string => trainingNames.lrd('wasm', training, keep);
  return {
    name: `${titleOf(training)}, batch ${training.batch}`,
    lanes: [
      trainingLane('wasm', training, 1),
      trainingLane('wasm', training, 0.5),
      torchTrainingLane(training, 1),
      torchTrainingLane(training, 0.5),
    ],
    pairs: [
      { lane: lrd(1), over: trainingNames.torch(training, 1), limit: { kind: 'at most', value: 1 / least } },
      { lane: lrd(0.5), over: trainingNames.torch(training, 0.5) },
      { lane: lrd(0.5), over: lrd(1) },
    ],
  };
}

/** Training steps on the WASM backend against PyTorch, the same network, batch and threads. */
export const train: Suite = {
  name: 'train',
  title: 'Training steps against PyTorch',
  about:
    'Whole training steps (forward, backward, momentum) of FCNet with batch 128 and of ResNet-34 with batch 8 at full width, in turns, both sides on the same number of threads (--threads, 1). The limits are those of 0.7 and 0.15 of its steps a second.',
  groups: () => SUBJECTS.map(({ training, least }) => trainGroup(training, least)),
  extra: true,
  budget: ({ full }) => ({ groupMs: full ? 240_000 : 60_000, turnMs: 1, minRounds: 3, slowMs: 120_000, maxRounds: 30 }),
};
