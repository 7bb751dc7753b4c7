import type { FigureResult } from '../harness/results.ts';
import { scale, spread } from '../harness/statistics.ts';
import type { Group, Pair, Rounds } from '../harness/measure.ts';
import { onHardware } from '../lanes/deviceTime.ts';
import type { FcnetRule } from '../lanes/fcnet.ts';
import { EPOCH_STEPS, fcnetLane, fcnetNames, torchFcnetLane } from '../lanes/fcnet.ts';
import type { Suite } from './suite.ts';

/** Seconds that an epoch takes at a lane's pace. */
function epochSeconds(rounds: Rounds): readonly FigureResult[] {
  return [...rounds].map(([name, ms]) => ({
    name: `an epoch, ${name}`,
    unit: 's',
    value: scale(spread(ms), EPOCH_STEPS / 1000),
  }));
}

/** FCNet with LRD, at p = 1, with tfjs's own optimizer, and in PyTorch. */
export function fcnetGroup(backend: 'wasm' | 'webgpu' | 'node', rule: FcnetRule): Group {
  const lrd = fcnetNames.lrd(backend, rule, 0.5);
  const pairs: Pair[] = [
    {
      lane: lrd,
      over: fcnetNames.lrd(backend, rule, 1),
      // TensorFlow's operations store the mask: there it has a price.
      ...(backend === 'node' ? {} : { limit: { kind: 'at most', value: 1.04 } as const }),
    },
    {
      lane: lrd,
      over: fcnetNames.own(backend, rule),
      ...(rule === 'adam' && backend === 'wasm' ? { limit: { kind: 'at most', value: 0.9 } as const } : {}),
    },
    { lane: lrd, over: fcnetNames.torch(rule, 1) },
    { lane: lrd, over: fcnetNames.torch(rule, 0.5) },
    { lane: fcnetNames.torch(rule, 0.5), over: fcnetNames.torch(rule, 1) },
    ...(backend === 'node' ? [{ lane: lrd, over: fcnetNames.lrd('wasm', rule, 0.5) }] : []),
  ];
  const lanes = [
    fcnetLane(backend, rule, 0.5),
    fcnetLane(backend, rule, 1),
    fcnetLane(backend, rule, undefined),
    torchFcnetLane(rule, 1),
    torchFcnetLane(rule, 0.5),
    ...(backend === 'node' ? [fcnetLane('wasm', rule, 0.5)] : []),
  ];
  return {
    name: `FCNet, ${rule}, ${backend}`,
    // On a software adapter a step takes seconds, and peers alone say nothing.
    lanes: backend === 'webgpu' ? lanes.map(onHardware) : lanes,
    pairs,
    figures: epochSeconds,
  };
}

/** A whole training step, optimizer and all, as in section IV-A.6 of the paper. */
export const epoch: Suite = {
  name: 'epoch',
  title: 'Epoch of FCNet',
  about:
    'Training steps of the 784-1000-1000-10 network, batch 128, at the size of MNIST (469 steps an epoch); the paper reports 1.038 for LRD over none (TNNLS IV-A.6). PyTorch runs on one thread.',
  groups: () =>
    (['wasm', 'webgpu', 'node'] as const).flatMap((backend) =>
      (['adam', 'sgdm'] as const).map((rule) => fcnetGroup(backend, rule)),
    ),
  budget: ({ full }) => ({ groupMs: full ? 120_000 : 30_000, turnMs: 1, slowMs: 20_000, maxRounds: 60 }),
};
