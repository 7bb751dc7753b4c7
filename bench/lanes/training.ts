/** Training steps of the paper's networks on random images, with tfjs and with PyTorch. */
import * as tf from '@tensorflow/tfjs';
import type { ImageSet, ImageShape } from '../../models/data/dataSet.ts';
import { memorySplit } from '../../models/data/memoryImages.ts';
import { denseNet } from '../../models/nets/densenet.ts';
import { fcNet } from '../../models/nets/fcnet.ts';
import type { Net } from '../../models/nets/net.ts';
import { resNet } from '../../models/nets/resnet.ts';
import { createOptimizer } from '../../models/recipes/optimizers.ts';
import type { Batch } from '../../models/tasks/classification/batches.ts';
import { trainingBatches } from '../../models/tasks/classification/batches.ts';
import { trainBatch } from '../../models/tasks/classification/task.ts';
import type { Lane, LaneSource } from '../harness/measure.ts';
import type { TfjsBackend } from './tfjs.ts';
import { drain, selectBackend } from './tfjs.ts';
import type { TorchDevice } from './torch.ts';
import { torchName, torchPeer, torchSample } from './torch.ts';

interface Subject {
  readonly title: string;
  readonly shape: ImageShape;
  /** Images of an epoch of the data set that it is trained on: MNIST's or CIFAR-10's. */
  readonly images: number;
  /** Steps of a sample: a small network's are short beside the clock's and the queue's overhead. */
  readonly steps: number;
  readonly create: () => Net;
}

const SUBJECTS = {
  /** 784-1000-1000-10. */
  fcnet: {
    title: 'FCNet',
    shape: [28, 28, 1],
    images: 60_000,
    steps: 8,
    create: () => fcNet({ inputs: 784, classes: 10, seed: 1n }),
  },
  /** With the CIFAR stem, 21.3 M parameters. */
  resnet34: {
    title: 'ResNet-34',
    shape: [32, 32, 3],
    images: 50_000,
    steps: 1,
    create: () => resNet('resnet34', { classes: 10, seed: 1n }),
  },
  /** With the CIFAR stem, 7.0 M parameters. */
  densenet121: {
    title: 'DenseNet-121',
    shape: [32, 32, 3],
    images: 50_000,
    steps: 1,
    create: () => denseNet('densenet121', { classes: 10, seed: 1n }),
  },
} as const satisfies Readonly<Record<string, Subject>>;

/** What is trained how. */
export interface Training {
  readonly net: keyof typeof SUBJECTS;
  readonly rule: 'sgdm' | 'adam';
  readonly batch: number;
}

/** As the paper writes the network's name. */
export const titleOf = ({ net }: Training): string => SUBJECTS[net].title;

/** Optimizer steps of an epoch. */
export const epochSteps = ({ net, batch }: Training): number => Math.ceil(SUBJECTS[net].images / batch);

const sets = new Map<string, ImageSet>();

/** Random images: an epoch's where they are small, else one batch, which costs a step the same. */
function noiseSet({ net, batch }: Training): ImageSet {
  const { shape, images }: Subject = SUBJECTS[net];
  const count = net === 'fcnet' ? images : batch;
  const name = `noise, ${net}, ${count}`;
  const known = sets.get(name);
  if (known !== undefined) return known;
  const [height, width, channels] = shape;
  const byte = (i: number): number => Math.imul(i, 2654435761) >>> 24;
  const set: ImageSet = {
    name,
    shape,
    classes: Array.from({ length: 10 }, (_, k) => String(k)),
    maximum: 255,
    mean: Array.from({ length: channels }, () => 0),
    std: Array.from({ length: channels }, () => 1),
    augmentation: 'none',
    augmentations: ['none'],
    train: memorySplit(
      shape,
      Uint8Array.from({ length: count * height * width * channels }, (_, i) => byte(i)),
      Uint8Array.from({ length: count }, (_, i) => byte(i + 1) % 10),
    ),
    test: memorySplit(shape, new Uint8Array(), []),
    source: 'generated',
  };
  sets.set(name, set);
  return set;
}

/** Batches without an end: epoch after epoch. */
async function* endless(set: ImageSet, batch: number): AsyncGenerator<Batch, never> {
  for (let epoch = 1; ; epoch++) yield* trainingBatches(set, batch, 1n, epoch);
}

/** Names of the lanes, to be paired. */
export const trainingNames = {
  lrd: (backend: TfjsBackend, { rule }: Training, keep: number): string => `tfjs-${backend}: lrd.${rule}, p = ${keep}`,
  own: (backend: TfjsBackend, { rule }: Training): string =>
    `tfjs-${backend}: its own ${rule === 'sgdm' ? 'momentum' : rule}`,
  torch: ({ rule }: Training, keep: number, device: TorchDevice = 'cpu'): string =>
    `${torchName(device)}: ${keep === 1 ? rule : `LRD-${rule}, torch.bernoulli`}`,
} as const;

/** A network in tfjs; `keep` undefined: tfjs's own optimizer. The kernels of `enableTraining` are on in both. */
export function trainingLane(backend: TfjsBackend, training: Training, keep: number | undefined): LaneSource {
  const { net: netName, rule, batch } = training;
  const name = keep === undefined ? trainingNames.own(backend, training) : trainingNames.lrd(backend, training, keep);
  return {
    name,
    open: async (): Promise<Lane> => {
      await selectBackend(backend);
      const { steps, create }: Subject = SUBJECTS[netName];
      const set = noiseSet(training);
      const net = create();
      const optimizer =
        keep !== undefined
          ? createOptimizer(rule, { keepProbability: keep, seed: 1n })
          : rule === 'sgdm'
            ? tf.train.momentum(0.1, 0.9)
            : tf.train.adam(1e-3, 0.9, 0.999, 1e-8);
      // tfjs types gradients as variables here and as tensors there; both are the same to it.
      const updater = {
        applyGradients: (gradients: tf.NamedTensorMap) => optimizer.applyGradients(gradients as never),
      };
      const batches = endless(set, batch);
      let step = 0;
      return {
        name,
        steps,
        prepare: () => selectBackend(backend),
        sample: async () => {
          for (let i = 0; i < steps; i++) {
            await trainBatch({ net, set, optimizer: updater }, (await batches.next()).value, ++step);
          }
          await drain(backend);
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

/** The same network in PyTorch, on the processor or on the GPU. */
export function torchTrainingLane(training: Training, keep: number, device: TorchDevice = 'cpu'): LaneSource {
  const name = trainingNames.torch(training, keep, device);
  const { net, rule, batch } = training;
  const { steps } = SUBJECTS[net];
  return {
    name,
    open: async (): Promise<Lane> => {
      const peer = await torchPeer(device);
      return {
        name,
        steps,
        ...torchSample(() => peer.ask({ op: 'train', net, rule, keep, batch, device, steps })),
      };
    },
  };
}
