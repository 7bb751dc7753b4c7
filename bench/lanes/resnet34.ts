/** Training steps of the paper's ResNet-34 (CIFAR stem, 21.3 M parameters) at full width on random images: tfjs and PyTorch. */
import type { ImageSet, ImageShape } from '../../models/data/dataSet.ts';
import { memorySplit } from '../../models/data/memoryImages.ts';
import { resNet } from '../../models/nets/resnet.ts';
import { createOptimizer } from '../../models/recipes.ts';
import type { Batch } from '../../models/trainer/batches.ts';
import { trainingBatches } from '../../models/trainer/batches.ts';
import { trainBatch } from '../../models/trainer/classification.ts';
import type { LaneSource } from '../harness/measure.ts';
import type { Clock } from './processorTime.ts';
import type { TfjsBackend } from './tfjs.ts';
import { selectBackend } from './tfjs.ts';
import { torchPeer } from './torch.ts';

/** What is trained how; the default is the paper's Adam with LRD on batches that convolutions are fast with. */
export interface ResNetSettings {
  readonly rule: 'sgdm' | 'adam';
  readonly keep: number;
  readonly batch: number;
}

const DEFAULT: ResNetSettings = { rule: 'adam', keep: 0.5, batch: 32 };
const SHAPE: ImageShape = [32, 32, 3];

function noiseSet(batch: number): ImageSet {
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  return {
    name: 'noise',
    shape: SHAPE,
    classes: Array.from({ length: 10 }, (_, k) => String(k)),
    maximum: 255,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    augmentation: 'none',
    augmentations: ['none'],
    train: memorySplit(
      SHAPE,
      bytes(batch * 32 * 32 * 3),
      bytes(batch).map((value) => value % 10),
    ),
    test: memorySplit(SHAPE, new Uint8Array(), []),
    source: 'generated',
  };
}

async function* endless(set: ImageSet): AsyncGenerator<Batch, never> {
  for (let epoch = 1; ; epoch++) yield* trainingBatches(set, set.train.count, 1n, epoch);
}

/** Names of the lanes, to be paired. */
export const resNetNames = {
  lrd: (backend: TfjsBackend, { rule, keep }: ResNetSettings = DEFAULT): string =>
    `tfjs-${backend}: ResNet-34, lrd.${rule}, p = ${keep}`,
  torch: (keep: number, rule: ResNetSettings['rule'] = DEFAULT.rule): string =>
    `PyTorch: ResNet-34, ${keep === 1 ? rule : `LRD-${rule}, torch.bernoulli`}`,
} as const;

/** A step with LRD on a tfjs backend. */
export function resNetLane(backend: TfjsBackend, settings: ResNetSettings = DEFAULT): LaneSource {
  const name = resNetNames.lrd(backend, settings);
  return {
    name,
    open: async () => {
      await selectBackend(backend);
      const set = noiseSet(settings.batch);
      const net = resNet('resnet34', { classes: 10, seed: 1n });
      const optimizer = createOptimizer(settings.rule, { keepProbability: settings.keep, seed: 1n });
      const batches = endless(set);
      let step = 0;
      return {
        name,
        prepare: () => selectBackend(backend),
        sample: async () => {
          await trainBatch({ net, set, optimizer }, (await batches.next()).value, ++step);
          return undefined;
        },
        close: async () => {
          await selectBackend(backend);
          optimizer.dispose();
          net.dispose();
        },
      };
    },
  };
}

/** A step of the same network in PyTorch, on one thread. */
export function torchResNetLane(
  keep: number,
  { rule, batch }: Pick<ResNetSettings, 'rule' | 'batch'> = DEFAULT,
  clock: Clock = 'wall',
): LaneSource {
  const name = resNetNames.torch(keep, rule);
  return {
    name,
    open: async () => {
      const peer = await torchPeer();
      return {
        name,
        sample: async () => (await peer.ask({ op: 'resnet34', rule, keep, batch, clock, steps: 1 }))['ms'] as number,
      };
    },
  };
}
