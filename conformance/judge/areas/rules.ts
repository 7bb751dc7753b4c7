/** The arithmetic of the base rules, everything kept (LRD-RULE, LRD-EQ, LRD-DEC, LRD-NUM). */
import fc from 'fast-check';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Hyper } from '../../protocol/expand.ts';
import type { Case } from '../../protocol/types.ts';
import { caseOf, ordinary, plainMasks, semanticMasks } from '../arbitrary.ts';
import { judgeSteps } from '../judgeSteps.ts';
import type { JudgeOptions } from '../judgeSteps.ts';
import type { Context, Property } from '../property.ts';
import { casesOfAnyRule, first, isAdaptive, judged, lacks, lacksRule, same } from './asking.ts';

/** A rule has many combinations of settings; each must come up. */
const RULE_RUNS = 80;

/** Which requirements a rule's own arithmetic answers for. */
const RULE_REQUIREMENTS: Readonly<Record<RuleName, readonly { id: string; hyper: Hyper; word: string }[]>> = {
  sgdm: [{ id: 'LRD-RULE-001', hyper: { weightDecay: 0 }, word: 'sgdm' }],
  'sgdm-avg': [{ id: 'LRD-RULE-002', hyper: { weightDecay: 0 }, word: 'sgdm-avg' }],
  rmsprop: [{ id: 'LRD-RULE-003', hyper: { weightDecay: 0 }, word: 'rmsprop' }],
  adam: [
    { id: 'LRD-RULE-004', hyper: { weightDecay: 0, epsilonMode: 'corrected' }, word: 'adam' },
    { id: 'LRD-RULE-005', hyper: { weightDecay: 0, epsilonMode: 'hat' }, word: 'adam-hat' },
  ],
  amsgrad: [{ id: 'LRD-RULE-006', hyper: { weightDecay: 0 }, word: 'amsgrad' }],
  radam: [{ id: 'LRD-RULE-007', hyper: { weightDecay: 0 }, word: 'radam' }],
  adamw: [{ id: 'LRD-RULE-008', hyper: { weightDecay: 0.1 }, word: 'adamw' }],
};

/** Those that come once. */
export function ruleProperties(): Property[] {
  return [
    {
      key: 'LRD-RULE-009',
      requirements: ['LRD-RULE-009'],
      title: "Scaling all gradients by a power of 2 scales SGDM's path from the origin by it, exactly",
      skip: lacksRule('sgdm'),
      run: (context) =>
        context.check(
          fc.tuple(
            caseOf({
              rule: 'sgdm',
              hyper: { weightDecay: 0 },
              masks: plainMasks(context.implementation),
              parameters: fc.constant(0),
            }),
            fc.constantFrom(4, 0.5, 64, 2 ** -10),
          ),
          async ([example, scale]) => {
            const scaled: Case = {
              ...example,
              gradients: example.gradients.map((step) =>
                step.map((gradient) => (gradient as readonly number[]).map((g) => g * scale)),
              ),
            };
            const [left, right] = [await context.ask(example), await context.ask(scaled)];
            for (const [t, { parameters = [] }] of left.entries()) {
              same(
                `step ${t + 1}, scaled by ${scale}`,
                parameters.map((tensor) => tensor.map((x) => x * scale)),
                right[t]?.parameters ?? [],
                [example, scaled],
              );
            }
          },
        ),
    },
    {
      key: 'LRD-NUM-001',
      requirements: ['LRD-NUM-001'],
      title: 'Fifty steps stay inside the interval carried from the first',
      skip: () => undefined,
      run: (context) =>
        context.check(
          casesOfAnyRule(context, {
            hyper: { weightDecay: 0, centered: false, epsilon: 1e-3 },
            masks: semanticMasks(context.implementation),
            minimumSteps: 50,
            maximumSteps: 50,
            maximumTensors: 1,
            shape: fc.constant([4]),
          }),
          async (example) => {
            const asked: Case = { ...example, report: ['parameters', 'masks'] };
            judgeSteps(asked, await context.ask(asked), context.implementation, {
              look: ['kept', 'dropped'],
              reseed: false,
            });
          },
          10,
        ),
    },
  ];
}

/** Those of one rule. */
export function rulePropertiesOf(rule: RuleName): Property[] {
  const general = isAdaptive(rule) ? 'LRD-ALG-004' : 'LRD-ALG-005';
  const equation = rule === 'sgdm-avg' ? ['LRD-EQ-010'] : rule === 'rmsprop' ? [] : ['LRD-EQ-001'];
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksRule(rule), ...more);
  const tiny = fc.oneof(
    ordinary,
    ordinary.map((x) => x * 2 ** -20),
    fc.constant(0),
  );
  return [
    ...RULE_REQUIREMENTS[rule].map(({ id, hyper, word }) => ({
      key: `${id}/${word}`,
      requirements: [id, general, ...equation],
      title: `${word} with everything kept: parameters and state inside their intervals`,
      skip: known(),
      run: async (context: Context) => {
        const options = {
          rule,
          hyper,
          masks: plainMasks(context.implementation),
          gradients: tiny,
          maximumSteps: 9,
          maximumTensors: 2,
        };
        const look: JudgeOptions = { look: ['kept', 'state'] };
        await judged(context, options, look, undefined, RULE_RUNS);
        if (lacks('resume')(context.implementation) !== undefined || rule === 'sgdm-avg') return;
        await judged(context, { ...options, resume: true, maximumSteps: 4 }, look);
      },
    })),
    {
      key: `LRD-RULE-012/${rule}`,
      requirements: ['LRD-RULE-012'],
      title: `${rule}: what is left out has the table's default`,
      skip: known(),
      run: (context) =>
        context.check(
          caseOf({ rule, masks: plainMasks(context.implementation), gradients: tiny, maximumSteps: 12 }),
          async (drawn) => {
            const example: Case = { ...drawn, hyper: {} };
            judgeSteps(example, await context.ask(example), context.implementation, { look: ['kept', 'state'] });
          },
          8,
        ),
    },
    rule === 'adamw'
      ? {
          key: 'LRD-RULE-011/adamw',
          requirements: ['LRD-RULE-011'],
          title: 'adamw: a dropped coordinate does not decay',
          skip: known(),
          run: (context) => judged(context, { rule, hyper: { weightDecay: 0.1 } }, { look: ['dropped'] }),
        }
      : {
          key: `LRD-RULE-010/${rule}`,
          requirements: ['LRD-RULE-010'],
          title: `${rule}: coupled L2 enters the gradient before the moments, on dropped steps too`,
          skip: known(),
          run: (context) =>
            judged(
              context,
              {
                rule,
                hyper: { weightDecay: 0.1 },
                gradients: ordinary.map((x) => x * 2 ** -6),
                minimumSteps: 1,
                maximumSteps: 5,
              },
              { look: ['kept', 'state'] },
            ),
        },
    ...(rule === 'radam'
      ? [
          {
            key: 'LRD-DEC-003/radam',
            requirements: ['LRD-DEC-003'],
            title: 'radam: the first, unrectified steps are masked too',
            skip: known(),
            run: (context: Context) =>
              judged(context, { rule, hyper: { beta2: 0.999 }, maximumSteps: 4 }, { look: ['dropped', 'reported'] }),
          },
        ]
      : []),
  ];
}
