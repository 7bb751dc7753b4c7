import type { FigureResult } from '../harness/results.ts';
import { scale, spread } from '../harness/statistics.ts';
import type { Group, LaneSource, Pair, Rounds } from '../harness/measure.ts';
import { onHardware } from '../lanes/deviceTime.ts';
import { jaxJsLane } from '../lanes/jaxjs.ts';
import type { TorchDevice } from '../lanes/torch.ts';
import type { Training } from '../lanes/training.ts';
import { epochSteps, titleOf, torchTrainingLane, trainingLane, trainingNames } from '../lanes/training.ts';
import type { Suite } from './suite.ts';

type EpochBackend = 'wasm' | 'webgpu' | 'node';

/** Seconds that an epoch takes at a lane's pace. */
const epochSeconds =
  (steps: number) =>
  (rounds: Rounds): readonly FigureResult[] =>
    [...rounds].map(([name, ms]) => ({
      name: `an epoch, ${name}`,
      unit: 's',
      value: scale(spread(ms), steps / 1000),
    }));

// On a software adapter a step takes seconds, and peers alone say nothing.
const lanesOn = (backend: EpochBackend, lanes: readonly LaneSource[]): readonly LaneSource[] =>
  backend === 'webgpu' ? lanes.map(onHardware) : lanes;

const titleOn = (backend: EpochBackend, training: Training): string =>
  `${titleOf(training)}, ${training.rule}, ${backend}`;

/** A network with LRD and at p = 1, and nothing beside them: others leave less of the caches, and a mask costs a few hundredths of a step. */
function maskGroup(backend: EpochBackend, training: Training): Group {
  const [lrd, whole] = [trainingLane(backend, training, 0.5), trainingLane(backend, training, 1)];
  const limit = { kind: 'at most', value: backend === 'node' ? 1.03 : 1.04 } as const;
  return {
    name: `${titleOn(backend, training)}, the mask`,
    lanes: lanesOn(backend, [lrd, whole]),
    pairs: [{ lane: lrd.name, over: whole.name, limit }],
  };
}

/** A network with LRD, with tfjs's own optimizer, and in PyTorch: on the GPU where tfjs is. */
function peersGroup(backend: EpochBackend, training: Training): Group {
  const device: TorchDevice = backend === 'webgpu' ? 'cuda' : 'cpu';
  const { net, rule } = training;
  const lrd = trainingNames.lrd(backend, training, 0.5);
  const torch = (keep: number): string => trainingNames.torch(training, keep, device);
  const jax = net === 'fcnet' && backend === 'wasm' ? jaxJsLane(training) : undefined;
  const bounded = net === 'fcnet' && rule === 'adam' && backend === 'wasm';
  const pairs: Pair[] = [
    {
      lane: lrd,
      over: trainingNames.own(backend, training),
      ...(bounded ? { limit: { kind: 'at most', value: 0.9 } as const } : {}),
    },
    { lane: lrd, over: torch(1) },
    { lane: lrd, over: torch(0.5) },
    { lane: torch(0.5), over: torch(1) },
    ...(jax === undefined ? [] : [{ lane: lrd, over: jax.name }]),
    ...(backend === 'node' ? [{ lane: lrd, over: trainingNames.lrd('wasm', training, 0.5) }] : []),
  ];
  const lanes: LaneSource[] = [
    trainingLane(backend, training, 0.5),
    trainingLane(backend, training, undefined),
    torchTrainingLane(training, 1, device),
    torchTrainingLane(training, 0.5, device),
    ...(jax === undefined ? [] : [jax]),
    ...(backend === 'node' ? [trainingLane('wasm', training, 0.5)] : []),
  ];
  return {
    name: titleOn(backend, training),
    lanes: lanesOn(backend, lanes),
    pairs,
    figures: epochSeconds(epochSteps(training)),
  };
}

/** What the mask costs, and how a network with LRD stands beside its peers. */
export const epochGroups = (backend: EpochBackend, training: Training): readonly Group[] => [
  maskGroup(backend, training),
  peersGroup(backend, training),
];

const BATCH = 128;

/** A whole training step, optimizer and all, as in section IV-A.6 of the paper. */
export const epoch: Suite = {
  name: 'epoch',
  title: 'An epoch',
  about:
    'Training steps with batch 128: the 784-1000-1000-10 network at the size of MNIST (469 steps an epoch), on a GPU also ResNet-34 and DenseNet-121 at the size of CIFAR-10 (391 steps). The paper reports 1.038 for LRD over none (TNNLS IV-A.6). All sides take the same number of threads (--threads, 1); PyTorch runs on the GPU where tfjs does.',
  groups: ({ full }) => [
    ...(['wasm', 'webgpu', 'node'] as const).flatMap((backend) =>
      (['adam', 'sgdm'] as const).flatMap((rule) => epochGroups(backend, { net: 'fcnet', rule, batch: BATCH })),
    ),
    ...(['resnet34', 'densenet121'] as const).flatMap((net) =>
      (full ? (['adam', 'sgdm'] as const) : (['adam'] as const)).flatMap((rule) =>
        epochGroups('webgpu', { net, rule, batch: BATCH }),
      ),
    ),
  ],
  budget: ({ full }) => ({ groupMs: full ? 120_000 : 20_000, turnMs: 1, slowMs: 20_000, maxRounds: 60 }),
};
