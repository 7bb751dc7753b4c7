/** What must be refused, and how (LRD-ERROR). */
import { RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter, RuleName } from 'learning-rate-dropout/spec';
import { defaultsOf, stateNames } from '../../protocol/expand.ts';
import type { Case } from '../../protocol/types.ts';
import { semanticMasks } from '../arbitrary.ts';
import { Finding } from '../finding.ts';
import type { Context, Property } from '../property.ts';
import { first, lacksRule, someRule, withHyper } from './asking.ts';

/** One wrong value for every way in which a hyper-parameter can be wrong. */
function wrongHyper(rule: RuleName): Readonly<Record<string, unknown>>[] {
  const table: Readonly<Record<string, HyperParameter>> = RULES[rule].hyper;
  return Object.entries(table).flatMap(([name, parameter]): Readonly<Record<string, unknown>>[] => {
    if (parameter.kind === 'choice') return [{ [name]: 'sideways' }];
    if (parameter.kind === 'flag') return [{ [name]: 'perhaps' }];
    const { minimum, maximum, openMinimum, openMaximum, integer } = parameter;
    const values: unknown[] = [minimum - 1, Number.NaN];
    if (openMinimum === true) values.push(minimum);
    if (openMaximum === true) values.push(maximum);
    else if (Number.isFinite(maximum)) values.push(maximum + 1);
    if (integer === true) values.push(minimum + 0.5);
    return values.map((value) => ({ [name]: value }));
  });
}

async function refusals(context: Context, examples: readonly Case[]): Promise<void> {
  await context.each(examples, async (example) => {
    const outcome = await context.outcome(example);
    if (outcome.kind === 'errored' && outcome.code !== 'internal') return;
    throw new Finding('a wrong argument is not refused', {
      expected: 'errored with code invalid-argument',
      got: outcome.kind === 'errored' ? `errored with code ${outcome.code}: ${outcome.message}` : outcome.kind,
      cases: [example],
    });
  });
}

/** Those that come once. */
export function errorProperties(): Property[] {
  return [
    {
      key: 'LRD-ERROR-001',
      requirements: ['LRD-ERROR-001'],
      title: 'A keep probability outside [2^-16, 1] is refused',
      skip: () => undefined,
      run: (context) => {
        const rule = someRule(context.implementation);
        const source = context.implementation.masks.includes('given')
          ? ([['11']] as const)
          : semanticMasks(context.implementation);
        return refusals(
          context,
          [0, -0.5, 1.5, 1 + 2 ** -52, 2 ** -17, Number.NaN, Infinity].map((keepProbability): Case => ({
            ...withHyper(context.implementation, rule, {}),
            keepProbability,
            masks: source as NonNullable<Case['masks']>,
          })),
        );
      },
    },
    {
      key: 'LRD-ERROR-003',
      requirements: ['LRD-ERROR-003'],
      title: 'An error names the argument and the value, in one line',
      skip: () => undefined,
      run: async (context) => {
        const rule = someRule(context.implementation);
        const base = withHyper(context.implementation, rule, {});
        const examples: readonly (readonly [string, string, Case])[] = [
          ['keepProbability', '1.5', { ...base, keepProbability: 1.5 }],
          ['learningRate', '-2', { ...base, hyper: { learningRate: -2 } }],
        ];
        await context.each(examples, async ([name, value, example]) => {
          const outcome = await context.outcome(example);
          const message = outcome.kind === 'errored' ? outcome.message : `no error (${outcome.kind})`;
          if (!message.includes(name) || !message.includes(value) || message.includes('\n')) {
            throw new Finding('an error does not say what was wrong', {
              expected: `one line with ${name} and ${value}`,
              got: message,
              cases: [example],
            });
          }
        });
      },
    },
    {
      key: 'LRD-ERROR-004',
      requirements: ['LRD-ERROR-004'],
      title: 'Gradients, masks and states of the wrong size are refused',
      skip: () => undefined,
      run: async (context) => {
        const { implementation } = context;
        const rule = someRule(implementation);
        const base = withHyper(implementation, rule, {});
        const wrong: Case[] = [
          { ...base, gradients: [[[0.5]]] },
          { ...base, gradients: [[[0.5, 0.25, 1]]] },
          { ...base, gradients: [[[0.5, 0.25], [1]]] },
          { ...base, parameters: [{ name: 'w', shape: [3], values: [1, 2] }], gradients: [[[1, 2, 3]]] },
        ];
        if (implementation.masks.includes('given')) {
          const { seed: _, ...unseeded } = base;
          wrong.push(
            { ...unseeded, keepProbability: 0.5, masks: [['1']] },
            { ...unseeded, keepProbability: 0.5, masks: [['111']] },
          );
        }
        const names = stateNames(rule, defaultsOf(rule));
        if (implementation.features.includes('resume') && rule !== 'sgdm-avg' && names.length > 0) {
          wrong.push({ ...base, firstStep: 2, state: Object.fromEntries(names.map((name) => [name, [[1, 1, 1]]])) });
        }
        await refusals(context, wrong);
      },
    },
  ];
}

/** Those of one rule. */
export function errorPropertiesOf(rule: RuleName): Property[] {
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksRule(rule), ...more);
  return [
    {
      key: `LRD-ERROR-002/${rule}`,
      requirements: ['LRD-ERROR-002'],
      title: `${rule}: hyper-parameters outside their range are refused`,
      skip: known(),
      run: (context) =>
        refusals(
          context,
          wrongHyper(rule).map((hyper) => withHyper(context.implementation, rule, hyper)),
        ),
    },
  ];
}
