import { resNet34, single } from '../lanes/workload.ts';
import { maskCostGroup } from './engines.ts';
import { FAMILIES } from './families.ts';
import type { Suite } from './suite.ts';

/** What LRD adds to a step: p = 1/2 against p = 1 on the same engine. */
export const cost: Suite = {
  name: 'cost',
  title: 'Cost of LRD',
  about:
    'The same kernel with the mask and at p = 1, which draws nothing. The mask is made in registers and never stored.',
  groups: ({ full }) =>
    [single(2 ** 20), ...(full ? [single(2 ** 22), resNet34()] : [])].flatMap((workload) =>
      FAMILIES.map((family) => maskCostGroup(family, workload)),
    ),
};
