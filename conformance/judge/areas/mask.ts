/** What a mask does, whatever drew it (LRD-MASK). Its statistics are in `conformance/statistics/`. */
import fc from 'fast-check';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Case } from '../../protocol/types.ts';
import { caseOf, drawnMasks, finite, hostile, layoutShape, ordinary, semanticMasks } from '../arbitrary.ts';
import { judgeSteps } from '../judgeSteps.ts';
import type { Property } from '../property.ts';
import {
  casesOfAnyRule,
  first,
  judged,
  lacks,
  lacksMasks,
  lacksRule,
  same,
  sameSteps,
  someRule,
  whole,
} from './asking.ts';

/** Those that come once. */
export function maskProperties(): Property[] {
  return [
    {
      key: 'LRD-MASK-007',
      requirements: ['LRD-MASK-007'],
      title: "Excluded parameters take the base rule's step, all others are masked",
      skip: lacks('groups'),
      run: (context) =>
        judged(
          context,
          {
            rule: someRule(context.implementation),
            masks: drawnMasks(context.implementation),
            keepProbability: fc.constantFrom(0.25, 0.1),
            maximumSteps: 3,
          },
          { look: ['kept', 'dropped', 'reported', 'masks'] },
          (example) => ({
            ...example,
            parameters: example.parameters.map((parameter, k) =>
              k % 2 === 0 ? { ...parameter, excluded: true } : parameter,
            ),
          }),
        ),
    },
    {
      key: 'LRD-MASK-008',
      requirements: ['LRD-MASK-008'],
      title: 'Given masks: the split into tensors and the order of elements do not matter',
      skip: lacksMasks('given'),
      run: (context) =>
        context.check(
          fc.tuple(
            casesOfAnyRule(context, {
              masks: 'given',
              maximumTensors: 1,
              shape: fc.integer({ min: 2, max: 12 }).map((n) => [n]),
            }),
            fc.integer({ min: 1, max: 11 }),
          ),
          async ([example, at]) => {
            const cut = <T>(list: readonly T[]): [T[], T[]] => {
              // Reversed, so that both order and split change.
              const reversed = [...list].reverse();
              return [reversed.slice(0, at), reversed.slice(at)];
            };
            const text = (bits: string): string[] => cut(Array.from(bits)).map((part) => part.join(''));
            const size = example.parameters[0]?.shape[0] ?? 0;
            if (at >= size) return;
            const masks = example.masks as readonly (readonly string[])[];
            const split: Case = {
              ...example,
              parameters: cut(example.parameters[0]?.values as readonly number[]).map((values, k) => ({
                name: `part${k}`,
                shape: [values.length],
                values,
              })),
              gradients: example.gradients.map((step) => cut(step[0] as readonly number[])),
              masks: masks.map((step) => text(step[0] ?? '')),
            };
            const [left, right] = [await context.ask(example), await context.ask(split)];
            for (const [t, record] of left.entries()) {
              const joined = (right[t]?.parameters ?? []).flat().reverse();
              same(`step ${t + 1}, one tensor against two`, [record.parameters?.[0] ?? []], [joined], [example, split]);
            }
          },
        ),
    },
  ];
}

/** Those of one rule. */
export function maskPropertiesOf(rule: RuleName): Property[] {
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksRule(rule), ...more);
  return [
    {
      key: `LRD-MASK-003/${rule}`,
      requirements: ['LRD-MASK-003'],
      title: `${rule}: a dropped coordinate keeps its bits, whatever it is and whatever the step would be`,
      skip: known(),
      run: async (context) => {
        await judged(
          context,
          { rule, parameters: hostile, gradients: hostile, maximumSteps: 3 },
          { look: ['dropped'] },
        );
        await judged(
          context,
          { rule, parameters: finite, gradients: ordinary, maximumSteps: 3 },
          { look: ['dropped'] },
        );
      },
    },
    {
      key: `LRD-MASK-002/${rule}`,
      requirements: ['LRD-MASK-002'],
      title: `${rule}: p = 1 is the base rule, bit for bit`,
      skip: known(lacks('base')),
      run: (context) =>
        context.check(
          caseOf({
            rule,
            parameters: finite,
            shape: layoutShape,
            masks: whole(context.implementation),
            maximumSteps: 4,
          }),
          async (example) => {
            const base: Case = { ...example, keepProbability: null };
            const [left, right] = [await context.ask(base), await context.ask(example)];
            sameSteps('p = 1 against the base rule', left, right, [base, example]);
            judgeSteps(example, right, context.implementation, { look: ['reported'] });
          },
        ),
    },
    {
      key: `LRD-MASK-004/${rule}`,
      requirements: ['LRD-MASK-004'],
      title: `${rule}: the same state whatever was dropped`,
      skip: known(lacks('state', 'base'), (implementation) =>
        implementation.masks.includes('given') || implementation.masks.includes('stream')
          ? undefined
          : 'judged by LRD-ALG-002 and LRD-ALG-003 on its own masks',
      ),
      run: (context) =>
        context.check(
          caseOf({
            rule,
            hyper: { weightDecay: 0 },
            masks: semanticMasks(context.implementation),
            minimumSteps: 2,
            maximumSteps: 5,
          }),
          async (example) => {
            const base: Case = { ...example, keepProbability: null, masks: 'own' };
            const [left, right] = [await context.ask(base), await context.ask(example)];
            for (const [index, { state = {} }] of left.entries()) {
              for (const [name, tensors] of Object.entries(state)) {
                same(
                  `${name} after step ${index + 1}, masked against unmasked`,
                  tensors,
                  right[index]?.state?.[name] ?? [],
                  [base, example],
                  index,
                );
              }
            }
          },
        ),
    },
  ];
}
