import { resNetLane, resNetNames, torchResNetLane } from '../lanes/resnet34.ts';
import type { Suite } from './suite.ts';

/** A whole training step of a network of convolutions: what a processor spends its time on. */
export const resnet34: Suite = {
  name: 'resnet34',
  title: 'Step of ResNet-34',
  about:
    'A training step of ResNet-34 at full width (21.3 M parameters), batch 32 of 32 x 32 images, Adam with LRD. TensorFlow and tfjs-wasm use all cores, PyTorch one.',
  groups: () => [
    {
      name: 'ResNet-34, batch 32',
      lanes: [resNetLane('node'), resNetLane('wasm'), torchResNetLane(1), torchResNetLane(0.5)],
      pairs: [
        { lane: resNetNames.lrd('node'), over: resNetNames.lrd('wasm') },
        { lane: resNetNames.lrd('node'), over: resNetNames.torch(1) },
        { lane: resNetNames.lrd('node'), over: resNetNames.torch(0.5) },
        { lane: resNetNames.lrd('wasm'), over: resNetNames.torch(1) },
      ],
    },
  ],
  extra: true,
  budget: ({ full }) => ({ groupMs: full ? 300_000 : 90_000, turnMs: 1, minRounds: 2, slowMs: 120_000, maxRounds: 10 }),
};
