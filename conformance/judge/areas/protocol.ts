/** Answers that tell the truth about masks (LRD-PROTO). */
import fc from 'fast-check';
import { caseOf, semanticMasks } from '../arbitrary.ts';
import { judgeSteps } from '../judgeSteps.ts';
import { Skip } from '../property.ts';
import type { Property } from '../property.ts';
import { someRule } from './asking.ts';

/** Those that come once. */
export function protocolProperties(): Property[] {
  return [
    {
      key: 'LRD-PROTO-002',
      requirements: ['LRD-PROTO-002'],
      title: 'Reported masks are the masks that were used',
      skip: () => undefined,
      run: async (context) => {
        let reported = 0;
        await context.check(
          caseOf({
            rule: someRule(context.implementation),
            hyper: { learningRate: 0.5, momentum: 0.9, weightDecay: 0 },
            masks: semanticMasks(context.implementation),
            shape: fc.constantFrom<readonly number[]>([20], [5], [64]),
          }),
          async (example) => {
            const steps = await context.ask(example);
            for (const { masks = [] } of steps) reported += masks.filter((mask) => mask !== null).length;
            judgeSteps(example, steps, context.implementation, { look: ['reported', 'dropped'] });
          },
        );
        if (reported === 0) throw new Skip('reports no masks');
      },
    },
  ];
}
