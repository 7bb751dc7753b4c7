/** Kinds of mask beside learning rate dropout's own: SkipUpdate, Magma, Cautious and the cells between them (LRD-FAM). */
import fc from 'fast-check';
import type { MaskRequest } from 'learning-rate-dropout/ref';
import type { RuleName } from 'learning-rate-dropout/spec';
import { drawsNothing, maskStateNames } from '../../protocol/kinds.ts';
import { expandCase, stateNames } from '../../protocol/expand.ts';
import type { Case, Implementation, StepRecord } from '../../protocol/types.ts';
import { caseOf, drawnMasks, hostile, ordinary, semanticMasks } from '../arbitrary.ts';
import type { CaseOptions } from '../arbitrary.ts';
import { Finding } from '../finding.ts';
import { judgeSteps } from '../judgeSteps.ts';
import type { JudgeOptions } from '../judgeSteps.ts';
import { Skip } from '../property.ts';
import type { Context, Property } from '../property.ts';
import { judgeDelicate, judgeTensorMasks } from '../../statistics/tensors.ts';
import { NO_RULE, first, knownRules, lacks, lacksMasks, lacksRule, same, sameSteps, whole } from './asking.ts';
import { KIND_NAMES, lacksKind, requestsOf } from './kinds.ts';
import type { Wanted } from './kinds.ts';

/** Rules of the specification that an implementation has; `sgdm-avg` serves where it has nothing else. */
function rulesOf(implementation: Implementation): readonly RuleName[] {
  const known = knownRules(implementation);
  const others = known.filter((name) => name !== 'sgdm-avg');
  return others.length === 0 ? known : others;
}

const lacksRules = (implementation: Implementation): string | undefined =>
  rulesOf(implementation).length === 0 ? NO_RULE : undefined;

type Options = Omit<CaseOptions, 'rule' | 'mask' | 'masks'> &
  Partial<Pick<CaseOptions, 'masks'>> & { readonly rules?: readonly RuleName[] };

/** Cases of what an implementation declares and a property wants. */
function casesOf(
  { implementation }: Pick<Context, 'implementation'>,
  wanted: Wanted,
  options: Options,
): fc.Arbitrary<Case> {
  const { rules = rulesOf(implementation), masks = semanticMasks(implementation), ...rest } = options;
  const requests = requestsOf(implementation, wanted) as fc.Arbitrary<MaskRequest>;
  return fc.tuple(requests, fc.constantFrom(...rules)).chain(([mask, rule]) => caseOf({ ...rest, rule, mask, masks }));
}

async function judgedKinds(
  context: Context,
  wanted: Wanted,
  options: Options,
  look: JudgeOptions,
  { runs, change = (example) => example }: { runs?: number; change?: (example: Case) => Case } = {},
): Promise<void> {
  await context.check(
    casesOf(context, wanted, options),
    async (drawn) => {
      const example = change(drawn);
      judgeSteps(example, await context.ask(example), context.implementation, look);
    },
    runs,
  );
}

/** Several tensors, for what is one number a tensor, of sizes on both sides of a block and of the stream's alignment. */
const shapes = fc.constantFrom<readonly number[]>([3], [1], [2, 4], [5], [], [65]);

/** Everything kept: what is multiplied shows at every step. */
const often = fc.constantFrom(0.75, 0.5, 0.3);

const wantedOf = (kind: (typeof KIND_NAMES)[number]): Wanted => ({ kinds: [kind] });

