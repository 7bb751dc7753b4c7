import type { Group } from '../harness/measure.ts';
import type { StepSettings } from '../lanes/engines.ts';
import { jsLane, wasmLane, webGpuFlatLane, webGpuSeparateLane } from '../lanes/engines.ts';
import { tfjsLane } from '../lanes/tfjs.ts';
import { torchLane } from '../lanes/torch.ts';
import type { Workload } from '../lanes/workload.ts';
import { single, split } from '../lanes/workload.ts';
import type { Suite } from './suite.ts';

function scaleGroup(workload: Workload): Group {
  const settings: StepSettings = { rule: 'adam', workload, keepProbability: 0.5 };
  return {
    name: `adam, ${workload.name}`,
    elements: workload.elements,
    tensors: workload.sizes.length,
    lanes: [
      jsLane(settings),
      wasmLane(settings),
      wasmLane(settings, 2),
      webGpuFlatLane(settings, true),
      webGpuSeparateLane(settings),
      tfjsLane('wasm', 'lrd', settings),
      tfjsLane('wasm', 'own', settings),
      torchLane({ ...settings, keepProbability: 1 }),
      torchLane(settings),
    ],
    pairs: [],
  };
}

/** Thousands to tens of millions of parameters, and one tensor to a thousand. */
export const scale: Suite = {
  name: 'scale',
  title: 'Scale',
  about:
    'LRD-Adam against the number of parameters in one tensor, and 1,048,576 parameters against the number of tensors.',
  groups: ({ full }) => {
    const sizes = full ? [1e3, 1e4, 1e5, 1e6, 1e7, 3e7] : [1e3, 1e4, 1e5, 1e6];
    const counts = full ? [1, 4, 16, 64, 256, 1024] : [16, 256];
    return [...sizes.map(single), ...counts.map((count) => split(2 ** 20, count))].map(scaleGroup);
  },
  budget: ({ full }) => (full ? {} : { groupMs: 2500, slowMs: 300 }),
};
