/** Resuming, changing settings, groups, tensors without a gradient (LRD-STATE). */
import fc from 'fast-check';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Case } from '../../protocol/types.ts';
import { caseOf, drawnMasks, plainMasks, semanticMasks } from '../arbitrary.ts';
import { judgeSteps } from '../judgeSteps.ts';
import type { Context, Property } from '../property.ts';
import { casesOfAnyRule, first, judged, lacks, lacksRule, sameSteps } from './asking.ts';

/** Those that come once. */
export function stateProperties(): Property[] {
  return [
    {
      key: 'LRD-STATE-002',
      requirements: ['LRD-STATE-002'],
      title: 'A parameter without a gradient stands still, and its own count with it',
      skip: lacks('null-gradient'),
      run: (context) =>
        context.check(
          fc.tuple(
            casesOfAnyRule(context, {
              masks: semanticMasks(context.implementation),
              minimumSteps: 2,
              maximumSteps: 6,
              maximumTensors: 2,
            }),
            fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
          ),
          async ([drawn, absent]) => {
            const example: Case = {
              ...drawn,
              gradients: drawn.gradients.map((step, t) =>
                step.map((gradient, k) => (absent[2 * t + k] === true ? null : gradient)),
              ),
            };
            judgeSteps(example, await context.ask(example), context.implementation, {
              look: ['still', 'kept', 'dropped', 'state', 'masks'],
            });
          },
          60,
        ),
    },
    {
      key: 'LRD-STATE-003',
      requirements: ['LRD-STATE-003'],
      title: 'Learning rate, keep probability and weight decay change from one step to the next',
      skip: lacks('schedule'),
      run: (context) =>
        context.check(
          fc.tuple(
            casesOfAnyRule(context, { masks: drawnMasks(context.implementation), minimumSteps: 2, maximumSteps: 5 }),
            fc.array(fc.constantFrom(0.1, 0.01, 0.5, 0), { minLength: 5, maxLength: 5 }),
            fc.array(fc.constantFrom(0.5, 0.1, 0.9, 1), { minLength: 5, maxLength: 5 }),
            fc.array(fc.constantFrom(0, 0.1, 0.01), { minLength: 5, maxLength: 5 }),
          ),
          async ([drawn, rates, keeps, decays]) => {
            const steps = drawn.gradients.length;
            const given = Array.isArray(drawn.masks);
            const example: Case = {
              ...drawn,
              hyper: { ...drawn.hyper, learningRate: rates.slice(0, steps), weightDecay: decays.slice(0, steps) },
              keepProbability: given ? keeps.slice(0, steps).map((p) => Math.min(p, 0.9)) : keeps.slice(0, steps),
            };
            judgeSteps(example, await context.ask(example), context.implementation, {
              look: ['kept', 'dropped', 'state', 'masks', 'reported'],
            });
          },
          60,
        ),
    },
    {
      key: 'LRD-STATE-004',
      requirements: ['LRD-STATE-004'],
      title: "A parameter group's settings win over the optimizer's",
      skip: lacks('groups'),
      run: (context) =>
        context.check(
          casesOfAnyRule(context, { masks: drawnMasks(context.implementation), maximumSteps: 4 }),
          async (drawn) => {
            const groups = [{ hyper: { learningRate: 0.25, weightDecay: 0.05 } }, { keepProbability: 0.2 }, {}];
            const example: Case = {
              ...drawn,
              parameters: drawn.parameters.map((parameter, k) => ({ ...parameter, ...groups[k % groups.length] })),
            };
            judgeSteps(example, await context.ask(example), context.implementation, {
              look: ['kept', 'dropped', 'state', 'masks', 'reported'],
            });
          },
        ),
    },
  ];
}

/** Those of one rule. */
export function statePropertiesOf(rule: RuleName): Property[] {
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksRule(rule), ...more);
  return [
    {
      key: `LRD-STATE-001/${rule}`,
      requirements: ['LRD-STATE-001'],
      title: `${rule}: a resumed run is the run that was never interrupted`,
      skip: known(lacks('state', 'resume')),
      run: (context) => {
        const source = drawnMasks(context.implementation);
        return context.check(
          fc.tuple(
            caseOf({ rule, masks: source === 'own' ? 'ones-own' : source, minimumSteps: 2, maximumSteps: 5 }),
            fc.integer({ min: 1, max: 4 }),
          ),
          async ([example, cut]) => {
            const at = Math.min(cut, example.gradients.length - 1);
            const whole = await context.ask(example);
            const saved = whole[at - 1];
            if (saved?.state === undefined || saved.parameters === undefined) return;
            const rest: Case = {
              ...example,
              firstStep: at + 1,
              state: saved.state,
              parameters: example.parameters.map((parameter, k) => ({
                ...parameter,
                values: saved.parameters?.[k] ?? [],
              })),
              gradients: example.gradients.slice(at),
              ...(Array.isArray(example.masks) ? { masks: example.masks.slice(at) as string[][] } : {}),
            };
            const resumed = await context.ask(rest);
            sameSteps(`resumed after step ${at}`, whole.slice(at), resumed, [example, rest]);
            if (example.masks === 'stream') {
              judgeSteps(rest, resumed, context.implementation, { look: ['masks'] });
            }
          },
        );
      },
    },
    ...(rule === 'sgdm-avg'
      ? []
      : [
          {
            key: `LRD-STATE-005/${rule}`,
            requirements: ['LRD-STATE-005'],
            title: `${rule}: started from a state at a later step, bias correction goes on from there`,
            skip: known(lacks('resume')),
            run: (context: Context) =>
              judged(
                context,
                {
                  rule,
                  hyper: { weightDecay: 0 },
                  masks: plainMasks(context.implementation),
                  resume: true,
                  maximumSteps: 3,
                },
                { look: ['kept', 'state'] },
              ),
          },
        ]),
  ];
}