/** Those that come once for each kind. */
function propertiesOfKind(kind: (typeof KIND_NAMES)[number]): Property[] {
  const wanted = wantedOf(kind);
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksKind(wanted), lacksRules, ...more);
  return [
    {
      key: `LRD-FAM-001/${kind}`,
      requirements: ['LRD-FAM-001'],
      title: `${kind}: a kept coordinate moves by one factor times the base rule's step, a dropped one keeps its bits`,
      skip: known(),
      run: async (context) => {
        await judgedKinds(
          context,
          wanted,
          { shape: shapes, keepProbability: often, hyper: { weightDecay: 0 }, maximumSteps: 4 },
          { look: ['kept', 'dropped', 'masks', 'reported'] },
          { runs: 40 },
        );
        await judgedKinds(
          context,
          wanted,
          { parameters: hostile, gradients: hostile, hyper: { weightDecay: 0 }, maximumSteps: 3 },
          { look: ['dropped'] },
        );
      },
    },
    {
      key: `LRD-FAM-002/${kind}`,
      requirements: ['LRD-FAM-002'],
      title: `${kind}: moments are those of the base rule, whatever is dropped and multiplied`,
      skip: known(lacks('state')),
      run: (context) =>
        context.check(
          casesOf(context, wanted, { hyper: { weightDecay: 0 }, minimumSteps: 2, maximumSteps: 5 }),
          async (example) => {
            const rule = example.rule as RuleName;
            const states = stateNames(rule, expandCase(example).steps[0]?.tensors[0]?.hyper ?? {});
            const steps = await context.ask(example);
            judgeSteps(example, steps, context.implementation, { look: ['state'], states });
            if (lacks('base')(context.implementation) !== undefined) return;
            const { mask: _, masks: __, seed: ___, ...bare } = example;
            const base: Case = { ...bare, keepProbability: null };
            const plain = await context.ask(base);
            for (const [index, { state = {} }] of plain.entries()) {
              for (const [name, tensors] of Object.entries(state)) {
                const what = `${name} after step ${index + 1}, masked against unmasked`;
                same(what, tensors, steps[index]?.state?.[name] ?? [], [base, example], index);
              }
            }
          },
        ),
    },
    {
      key: `LRD-FAM-013/${kind}`,
      requirements: ['LRD-FAM-013'],
      title: `${kind}: an excluded tensor takes the base rule's step, and keeps its place in the stream`,
      skip: known(lacks('groups')),
      run: (context) =>
        judgedKinds(
          context,
          wanted,
          {
            shape: shapes,
            masks: drawnMasks(context.implementation),
            keepProbability: fc.constantFrom(0.5, 0.25),
            hyper: { weightDecay: 0 },
            maximumTensors: 4,
            maximumSteps: 3,
          },
          { look: ['kept', 'dropped', 'masks', 'reported'] },
          {
            change: (example) => ({
              ...example,
              parameters: example.parameters.map((parameter, k) =>
                k % 2 === 0 ? { ...parameter, excluded: true } : parameter,
              ),
            }),
          },
        ),
    },
    {
      key: `LRD-FAM-014/${kind}`,
      requirements: ['LRD-FAM-014'],
      title: `${kind}: decoupled decay is masked and multiplied, masked only, or neither, as asked for`,
      skip: known(lacksRule('adamw')),
      run: (context) =>
        judgedKinds(
          context,
          wanted,
          {
            rules: ['adamw'],
            hyper: { weightDecay: 0.5, learningRate: 0.1 },
            keepProbability: fc.constantFrom(0.5, 0.25),
            maximumSteps: 3,
          },
          { look: ['kept', 'dropped'] },
        ),
    },
    {
      key: `LRD-STATE-001/${kind}`,
      requirements: ['LRD-STATE-001'],
      title: `${kind}: a resumed run is the run that was never interrupted, the mask's own state included`,
      skip: known(lacks('state', 'resume')),
      run: (context) => {
        const source = drawnMasks(context.implementation);
        const rules = rulesOf(context.implementation).filter((rule) => rule !== 'sgdm-avg');
        if (rules.length === 0) throw new Skip('has no rule that can be resumed');
        return context.check(
          casesOf(context, wanted, {
            rules,
            masks: source === 'own' ? 'ones-own' : source,
            minimumSteps: 2,
            maximumSteps: 4,
          }),
          async (example) => {
            const whole = await context.ask(example);
            const [saved] = whole;
            if (saved?.state === undefined || saved.parameters === undefined) return;
            const { mask, steps } = expandCase(example);
            const hyper = steps[0]?.tensors[0]?.hyper ?? {};
            const missing = maskStateNames(mask, example.rule as RuleName, hyper).find(
              (name) => saved.state?.[name] === undefined,
            );
            if (missing !== undefined) throw new Skip(`does not report ${missing}`);
            const rest: Case = {
              ...example,
              firstStep: 2,
              state: saved.state,
              parameters: example.parameters.map((parameter, k) => ({
                ...parameter,
                values: saved.parameters?.[k] ?? [],
              })),
              gradients: example.gradients.slice(1),
              ...(Array.isArray(example.masks) ? { masks: example.masks.slice(1) as string[][] } : {}),
            };
            sameSteps('resumed after step 1', whole.slice(1), await context.ask(rest), [example, rest]);
          },
        );
      },
    },
  ];
}

