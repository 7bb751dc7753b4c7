import type { Group } from '../harness/measure.ts';
import { FUSED_RULES, denseNet121, resNet34, single } from '../lanes/workload.ts';
import { FAMILIES, stepGroup } from './families.ts';
import type { Suite } from './suite.ts';

const KEEP = 0.5;

/** Every rule beside its peers, in one tensor and in the tensor lists of the paper's networks. */
export const step: Suite = {
  name: 'step',
  title: 'Optimizer step',
  about:
    'One step of the optimizer with p = 0.5 and gradients given. Each lane has its own parameters and state; all take turns. All sides take the same number of threads (--threads, 1).',
  groups: ({ full }): readonly Group[] => {
    const rules = full ? FUSED_RULES : (['adam', 'sgdm'] as const);
    const workloads = full
      ? [single(1e4), single(1e5), single(1e6), single(1e7), single(3e7), resNet34(), denseNet121()]
      : [single(1e4), single(1e6), resNet34()];
    return workloads.flatMap((workload) =>
      rules.flatMap((rule) =>
        FAMILIES.filter((family) => full || workload.elements < 1e7 || ['wasm', 'node'].includes(family)).map(
          (family) => stepGroup(family, { rule, workload, keepProbability: KEEP }),
        ),
      ),
    );
  },
};
