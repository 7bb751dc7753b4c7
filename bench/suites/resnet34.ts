import type { Group } from '../harness/measure.ts';
import type { Training } from '../lanes/training.ts';
import { torchTrainingLane, trainingLane, trainingNames } from '../lanes/training.ts';
import type { Suite } from './suite.ts';

function groupOf(rule: Training['rule']): Group {
  const training: Training = { net: 'resnet34', rule, batch: 32 };
  const [node, wasm] = [trainingLane('node', training, 0.5), trainingLane('wasm', training, 0.5)];
  return {
    name: `ResNet-34, batch 32, ${rule}`,
    lanes: [node, wasm, torchTrainingLane(training, 1), torchTrainingLane(training, 0.5)],
    pairs: [
      { lane: node.name, over: wasm.name },
      { lane: node.name, over: trainingNames.torch(training, 1) },
      { lane: node.name, over: trainingNames.torch(training, 0.5) },
      { lane: wasm.name, over: trainingNames.torch(training, 1) },
    ],
  };
}

/** A whole training step of a network of convolutions: what a processor spends its time on. */
export const resnet34: Suite = {
  name: 'resnet34',
  title: 'Step of ResNet-34',
  about:
    'A training step of ResNet-34 at full width (21.3 M parameters), batch 32 of 32 x 32 images, with LRD. All sides take the same number of threads (--threads, 1).',
  groups: () => [groupOf('adam'), groupOf('sgdm')],
  extra: true,
  budget: ({ full }) => ({ groupMs: full ? 300_000 : 90_000, turnMs: 1, minRounds: 2, slowMs: 120_000, maxRounds: 10 }),
};
