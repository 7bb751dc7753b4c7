import type { Group, LaneSource } from '../harness/measure.ts';
import { fcnetLane, fcnetNames, torchFcnetLane } from '../lanes/fcnet.ts';
import type { Clock } from '../lanes/processorTime.ts';
import { onProcessor } from '../lanes/processorTime.ts';
import type { ResNetSettings } from '../lanes/resnet34.ts';
import { resNetLane, resNetNames, torchResNetLane } from '../lanes/resnet34.ts';
import type { Suite } from './suite.ts';

const RULE = 'sgdm';

/** At least .7 of PyTorch's steps a second for the network of products, .15 for that of convolutions. */
const LEAST = { fcnet: 0.7, resnet: 0.15 } as const;

/** The paper's small batch for a processor: one that PyTorch's convolutions are slowest with. */
const SMALL: ResNetSettings = { rule: RULE, keep: 1, batch: 8 };
const DROPPING: ResNetSettings = { ...SMALL, keep: 0.5 };

const CLOCKS: readonly Clock[] = ['processor', 'wall'];

function groupsBy(clock: Clock): readonly Group[] {
  const own = clock === 'processor' ? onProcessor : (source: LaneSource): LaneSource => source;
  const suffix = clock === 'processor' ? ', processor time' : '';
  return [
    {
      name: `FCNet, batch 128${suffix}`,
      lanes: [
        own(fcnetLane('wasm', RULE, 1)),
        own(fcnetLane('wasm', RULE, 0.5)),
        torchFcnetLane(RULE, 1, clock),
        torchFcnetLane(RULE, 0.5, clock),
      ],
      pairs: [
        {
          lane: fcnetNames.lrd('wasm', RULE, 1),
          over: fcnetNames.torch(RULE, 1),
          limit: { kind: 'at most', value: 1 / LEAST.fcnet },
        },
        { lane: fcnetNames.lrd('wasm', RULE, 0.5), over: fcnetNames.torch(RULE, 0.5) },
        { lane: fcnetNames.lrd('wasm', RULE, 0.5), over: fcnetNames.lrd('wasm', RULE, 1) },
      ],
    },
    {
      name: `ResNet-34, batch 8${suffix}`,
      lanes: [
        own(resNetLane('wasm', SMALL)),
        own(resNetLane('wasm', DROPPING)),
        torchResNetLane(1, SMALL, clock),
        torchResNetLane(0.5, SMALL, clock),
      ],
      pairs: [
        {
          lane: resNetNames.lrd('wasm', SMALL),
          over: resNetNames.torch(1, RULE),
          limit: { kind: 'at most', value: 1 / LEAST.resnet },
        },
        { lane: resNetNames.lrd('wasm', DROPPING), over: resNetNames.torch(0.5, RULE) },
        { lane: resNetNames.lrd('wasm', DROPPING), over: resNetNames.lrd('wasm', SMALL) },
      ],
    },
  ];
}

/** Training steps on the WASM backend against PyTorch on one thread, the same network and batch. */
export const train: Suite = {
  name: 'train',
  title: 'Training steps against PyTorch',
  about:
    'Whole training steps (forward, backward, momentum) of FCNet with batch 128 and of ResNet-34 with batch 8 at full width, in turns. PyTorch has one thread, tfjs-wasm as many as `enableTraining` takes. The limits are those of 0.7 and 0.15 of its steps a second. Processor time is that of all threads, and says what the work costs on a busy machine too.',
  groups: () => CLOCKS.flatMap((clock) => groupsBy(clock)),
  extra: true,
  budget: ({ full }) => ({ groupMs: full ? 240_000 : 60_000, turnMs: 1, minRounds: 3, slowMs: 120_000, maxRounds: 30 }),
};
