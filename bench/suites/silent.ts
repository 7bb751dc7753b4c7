import type { RuleName } from 'learning-rate-dropout/spec';
import type { Group, LaneSource, Pair } from '../harness/measure.ts';
import type { StepSettings } from '../lanes/engines.ts';
import { tfjsLane } from '../lanes/tfjs.ts';
import { torchLane } from '../lanes/torch.ts';
import { fcNet, silenced } from '../lanes/workload.ts';
import type { Suite } from './suite.ts';

/** What a step may take once units are silent, of one before. */
const BOUND = 2.5;

function silentGroup(rule: RuleName, backend: 'wasm' | 'node'): Group {
  const awake: StepSettings = { rule, workload: fcNet(), keepProbability: 0.5 };
  const asleep = { ...awake, workload: silenced(awake.workload) };
  const lrd = tfjsLane(backend, 'lrd', asleep);
  const sides: readonly ((settings: StepSettings) => LaneSource)[] = [
    (settings) => tfjsLane(backend, 'own', settings),
    (settings) => torchLane({ ...settings, keepProbability: 1 }),
  ];
  const peers = sides.map((side) => [side(asleep), side(awake)] as const);
  const before = tfjsLane(backend, 'lrd', awake);
  return {
    name: `${rule}, ${awake.workload.name}, ${backend}`,
    elements: awake.workload.elements,
    lanes: [lrd, before, ...peers.flat()],
    pairs: [
      { lane: lrd.name, over: before.name, limit: { kind: 'at most', value: BOUND } },
      ...peers.flatMap(([one, other]): Pair[] => [
        { lane: one.name, over: other.name },
        { lane: lrd.name, over: one.name },
      ]),
    ],
  };
}

/** Whether a step grows slower as a network learns. */
export const silent: Suite = {
  name: 'silent',
  title: 'Silent units',
  about:
    "A step of the optimizer on FCNet's tensors after 1,000 steps in which two units in five had no gradient, over one in which all have: their moments are below 2^-126, where a processor takes a hundred times as long for a product.",
  groups: () => (['adam', 'sgdm'] as const).flatMap((rule) => [silentGroup(rule, 'node'), silentGroup(rule, 'wasm')]),
  extra: true,
};
