/** Algorithm 1: moments that go on, kept coordinates that make the step of the base rule (LRD-ALG, LRD-EQ). */
import fc from 'fast-check';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Context, Property } from '../property.ts';
import { first, isAdaptive, judged, lacks, lacksRule } from './asking.ts';

/** Those that come once. */
export function algorithmProperties(): Property[] {
  return [
    {
      key: 'LRD-EQ-008',
      requirements: ['LRD-EQ-008', 'LRD-EQ-006'],
      title: 'After dropped steps the momentum holds every gradient of the interval: judged on parameters alone',
      skip: first(lacksRule('sgdm')),
      run: async (context) => {
        const bit = fc.constantFrom(0, 0, 0, 1);
        await judged(
          context,
          {
            rule: 'sgdm',
            hyper: { momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0 },
            bit,
            keepProbability: fc.constantFrom(0.25, 0.3),
            minimumSteps: 2,
            maximumSteps: 8,
          },
          { look: ['kept', 'dropped'] },
          (example) => ({ ...example, report: ['parameters', 'masks'] }),
        );
      },
    },
  ];
}

/** Those of one rule. */
export function algorithmPropertiesOf(rule: RuleName): Property[] {
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksRule(rule), ...more);
  return [
    {
      key: `LRD-ALG-008/${rule}`,
      requirements: ['LRD-ALG-008'],
      title: `${rule}: a kept coordinate makes the base rule's step from the same state`,
      skip: known(),
      run: (context) => judged(context, { rule, hyper: { weightDecay: 0 }, maximumSteps: 6 }, { look: ['kept'] }),
    },
    {
      key: `LRD-ALG-007/${rule}`,
      requirements: ['LRD-ALG-007'],
      title: `${rule}: the first step of a kept coordinate is not rescaled, whatever p is`,
      skip: known(),
      run: (context) =>
        judged(
          context,
          { rule, hyper: { weightDecay: 0 }, maximumSteps: 1, keepProbability: fc.constantFrom(0.5, 0.25, 0.1, 0.75) },
          { look: ['kept'] },
        ),
    },
    {
      key: `LRD-ALG-002/${rule}`,
      requirements: ['LRD-ALG-002'],
      title: `${rule}: the first moment accumulates on dropped steps too`,
      skip: known(lacks('state'), () =>
        rule === 'sgdm-avg' ? 'its ring is judged through the parameters' : undefined,
      ),
      run: (context) =>
        judged(
          context,
          { rule, hyper: { weightDecay: 0, momentum: 0.9, centered: true }, minimumSteps: 2, maximumSteps: 5 },
          { look: ['state'], states: ['m', 'buf', 'gavg'] },
        ),
    },
    ...(isAdaptive(rule)
      ? [
          {
            key: `LRD-ALG-003/${rule}`,
            requirements: ['LRD-ALG-003'],
            title: `${rule}: the second moment accumulates on dropped steps too`,
            skip: known(lacks('state')),
            run: (context: Context) =>
              judged(
                context,
                { rule, hyper: { weightDecay: 0 }, minimumSteps: 2, maximumSteps: 5 },
                { look: ['state'], states: ['v', 'vmax'] },
              ),
          },
        ]
      : []),
  ];
}
