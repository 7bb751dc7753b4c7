/** Training steps of the paper's FCNet at MNIST's size, batch 128, on random images: tfjs and PyTorch. */
import * as tf from '@tensorflow/tfjs';
import type { ImageSet, ImageShape } from '../../models/data/dataSet.ts';
import { memorySplit } from '../../models/data/memoryImages.ts';
import { fcNet } from '../../models/nets/fcnet.ts';
import { createOptimizer } from '../../models/recipes.ts';
import type { Batch } from '../../models/trainer/batches.ts';
import { trainingBatches } from '../../models/trainer/batches.ts';
import { trainBatch } from '../../models/trainer/classification.ts';
import type { Lane, LaneSource } from '../harness/measure.ts';
import type { Clock } from './processorTime.ts';
import type { TfjsBackend } from './tfjs.ts';
import { selectBackend } from './tfjs.ts';
import { torchPeer } from './torch.ts';

/** Optimizer steps of an epoch: 60,000 images in batches of 128. */
export const EPOCH_STEPS = 469;

/** Steps of a sample. */
const STEPS = 8;
const COUNT = 60_000;
const SHAPE: ImageShape = [28, 28, 1];

export type FcnetRule = 'sgdm' | 'adam';

let images: ImageSet | undefined;

function noiseSet(): ImageSet {
  return (images ??= {
    name: 'noise',
    shape: SHAPE,
    classes: Array.from({ length: 10 }, (_, k) => String(k)),
    maximum: 255,
    mean: [0],
    std: [1],
    augmentation: 'none',
    augmentations: ['none'],
    train: memorySplit(
      SHAPE,
      Uint8Array.from({ length: COUNT * 784 }, (_, i) => Math.imul(i, 2654435761) >>> 24),
      Uint8Array.from({ length: COUNT }, (_, i) => (Math.imul(i, 2654435761) >>> 16) % 10),
    ),
    test: memorySplit(SHAPE, new Uint8Array(), []),
    source: 'generated',
  });
}

/** Batches without an end: epoch after epoch. */
async function* endless(set: ImageSet): AsyncGenerator<Batch, never> {
  for (let epoch = 1; ; epoch++) yield* trainingBatches(set, 128, 1n, epoch);
}

/** Names of the lanes, to be paired. */
export const fcnetNames = {
  lrd: (backend: TfjsBackend, rule: FcnetRule, keep: number): string => `tfjs-${backend}: lrd.${rule}, p = ${keep}`,
  own: (backend: TfjsBackend, rule: FcnetRule): string =>
    `tfjs-${backend}: its own ${rule === 'sgdm' ? 'momentum' : rule}`,
  torch: (rule: FcnetRule, keep: number): string =>
    keep === 1 ? `PyTorch: ${rule}` : `PyTorch: LRD-${rule}, torch.bernoulli`,
} as const;

/** FCNet in tfjs; `keep` undefined: tfjs's own optimizer. The shims for products on wasm are on in both. */
export function fcnetLane(backend: TfjsBackend, rule: FcnetRule, keep: number | undefined): LaneSource {
  const name = keep === undefined ? fcnetNames.own(backend, rule) : fcnetNames.lrd(backend, rule, keep);
  return {
    name,
    open: async (): Promise<Lane> => {
      await selectBackend(backend);
      const set = noiseSet();
      const net = fcNet({ inputs: 784, classes: 10, seed: 1n });
      const settings = { learningRate: undefined, momentum: undefined, weightDecay: undefined, seed: 1n };
      const optimizer =
        keep !== undefined
          ? createOptimizer(rule, { ...settings, keepProbability: keep })
          : rule === 'sgdm'
            ? tf.train.momentum(0.1, 0.9)
            : tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
      // tfjs types gradients as variables here and as tensors there; both are the same to it.
      const updater = {
        applyGradients: (gradients: tf.NamedTensorMap) => optimizer.applyGradients(gradients as never),
      };
      const batches = endless(set);
      let step = 0;
      return {
        name,
        steps: STEPS,
        prepare: () => selectBackend(backend),
        sample: async () => {
          for (let i = 0; i < STEPS; i++) {
            await trainBatch({ net, set, optimizer: updater }, (await batches.next()).value, ++step);
          }
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

/** FCNet in PyTorch on one thread. */
export function torchFcnetLane(rule: FcnetRule, keep: number, clock: Clock = 'wall'): LaneSource {
  const name = fcnetNames.torch(rule, keep);
  return {
    name,
    open: async (): Promise<Lane> => {
      const peer = await torchPeer();
      return {
        name,
        steps: STEPS,
        sample: async () => (await peer.ask({ op: 'fcnet', rule, keep, clock, steps: STEPS }))['ms'] as number,
      };
    },
  };
}
