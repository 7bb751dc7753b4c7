import type { MaskRequest } from 'learning-rate-dropout/gpu';
import { useMasks } from 'learning-rate-dropout';
import type { Group, LaneSource, Pair } from '../harness/measure.ts';
import type { StepSettings } from '../lanes/engines.ts';
import { arrayLane, jsLane, wasmLane, webGpuFlatLane } from '../lanes/engines.ts';
import { tfjsLane } from '../lanes/tfjs.ts';
import type { Workload } from '../lanes/workload.ts';
import { resNet34, single } from '../lanes/workload.ts';
import type { Suite } from './suite.ts';

/** Kinds of mask, and what a step may take of that of learning rate dropout at 21.3 million parameters. */
const KINDS: readonly (readonly [mask: MaskRequest, bound: number])[] = [
  [{ kind: 'skip-update' }, 1.1],
  [{ kind: 'magma' }, 1.35],
  [{ kind: 'cautious' }, 1.35],
];

/** Each with the sizes that it is measured on: software WebGPU and plain JavaScript take a second a step on ResNet-34. */
const SIDES: readonly (readonly [name: string, large: boolean, lane: (settings: StepSettings) => LaneSource])[] = [
  ['wasm', true, (settings) => wasmLane(settings)],
  ['wasm on arrays', true, (settings) => arrayLane(settings)],
  ['tfjs-wasm', true, (settings) => tfjsLane('wasm', 'lrd', settings)],
  ['tfjs-node', true, (settings) => tfjsLane('node', 'lrd', settings)],
  ['js', false, (settings) => jsLane(settings)],
  ['webgpu', false, (settings) => webGpuFlatLane(settings)],
];

function kindsGroup(
  name: string,
  lane: (settings: StepSettings) => LaneSource,
  workload: Workload,
  bounded: boolean,
): Group {
  const settings: StepSettings = { rule: 'adam', workload, keepProbability: 0.5 };
  const lrd = lane(settings);
  const masked = KINDS.map(([mask, value]) => {
    const one = lane({ ...settings, mask });
    const limit: Pick<Pair, 'limit'> = bounded ? { limit: { kind: 'at most', value } } : {};
    return { one, pair: { lane: one.name, over: lrd.name, ...limit } };
  });
  return {
    name: `kinds of mask on ${name}, adam, ${workload.name}`,
    elements: workload.elements,
    lanes: [lrd, ...masked.map(({ one }) => one)],
    pairs: masked.map(({ pair }) => pair),
  };
}

/** What other kinds of mask cost beside learning rate dropout's. */
export const masks: Suite = {
  name: 'masks',
  title: 'Kinds of mask',
  about:
    "Adam's step with SkipUpdate, Magma and Cautious over that of learning rate dropout at p = .5. Magma takes three sums a tensor before it steps, Cautious a count; SkipUpdate draws once a tensor.",
  groups: ({ full }) => {
    useMasks();
    const workload = full ? resNet34() : single(2 ** 20);
    return SIDES.map(([name, large, lane]) =>
      large ? kindsGroup(name, lane, workload, full) : kindsGroup(name, lane, single(2 ** 20), false),
    );
  },
  budget: ({ full }) => (full ? { groupMs: 60_000, turnMs: 400, minRounds: 7, maxRounds: 25 } : {}),
};
