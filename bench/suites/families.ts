/** Optimizer steps in families: what runs on one kind of processor, beside its peers. */
import type { Group, LaneSource, Pair } from '../harness/measure.ts';
import { deviceBufferCopyLane, deviceStepLane, onHardware } from '../lanes/deviceTime.ts';
import type { StepSettings } from '../lanes/engines.ts';
import {
  arrayLane,
  jsCopyLane,
  jsLane,
  wasmCopyLane,
  wasmLane,
  webGpuCopyLane,
  webGpuFlatLane,
  webGpuSeparateLane,
} from '../lanes/engines.ts';
import { gpuJsLane } from '../lanes/gpujs.ts';
import type { TfjsBackend } from '../lanes/tfjs.ts';
import { tfjsHas, tfjsLane } from '../lanes/tfjs.ts';
import { threads } from '../lanes/threads.ts';
import { torchLane } from '../lanes/torch.ts';

/** Those with an engine of this package. */
export const ENGINE_FAMILIES = ['js', 'wasm', 'webgpu'] as const;
export const FAMILIES = [...ENGINE_FAMILIES, 'node'] as const;
export type Family = (typeof FAMILIES)[number];

/** The tfjs backend that works on the same memory. */
const BACKENDS: Readonly<Record<Family, TfjsBackend>> = {
  js: 'cpu',
  wasm: 'wasm',
  webgpu: 'webgpu',
  node: 'node',
};
/** gpu.js's mode on the same processor. */
const GPUJS_MODES = { js: 'cpu', wasm: 'webasm', webgpu: 'webgpu' } as const;

function engineLanes(family: Family, settings: StepSettings): readonly LaneSource[] {
  switch (family) {
    case 'js':
      return [jsLane(settings), arrayLane(settings)];
    case 'wasm':
      return [wasmLane(settings), ...(threads() > 1 ? [wasmLane(settings, threads())] : [])];
    case 'webgpu':
      return [onHardware(deviceStepLane(settings)), webGpuFlatLane(settings), webGpuSeparateLane(settings)];
    case 'node':
      // TensorFlow's kernels are its engine.
      return [];
  }
}

function copyLanes(family: Family, settings: StepSettings): readonly LaneSource[] {
  switch (family) {
    case 'js':
      return [jsCopyLane(settings)];
    case 'wasm':
      return [wasmCopyLane(settings)];
    case 'webgpu':
      return [onHardware(deviceBufferCopyLane(settings)), webGpuCopyLane(settings)];
    case 'node':
      return [wasmCopyLane(settings)];
  }
}

/**
 * A step of a rule with LRD in one family: the engines, LRD in tfjs, LRD as gpu.js kernels, tfjs's own optimizer, LRD in tfjs operations, PyTorch's
 * optimizer and PyTorch with `torch.bernoulli`, and a copy of as many bytes. Ratios are LRD's over each of its peers.
 */
export function stepGroup(family: Family, settings: StepSettings): Group {
  const { rule, workload } = settings;
  const backend = BACKENDS[family];
  const base = { ...settings, keepProbability: 1 };
  const engines = engineLanes(family, settings);
  const lrd = tfjsLane(backend, 'lrd', settings);
  const peers = [
    family === 'node' ? tfjsLane('wasm', 'lrd', settings) : gpuJsLane(GPUJS_MODES[family], settings),
    ...(tfjsHas(rule) ? [tfjsLane(backend, 'own', settings)] : []),
    ...(rule === 'sgdm' || rule === 'adam' ? [tfjsLane(backend, 'operations', settings)] : []),
    torchLane(base),
    torchLane(settings),
    ...(family === 'webgpu' ? [base, settings].map((each) => onHardware(torchLane(each, 'cuda'))) : []),
  ];
  const pairs = [...engines, lrd].flatMap((lane): Pair[] =>
    peers.map((peer) => ({ lane: lane.name, over: peer.name })),
  );
  return {
    name: `${rule}, ${workload.name}, ${family}`,
    elements: workload.elements,
    tensors: workload.sizes.length,
    lanes: [...engines, lrd, ...peers, ...copyLanes(family, settings)],
    pairs,
  };
}
