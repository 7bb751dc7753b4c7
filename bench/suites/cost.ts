import type { RuleName } from 'learning-rate-dropout/spec';
import type { Group, LaneSource } from '../harness/measure.ts';
import type { StepSettings } from '../lanes/engines.ts';
import { jsLane, wasmLane, webGpuFlatLane } from '../lanes/engines.ts';
import type { TfjsBackend } from '../lanes/tfjs.ts';
import { tfjsLane } from '../lanes/tfjs.ts';
import { torchLane } from '../lanes/torch.ts';
import type { Workload } from '../lanes/workload.ts';
import { resNet34, single } from '../lanes/workload.ts';
import type { Suite } from './suite.ts';

const SIDES: Readonly<Record<string, (settings: StepSettings) => LaneSource>> = {
  js: (settings) => jsLane(settings),
  wasm: (settings) => wasmLane(settings),
  webgpu: (settings) => webGpuFlatLane(settings),
  ...Object.fromEntries(
    (['cpu', 'wasm', 'webgpu'] satisfies TfjsBackend[]).map((backend) => [
      `tfjs-${backend}`,
      (settings: StepSettings) => tfjsLane(backend, 'lrd', settings),
    ]),
  ),
  PyTorch: torchLane,
};

/** p = 1/2 over p = 1 for each implementation that has both. */
function costGroup(rule: RuleName, workload: Workload): Group {
  const lanes = Object.values(SIDES).map((side) =>
    [0.5, 1].map((keepProbability) => side({ rule, workload, keepProbability })),
  );
  return {
    name: `p = 0.5 over p = 1, ${rule}, ${workload.name}`,
    elements: workload.elements,
    lanes: lanes.flat(),
    pairs: lanes.map(([masked, all]) => ({ lane: (masked as LaneSource).name, over: (all as LaneSource).name })),
  };
}

/** What LRD adds to a step: p = 1/2 against p = 1 on the same engine. */
export const cost: Suite = {
  name: 'cost',
  title: 'Cost of LRD',
  about:
    'Optimizer steps with the mask and at p = 1, which draws nothing, on each implementation. A whole training step is in the suite epoch.',
  groups: ({ full }) =>
    [single(2 ** 20), ...(full ? [resNet34()] : [])].flatMap((workload) =>
      (['adam', 'sgdm'] as const).map((rule) => costGroup(rule, workload)),
    ),
};
