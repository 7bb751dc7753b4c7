import type { Group } from '../harness/measure.ts';
import type { FigureResult, Limit } from '../harness/results.ts';
import { spread } from '../harness/statistics.ts';
import {
  deviceBufferCopyLane,
  deviceNames,
  deviceShaderCopyLane,
  deviceStepLane,
  onHardware,
} from '../lanes/deviceTime.ts';
import type { StepSettings } from '../lanes/engines.ts';
import { describeGpu, jsLane, wasmCopyLane, wasmLane, webGpuFlatLane } from '../lanes/engines.ts';
import { tfjsLane } from '../lanes/tfjs.ts';
import { torchLane } from '../lanes/torch.ts';
import type { Workload } from '../lanes/workload.ts';
import { resNet34, single } from '../lanes/workload.ts';
import type { Suite } from './suite.ts';

const atMost = (value: number): Limit => ({ kind: 'at most', value });

const adam = (workload: Workload, keepProbability: number): StepSettings => ({
  rule: 'adam',
  workload,
  keepProbability,
});

function tfjsGroup(): Group {
  const settings = adam(resNet34(), 0.5);
  const [engine, pool, own] = [wasmLane(settings), wasmLane(settings, 2), tfjsLane('wasm', 'own', settings)];
  return {
    name: `wasm against tfjs-wasm, ${settings.workload.name}`,
    elements: settings.workload.elements,
    lanes: [engine, pool, own, wasmCopyLane(settings)],
    pairs: [
      { lane: engine.name, over: own.name, limit: atMost(0.22) },
      { lane: pool.name, over: own.name },
      { lane: pool.name, over: engine.name },
    ],
  };
}

/** 4 M as in the table: 2^22. */
const FOUR_MILLION = single(2 ** 22);

function torchGroup(): Group {
  const settings = adam(FOUR_MILLION, 0.5);
  const [engine, plain, masked] = [wasmLane(settings), torchLane(adam(FOUR_MILLION, 1)), torchLane(settings)];
  return {
    name: `wasm against PyTorch on one thread, ${FOUR_MILLION.name}`,
    elements: FOUR_MILLION.elements,
    lanes: [engine, plain, masked, wasmCopyLane(settings)],
    pairs: [
      { lane: engine.name, over: plain.name, limit: atMost(0.75) },
      { lane: engine.name, over: masked.name },
    ],
  };
}

/** The mask's cost: the kernel that draws it less the same kernel at p = 1, turn by turn. */
export function maskCostGroup(family: 'js' | 'wasm' | 'webgpu', workload: Workload, limit?: Limit): Group {
  const lane = (keep: number) => {
    const settings = adam(workload, keep);
    return family === 'js' ? jsLane(settings) : family === 'wasm' ? wasmLane(settings) : webGpuFlatLane(settings);
  };
  const [masked, all] = [lane(0.5), lane(1)];
  return {
    name: `p = 0.5 against p = 1, adam, ${workload.name}, ${family}`,
    elements: workload.elements,
    lanes: [masked, all],
    pairs: [{ lane: masked.name, over: all.name }],
    figures: (rounds): readonly FigureResult[] => {
      const [a, b] = [rounds.get(masked.name), rounds.get(all.name)];
      if (a === undefined || b === undefined) return [];
      const cost = a.map((ms, i) => ((ms - (b[i] as number)) * 1e6) / workload.elements);
      return [
        {
          name: `${family}: the mask`,
          unit: 'ns an element',
          value: spread(cost),
          ...(limit === undefined ? {} : { limit }),
        },
      ];
    },
  };
}

function webGpuGroup(): Group {
  const settings = adam(resNet34(), 0.5);
  const [engine, own] = [webGpuFlatLane(settings, true), tfjsLane('webgpu', 'own', settings)];
  return {
    name: `webgpu against tfjs-webgpu, ${settings.workload.name}`,
    elements: settings.workload.elements,
    lanes: [engine, own],
    pairs: [{ lane: engine.name, over: own.name, limit: atMost(0.22) }],
  };
}

/** Elements of the model that stays in the caches: its time is arithmetic. */
const CACHED = 2 ** 20;

/** The kernel by the device's own clock. Its limits are for hardware: a software adapter's memory is not the bottleneck. */
function deviceGroup(): Group {
  const workload = resNet34();
  const [masked, all] = [adam(workload, 0.5), adam(workload, 1)];
  const cached = `webgpu kernel on ${CACHED.toLocaleString('en')} elements, p = 0.5, device's clock`;
  const whole = tfjsLane('webgpu', 'lrd', masked);
  const torch = [torchLane(all, 'cuda'), torchLane(all, 'cuda', true), torchLane(masked, 'cuda')].map(onHardware);
  const names = deviceNames;
  return {
    name: `device clock, adam, ${workload.name}`,
    elements: workload.elements,
    lanes: [
      deviceStepLane(masked),
      deviceStepLane(all),
      deviceStepLane(masked, deviceNames.spread, true),
      deviceBufferCopyLane(masked),
      deviceShaderCopyLane(masked),
      deviceStepLane(adam(single(CACHED), 0.5), cached),
      whole,
      ...torch,
    ],
    pairs: [
      { lane: whole.name, over: names.step(0.5) },
      { lane: names.spread, over: names.step(0.5) },
      ...[names.step(0.5), whole.name].flatMap((lane) => torch.map(({ name: over }) => ({ lane, over }))),
    ],
    figures: (rounds): readonly FigureResult[] => {
      const of = (name: string): readonly number[] | undefined => rounds.get(name);
      const [step, base, buffer, shader] = [of(names.step(0.5)), of(names.step(1)), of(names.bufferCopy), of(names.shaderCopy)]; // prettier-ignore
      if (step === undefined || base === undefined || buffer === undefined || shader === undefined) return [];
      const hardware = describeGpu()?.software === false;
      const bound = (limit: Limit): { limit?: Limit } => (hardware ? { limit } : {});
      const best = buffer.map((ms, i) => Math.min(ms, shader[i] as number));
      return [
        {
          name: "the kernel's share of the best copy's bandwidth",
          unit: 'of 1',
          value: spread(best.map((ms, i) => ms / (step[i] as number))),
          ...bound({ kind: 'at least', value: 0.8 }),
        },
        {
          name: 'LRD over the same kernel with p = 1',
          unit: 'x',
          value: spread(step.map((ms, i) => ms / (base[i] as number))),
          ...bound(atMost(1.05)),
        },
        {
          name: 'arithmetic floor: the kernel on data that stays in the caches',
          unit: 'ns an element',
          value: spread((of(cached) ?? []).map((ms) => (ms * 1e6) / CACHED)),
        },
        {
          name: 'the kernel, all 21.3 M',
          unit: 'ns an element',
          value: spread(step.map((ms) => (ms * 1e6) / workload.elements)),
        },
      ];
    },
  };
}

/** The bounds that the engines were built to keep. */
export const engines: Suite = {
  name: 'engines',
  title: 'Bounds of the engines',
  about:
    'Fused steps against the bounds that were set for them; none of tfjs is inside. Limits on the device clock hold for hardware.',
  extra: true,
  groups: () => [
    tfjsGroup(),
    torchGroup(),
    maskCostGroup('wasm', FOUR_MILLION, atMost(1.2)),
    webGpuGroup(),
    deviceGroup(),
  ],
  budget: () => ({ groupMs: 10_000, slowMs: 60_000 }),
};
