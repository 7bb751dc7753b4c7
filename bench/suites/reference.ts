import { createOptimizer } from 'learning-rate-dropout/ref';
import { judge, openAdapter } from '../../conformance/index.ts';
import { UnsupportedError } from 'learning-rate-dropout/gpu';
import { UnavailableAdapterError } from '../../conformance/index.ts';
import { RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Group, LaneSource } from '../harness/measure.ts';
import type { FigureResult } from '../harness/results.ts';
import { spread } from '../harness/statistics.ts';
import { gradientValues } from '../lanes/workload.ts';
import type { Suite } from './suite.ts';

const ELEMENTS = 1000;

/** The reference's step on plain float64 lists. */
function referenceLane(rule: RuleName): LaneSource {
  return {
    name: `ref, ${rule}`,
    open: () => {
      const parameters = [{ name: 'w', shape: [ELEMENTS], values: Array<number>(ELEMENTS).fill(0) }];
      const optimizer = createOptimizer(parameters, {
        rule,
        keepProbability: 0.5,
        masks: { kind: 'stream', seed: 1n },
      });
      const gradients = [Array.from(gradientValues(ELEMENTS))];
      let state = optimizer.init();
      return {
        name: `ref, ${rule}`,
        sample: () => {
          ({ state } = optimizer.step(state, gradients));
          return undefined;
        },
      };
    },
  };
}

const referenceGroup: Group = {
  name: `reference, ${ELEMENTS.toLocaleString('en')} elements`,
  elements: ELEMENTS,
  lanes: (Object.keys(RULES) as RuleName[]).map(referenceLane),
  pairs: [],
  figures: (rounds): readonly FigureResult[] =>
    [...rounds].map(([name, ms]) => ({ name, unit: 'steps a second', value: spread(ms.map((value) => 1000 / value)) })),
};

/** Seconds of one full judgement; nothing where the adapter cannot run. */
async function conformanceSeconds(name: string): Promise<readonly FigureResult[]> {
  try {
    const adapter = await openAdapter(name);
    try {
      const { seconds, verdicts } = await judge(adapter, { adapter: name, seed: 1 });
      const cases = verdicts.reduce((sum, verdict) => sum + verdict.cases, 0);
      const one = (value: number): FigureResult['value'] => ({ median: value, low: value, high: value });
      return [
        { name: `a full run on ${name}`, unit: 's', value: one(seconds) },
        { name: `a full run on ${name}`, unit: 'cases', value: one(cases) },
      ];
    } finally {
      await adapter.close();
    }
  } catch (error) {
    if (error instanceof UnavailableAdapterError || error instanceof UnsupportedError) return [];
    throw error;
  }
}

const conformanceGroup = (name: string): Group => ({
  name: `conformance of ${name}`,
  lanes: [],
  pairs: [],
  figures: () => conformanceSeconds(name),
});

/** The reference's pace, and how long a full judgement takes. */
export const reference: Suite = {
  name: 'reference',
  title: 'Reference and conformance',
  about: 'Steps of the float64 reference, and one full run of the conformance kit (run once: no spread).',
  groups: ({ full }) => [
    referenceGroup,
    ...(full ? ['ref', 'js', 'wasm', 'tfjs-cpu', 'tfjs-wasm'] : ['ref']).map(conformanceGroup),
  ],
  budget: () => ({ groupMs: 2500 }),
};
