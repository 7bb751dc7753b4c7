import type { Training } from '../lanes/training.ts';
import { torchTrainingLane, trainingLane, trainingNames } from '../lanes/training.ts';
import type { Suite } from './suite.ts';

const TRAINING: Training = { net: 'resnet34', rule: 'adam', batch: 32 };
const [node, wasm] = [trainingLane('node', TRAINING, 0.5), trainingLane('wasm', TRAINING, 0.5)];

/** A whole training step of a network of convolutions: what a processor spends its time on. */
export const resnet34: Suite = {
  name: 'resnet34',
  title: 'Step of ResNet-34',
  about:
    'A training step of ResNet-34 at full width (21.3 M parameters), batch 32 of 32 x 32 images, Adam with LRD. All sides take the same number of threads (--threads, 1).',
  groups: () => [
    {
      name: 'ResNet-34, batch 32',
      lanes: [node, wasm, torchTrainingLane(TRAINING, 1), torchTrainingLane(TRAINING, 0.5)],
      pairs: [
        { lane: node.name, over: wasm.name },
        { lane: node.name, over: trainingNames.torch(TRAINING, 1) },
        { lane: node.name, over: trainingNames.torch(TRAINING, 0.5) },
        { lane: wasm.name, over: trainingNames.torch(TRAINING, 1) },
      ],
    },
  ],
  extra: true,
  budget: ({ full }) => ({ groupMs: full ? 300_000 : 90_000, turnMs: 1, minRounds: 2, slowMs: 120_000, maxRounds: 10 }),
};