const ALIGNMENT: Wanted = { factor: 'alignment' };

/** Whether any answer told of an alignment. */
const tellsAlignment = (records: readonly StepRecord[]): boolean =>
  records.some(({ state }) => state?.['alignment'] !== undefined);

/** Those that come once. */
function ownProperties(): Property[] {
  const known = (wanted: Wanted, ...more: Property['skip'][]): Property['skip'] =>
    first(lacksKind(wanted), lacksRules, ...more);
  const oneDraw: Wanted = { granularity: 'tensor', draw: 'bernoulli' };
  return [
    {
      key: 'LRD-FAM-003',
      requirements: ['LRD-FAM-003'],
      title: 'One draw a tensor and step: in stream 9, the half at the index of its first element',
      skip: known(oneDraw, lacksMasks('stream')),
      run: (context) =>
        judgedKinds(
          context,
          oneDraw,
          {
            masks: 'stream',
            shape: shapes,
            keepProbability: fc.constantFrom(0.5, 0.25, 0.1, 0.9, 2 ** -16, 0.3),
            gradients: ordinary.map(Math.abs),
            hyper: { weightDecay: 0 },
            maximumTensors: 6,
            maximumSteps: 4,
          },
          { look: ['masks', 'reported', 'dropped', 'kept'] },
          { runs: 60 },
        ),
    },
    {
      key: 'LRD-FAM-001/own',
      requirements: ['LRD-FAM-001'],
      title: 'With masks of its own: a dropped tensor keeps its bits though the gradient is no number',
      whole: true,
      skip: known(oneDraw, ({ masks }) => (masks.includes('own') ? undefined : 'draws no masks of its own')),
      run: async (context) => {
        for (const kind of KIND_NAMES) {
          const requests = requestsOf(context.implementation, { ...oneDraw, kinds: [kind] });
          const [mask] = requests === undefined ? [] : fc.sample(requests, { seed: context.seed, numRuns: 1 });
          if (mask !== undefined) await judgeDelicate(context, rulesOf(context.implementation)[0] as RuleName, mask);
        }
      },
    },
    {
      key: 'LRD-FAM-016',
      requirements: ['LRD-FAM-016'],
      title: 'With masks of its own a tensor is kept with probability p, whatever else is kept',
      whole: true,
      skip: known(oneDraw, ({ masks }) => (masks.includes('own') ? undefined : 'draws no masks of its own')),
      run: async (context) => {
        const requests = requestsOf(context.implementation, oneDraw) as fc.Arbitrary<MaskRequest>;
        const [mask] = fc.sample(requests, { seed: context.seed, numRuns: 1 }) as [MaskRequest];
        await judgeTensorMasks(context, rulesOf(context.implementation)[0] as RuleName, mask);
      },
    },
    {
      key: 'LRD-FAM-004',
      requirements: ['LRD-FAM-004'],
      title: 'A kept update is multiplied by 1/p, by the probability that holds',
      skip: known({ factor: 'inverse' }),
      run: (context) =>
        judgedKinds(
          context,
          { factor: 'inverse' },
          {
            keepProbability: fc.constantFrom(0.5, 0.25, 0.1, 0.3, 0.9),
            hyper: { weightDecay: 0 },
            maximumSteps: 4,
          },
          { look: ['kept'] },
          { runs: 40 },
        ),
    },
    {
      key: 'LRD-FAM-007',
      requirements: ['LRD-FAM-007'],
      title:
        'A kept update is multiplied by the smoothed sigmoid of the cosine of momentum and gradient over the temperature',
      skip: known(ALIGNMENT),
      run: (context) =>
        judgedKinds(
          context,
          ALIGNMENT,
          { shape: shapes, keepProbability: often, maximumSteps: 6 },
          { look: ['kept'] },
          { runs: 100 },
        ),
    },
    {
      key: 'LRD-FAM-008',
      requirements: ['LRD-FAM-008'],
      title: 'The alignment is smoothed at every step with a gradient, kept or dropped',
      skip: known(ALIGNMENT, lacks('state')),
      run: async (context) => {
        let told = false;
        const look: JudgeOptions = { look: ['state', 'still'], states: ['alignment'] };
        const judged = async (example: Case): Promise<void> => {
          const steps = await context.ask(example);
          told ||= tellsAlignment(steps);
          judgeSteps(example, steps, context.implementation, look);
        };
        const options = { shape: shapes, minimumSteps: 2, maximumSteps: 6 };
        await context.check(casesOf(context, ALIGNMENT, options), judged, 60);
        if (lacks('null-gradient')(context.implementation) === undefined) {
          await context.check(
            casesOf(context, ALIGNMENT, options),
            (example) =>
              judged({
                ...example,
                gradients: example.gradients.map((step, t) =>
                  step.map((gradient, k) => ((t + k) % 3 === 1 ? null : gradient)),
                ),
              }),
            15,
          );
        }
        if (!told) throw new Skip('does not report alignment');
      },
    },
    {
      key: 'LRD-FAM-009',
      requirements: ['LRD-FAM-009'],
      title: 'A base rule without a first moment lends none: the mask keeps one of its own',
      skip: known(ALIGNMENT, (implementation) =>
        rulesOf(implementation).some((rule) => rule === 'rmsprop' || rule === 'sgdm')
          ? undefined
          : 'has no rule without a first moment',
      ),
      run: async (context) => {
        const rules = rulesOf(context.implementation).filter((rule) => rule === 'rmsprop' || rule === 'sgdm');
        await judgedKinds(
          context,
          ALIGNMENT,
          { rules, hyper: { weightDecay: 0, momentum: 0 }, shape: shapes, keepProbability: often, maximumSteps: 6 },
          { look: ['kept', 'state'], states: ['mu'] },
          { runs: 40 },
        );
        if (!rules.includes('rmsprop')) return;
        // Its buffer of steps is not a moment of gradients.
        await judgedKinds(
          context,
          ALIGNMENT,
          {
            rules: ['rmsprop'],
            hyper: { weightDecay: 0, momentum: 0.9, centered: true },
            shape: shapes,
            keepProbability: often,
            minimumSteps: 3,
            maximumSteps: 6,
          },
          { look: ['kept', 'state'], states: ['mu'] },
        );
      },
    },
    {
      key: 'LRD-FAM-010',
      requirements: ['LRD-FAM-010'],
      title: 'Signs decide: a coordinate is kept iff its step and its gradient agree, neither of them zero',
      skip: known({ draw: 'agreement' }),
      run: async (context) => {
        const wanted: Wanted = { draw: 'agreement' };
        // With zeros among gradients, and L2 that turns signs.
        const gradients = fc.oneof({ weight: 5, arbitrary: ordinary }, { weight: 1, arbitrary: fc.constant(0) });
        await judgedKinds(
          context,
          wanted,
          { gradients, shape: shapes, minimumSteps: 2, maximumSteps: 6 },
          { look: ['masks', 'reported', 'dropped'] },
          { runs: 60 },
        );
      },
    },
    {
      key: 'LRD-FAM-011',
      requirements: ['LRD-FAM-011'],
      title: 'The kept updates of a tensor are multiplied by the inverse of the share that is kept',
      skip: known({ factor: 'mean' }),
      run: (context) =>
        judgedKinds(
          context,
          { factor: 'mean' },
          { shape: shapes, hyper: { weightDecay: 0 }, minimumSteps: 2, maximumSteps: 6 },
          { look: ['kept'] },
          { runs: 60 },
        ),
    },
    {
      key: 'LRD-FAM-012',
      requirements: ['LRD-FAM-012'],
      title: 'With p = 1 a mask with the factor 1/p is the base rule, bit for bit',
      skip: known({ factor: 'inverse' }, lacks('base'), ({ masks }) =>
        masks.includes('stream') || masks.includes('own') ? undefined : 'only replays given masks',
      ),
      run: (context) =>
        context.check(
          casesOf(
            context,
            { factor: 'inverse', options: { decay: ['scaled'] } },
            {
              masks: whole(context.implementation),
              maximumSteps: 4,
            },
          ),
          async (example) => {
            const { mask: _, ...bare } = example;
            const base: Case = { ...bare, keepProbability: null };
            const [left, right] = [await context.ask(base), await context.ask(example)];
            sameSteps('p = 1 against the base rule', left, right, [base, example]);
          },
        ),
    },
    {
      key: 'LRD-FAM-015',
      requirements: ['LRD-FAM-015'],
      title:
        "A mask's option that its kind has no use for, or outside its range, is refused, and so is p where signs decide",
      skip: known({}),
      run: async (context) => {
        const rule = rulesOf(context.implementation)[0] ?? 'sgdm';
        await context.each(wrongMasks(context.implementation), async (wrong) => {
          const request = { kind: wrong.kind, ...wrong.options } as unknown as MaskRequest;
          const drawn = !drawsNothing({ mask: request });
          const source = semanticMasks(context.implementation);
          const example: Case = {
            rule,
            hyper: {},
            mask: request,
            ...(drawn ? { keepProbability: 0.5, masks: source === 'given' ? [['11']] : source } : {}),
            ...(drawn && source !== 'given' ? { seed: '0x1' } : {}),
            ...wrong.case,
            parameters: [{ name: 'w', shape: [2], values: [1, -1] }],
            gradients: [[[0.5, 0.25]]],
          };
          const outcome = await context.outcome(example);
          if (outcome.kind === 'skipped') throw new Skip(outcome.reason);
          if (outcome.kind === 'errored' && outcome.code !== 'internal') return;
          throw new Finding('a wrong mask is not refused', {
            expected: 'errored with code invalid-argument',
            got: outcome.kind === 'errored' ? `errored with code ${outcome.code}: ${outcome.message}` : outcome.kind,
            cases: [example],
          });
        });
      },
    },
  ];
}

interface WrongMask {
  readonly kind: string;
  readonly options?: Readonly<Record<string, number | string>>;
  readonly case?: Partial<Case>;
}

/** One wrong request for each way to be wrong that the declared kinds have. */
function wrongMasks(implementation: Implementation): readonly WrongMask[] {
  const { kinds = {} } = implementation;
  const has = (kind: (typeof KIND_NAMES)[number]): boolean => kinds[kind] !== undefined;
  const wrong = (
    kind: (typeof KIND_NAMES)[number],
    ...options: Readonly<Record<string, number | string>>[]
  ): WrongMask[] => (has(kind) ? options.map((one) => ({ kind, options: one })) : []);
  return [
    { kind: 'sideways' },
    ...wrong('skip-update', { temperature: 2 }, { granularity: 'row' }, { meanFloor: 0.5 }, { decay: 'sideways' }),
    ...wrong(
      'magma',
      { temperature: 0 },
      { temperature: -1 },
      { smoothing: 1 },
      { firstAlignment: 'zero' },
      { normalization: 'mean' },
      { colour: 'red' },
    ),
    ...wrong('cautious', { meanFloor: 0 }, { factor: 'inverse' }, { granularity: 'tensor' }, { temperature: 2 }),
    ...(has('cautious')
      ? [{ kind: 'cautious', case: { keepProbability: 0.5, masks: 'own' as const, seed: '0x1' } }]
      : []),
  ];
}

/** All that there are, of every kind. */
export const familyProperties = (): Property[] => [...ownProperties(), ...KIND_NAMES.flatMap(propertiesOfKind)];
