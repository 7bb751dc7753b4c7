/** The properties, requirement by requirement. Statistics of an implementation's own masks are in `conformance/statistics/`. */
import fc from 'fast-check';
import { RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter, RuleName } from 'learning-rate-dropout/spec';
import { defaultsOf, expandCase, stateNames } from '../protocol/expand.ts';
import type { Hyper } from '../protocol/expand.ts';
import type { Case, Feature, Implementation, StepRecord } from '../protocol/types.ts';
import { caseOf, drawnMasks, finite, hostile, layoutShape, ordinary, plainMasks, semanticMasks } from './arbitrary.ts';
import type { CaseOptions } from './arbitrary.ts';
import { Finding, show } from './finding.ts';
import { expectedMasks, judgeSteps } from './judgeSteps.ts';
import type { JudgeOptions } from './judgeSteps.ts';
import { Skip } from './property.ts';
import type { Context, Property } from './property.ts';

const RULE_NAMES = Object.keys(RULES) as RuleName[];

const lacks =
  (...features: readonly Feature[]) =>
  (implementation: Implementation): string | undefined => {
    const missing = features.filter((feature) => !implementation.features.includes(feature));
    return missing.length === 0 ? undefined : `does not declare ${missing.join(', ')}`;
  };
const lacksMasks =
  (source: 'stream' | 'given') =>
  (implementation: Implementation): string | undefined =>
    implementation.masks.includes(source)
      ? undefined
      : source === 'stream'
        ? 'does not follow the mask stream'
        : 'cannot replay given masks';
const first =
  (...reasons: readonly ((implementation: Implementation) => string | undefined)[]) =>
  (implementation: Implementation): string | undefined => {
    for (const reason of reasons) {
      const text = reason(implementation);
      if (text !== undefined) return text;
    }
    return undefined;
  };
const lacksRule =
  (rule: RuleName) =>
  (implementation: Implementation): string | undefined =>
    implementation.rules.includes(rule) ? undefined : `has no rule ${rule}`;

/** A rule for the properties that need only one: the simplest that there is. */
function someRule(implementation: Implementation): RuleName {
  return RULE_NAMES.find((rule) => implementation.rules.includes(rule)) ?? 'sgdm';
}

/** Cases of any rule that the implementation has; rules of its own, which the kit does not know, are left out. */
const casesOfAnyRule = ({ implementation }: Context, options: Omit<CaseOptions, 'rule'>): fc.Arbitrary<Case> =>
  fc
    .constantFrom(...implementation.rules.filter((name): name is RuleName => name in RULES))
    .chain((rule) => caseOf({ ...options, rule }));

/** Draws cases and holds each answer against its intervals. */
async function judged(
  context: Context,
  options: Omit<CaseOptions, 'masks'> & Partial<Pick<CaseOptions, 'masks'>>,
  look: JudgeOptions,
  change: (example: Case) => Case = (example) => example,
  runs?: number,
): Promise<void> {
  const masks = options.masks ?? semanticMasks(context.implementation);
  await context.check(
    caseOf({ ...options, masks }),
    async (drawn) => {
      const example = change(drawn);
      judgeSteps(example, await context.ask(example), context.implementation, look);
    },
    runs,
  );
}

/** Two runs must agree in everything that `pick` takes from them, bit for bit. */
function same(
  what: string,
  left: readonly (readonly number[])[],
  right: readonly (readonly number[])[],
  cases: readonly Case[],
): void {
  for (const [k, tensor] of left.entries()) {
    for (const [i, x] of tensor.entries()) {
      const y = right[k]?.[i];
      if (!Object.is(x, y))
        throw new Finding(`${what}: tensor ${k}, element ${i}`, { expected: show(x), got: show(y), cases });
    }
  }
}

function sameSteps(
  what: string,
  left: readonly StepRecord[],
  right: readonly StepRecord[],
  cases: readonly Case[],
): void {
  for (const [index, record] of left.entries()) {
    const other = right[index] ?? {};
    same(`${what}, step ${index + 1}, parameters`, record.parameters ?? [], other.parameters ?? [], cases);
    for (const [name, tensors] of Object.entries(record.state ?? {})) {
      if (other.state !== undefined)
        same(`${what}, step ${index + 1}, ${name}`, tensors, other.state[name] ?? [], cases);
    }
  }
}

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

function ruleProperties(rule: RuleName): Property[] {
  const adaptive = rule !== 'sgdm' && rule !== 'sgdm-avg';
  const general = adaptive ? 'LRD-ALG-004' : 'LRD-ALG-005';
  const equation = rule === 'sgdm-avg' ? ['LRD-EQ-010'] : rule === 'rmsprop' ? [] : ['LRD-EQ-001'];
  const known = (...more: Property['skip'][]): Property['skip'] => first(lacksRule(rule), ...more);
  const tiny = fc.oneof(
    ordinary,
    ordinary.map((x) => x * 2 ** -20),
    fc.constant(0),
  );
  const properties: Property[] = RULE_REQUIREMENTS[rule].map(({ id, hyper, word }) => ({
    key: `${id}/${word}`,
    requirements: [id, general, ...equation],
    title: `${word} with everything kept: parameters and state inside their intervals`,
    skip: known(),
    run: async (context) => {
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
  }));
  properties.push(
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
                );
              }
            }
          },
        ),
    },
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
  );
  if (rule !== 'sgdm-avg') {
    properties.push({
      key: `LRD-STATE-005/${rule}`,
      requirements: ['LRD-STATE-005'],
      title: `${rule}: started from a state at a later step, bias correction goes on from there`,
      skip: known(lacks('resume')),
      run: (context) =>
        judged(
          context,
          { rule, hyper: { weightDecay: 0 }, masks: plainMasks(context.implementation), resume: true, maximumSteps: 3 },
          { look: ['kept', 'state'] },
        ),
    });
  }
  if (adaptive) {
    properties.push({
      key: `LRD-ALG-003/${rule}`,
      requirements: ['LRD-ALG-003'],
      title: `${rule}: the second moment accumulates on dropped steps too`,
      skip: known(lacks('state')),
      run: (context) =>
        judged(
          context,
          { rule, hyper: { weightDecay: 0 }, minimumSteps: 2, maximumSteps: 5 },
          { look: ['state'], states: ['v', 'vmax'] },
        ),
    });
  }
  if (rule !== 'adamw') {
    properties.push({
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
    });
  } else {
    properties.push({
      key: 'LRD-RULE-011/adamw',
      requirements: ['LRD-RULE-011'],
      title: 'adamw: a dropped coordinate does not decay',
      skip: known(),
      run: (context) => judged(context, { rule, hyper: { weightDecay: 0.1 } }, { look: ['dropped'] }),
    });
  }
  if (rule === 'radam') {
    properties.push({
      key: 'LRD-DEC-003/radam',
      requirements: ['LRD-DEC-003'],
      title: 'radam: the first, unrectified steps are masked too',
      skip: known(),
      run: (context) =>
        judged(context, { rule, hyper: { beta2: 0.999 }, maximumSteps: 4 }, { look: ['dropped', 'reported'] }),
    });
  }
  return properties;
}

/** For cases that the base rule must match: given masks need p < 1 to be read at all, so they do not serve. */
function whole(implementation: Implementation): 'ones-stream' | 'ones-own' {
  return implementation.masks.includes('stream') ? 'ones-stream' : 'ones-own';
}

function withHyper(implementation: Implementation, rule: RuleName, hyper: Readonly<Record<string, unknown>>): Case {
  const source = plainMasks(implementation);
  return {
    rule,
    hyper: hyper as Hyper,
    keepProbability: source === 'ones-given' ? 0.5 : 1,
    masks: source === 'ones-given' ? [['11']] : source === 'ones-stream' ? 'stream' : 'own',
    ...(source === 'ones-given' ? {} : { seed: '0x1' }),
    parameters: [{ name: 'w', shape: [2], values: [1, -1] }],
    gradients: [[[0.5, 0.25]]],
  };
}

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
  for (const example of examples) {
    const outcome = await context.outcome(example);
    if (outcome.kind === 'errored' && outcome.code !== 'internal') continue;
    throw new Finding('a wrong argument is not refused', {
      expected: 'errored with code invalid-argument',
      got: outcome.kind === 'errored' ? `errored with code ${outcome.code}: ${outcome.message}` : outcome.kind,
      cases: [example],
    });
  }
}

function streamCase(options: Partial<CaseOptions> = {}): fc.Arbitrary<Case> {
  return caseOf({
    rule: 'sgdm',
    hyper: { momentum: 0, weightDecay: 0 },
    masks: 'stream',
    shape: layoutShape,
    maximumSteps: 3,
    ...options,
  });
}

/**
 * Gradients of one sign: momenta never cancel, so every kept coordinate moves, and a mask that is inferred from what moved is the
 * mask.
 */
const pushing = ordinary.map(Math.abs);

/** Masks on the stream, and nothing else of an answer. */
async function onStream(
  context: Context,
  arbitrary: fc.Arbitrary<Case>,
  change: (example: Case) => Case = (example) => example,
): Promise<void> {
  await context.check(arbitrary, async (drawn) => {
    const example: Case = { ...change(drawn), rule: someRule(context.implementation) };
    const answer = await context.ask({ ...example, hyper: {} });
    judgeSteps({ ...example, hyper: {} }, answer, context.implementation, { look: ['masks', 'reported'] });
  });
}

/** Reported masks, or what moved where an implementation cannot tell. */
function seenMasks(example: Case, records: readonly StepRecord[]): (string | null)[][] {
  let before = expandCase(example).tensors.map(({ values }) => values);
  return records.map(({ masks, parameters = [] }) => {
    const seen = parameters.map(
      (tensor, k) => masks?.[k] ?? tensor.map((x, i) => (Object.is(x, before[k]?.[i]) ? '0' : '1')).join(''),
    );
    before = [...parameters];
    return seen;
  });
}

function streamProperties(): Property[] {
  const stream = lacksMasks('stream');
  return [
    {
      key: 'LRD-STREAM-001',
      requirements: ['LRD-STREAM-001'],
      title: 'The words are Philox4x32-10 of seed, block, step and stream',
      skip: stream,
      run: async (context) => {
        const shape = fc.constantFrom<readonly number[]>([8], [16]);
        await onStream(context, streamCase({ shape, maximumTensors: 1 }));
        if (lacks('resume')(context.implementation) !== undefined) return;
        const steps = fc.oneof(
          fc.integer({ min: 2, max: 2 ** 32 - 2 }),
          fc.constantFrom(65535, 65536, 2 ** 31, 2 ** 32 - 1),
        );
        await onStream(
          context,
          fc
            .tuple(streamCase({ shape, maximumTensors: 1, maximumSteps: 1 }), steps)
            .map(([example, firstStep]) => ({ ...example, firstStep })),
        );
      },
    },
    {
      key: 'LRD-STREAM-002',
      requirements: ['LRD-STREAM-002'],
      title: 'Element n uses half n mod 8 of block floor(n / 8), low halves first',
      skip: stream,
      run: (context) =>
        onStream(
          context,
          streamCase({ maximumTensors: 1, maximumSteps: 2, shape: fc.integer({ min: 1, max: 300 }).map((n) => [n]) }),
        ),
    },
    {
      key: 'LRD-STREAM-003',
      requirements: ['LRD-STREAM-003'],
      title: 'Tensors start at multiples of 64; excluded ones and those without a gradient keep their place',
      skip: stream,
      run: async (context) => {
        await onStream(context, streamCase({ maximumTensors: 6, maximumSteps: 2 }));
        const groups = lacks('groups')(context.implementation) === undefined;
        const nulls = lacks('null-gradient')(context.implementation) === undefined;
        if (!groups && !nulls) return;
        await onStream(context, streamCase({ maximumTensors: 4, maximumSteps: 2 }), (example) => ({
          ...example,
          ...(groups
            ? {
                parameters: example.parameters.map((parameter, k) =>
                  k % 3 === 1 ? { ...parameter, excluded: true } : parameter,
                ),
              }
            : {}),
          ...(nulls
            ? {
                gradients: example.gradients.map((step, t) =>
                  step.map((gradient, k) => (k % 3 === t % 3 && k > 0 ? null : gradient)),
                ),
              }
            : {}),
        }));
      },
    },
    {
      key: 'LRD-STREAM-004',
      requirements: ['LRD-STREAM-004'],
      title: 'Kept iff the half is below T = max(1, floor(2^16 p + 1/2))',
      skip: stream,
      run: async (context) => {
        // Seeds and steps are searched for a half that sits right at the threshold: a mask that is off by one shows.
        const grid = fc
          .tuple(fc.integer({ min: 1, max: 65535 }), fc.constantFrom(0, 0.25, 0.49, 0.5, -0.25, -0.5))
          .map(([half, offset]) => Math.min(1, Math.max(2 ** -16, (half + offset) / 65536)));
        await onStream(context, streamCase({ keepProbability: grid, maximumTensors: 1, maximumSteps: 1 }));
        await context.check(
          streamCase({ maximumTensors: 1, maximumSteps: 1, shape: fc.constant([64]) }),
          async (drawn) => {
            const rule = someRule(context.implementation);
            for (const keepProbability of probabilitiesAround({ ...drawn, rule, hyper: {} })) {
              const example: Case = { ...drawn, rule, hyper: {}, keepProbability };
              judgeSteps(example, await context.ask(example), context.implementation, { look: ['masks', 'reported'] });
            }
          },
        );
      },
    },
    {
      key: 'LRD-STREAM-005',
      requirements: ['LRD-STREAM-005'],
      title: 'The mask does not depend on shapes, on what ran before, or on how a run is cut',
      skip: stream,
      run: (context) =>
        context.check(
          streamCase({
            maximumTensors: 2,
            minimumSteps: 2,
            shape: fc.constantFrom<readonly number[]>([6], [12], [60], [120]),
            gradients: pushing,
          }),
          async (drawn) => {
            const example: Case = { ...drawn, rule: someRule(context.implementation), hyper: {} };
            const reshaped: Case = {
              ...example,
              parameters: example.parameters.map((parameter) => ({
                ...parameter,
                shape: [2, (parameter.shape[0] ?? 0) / 2],
              })),
            };
            const masks = async (asked: Case): Promise<(string | null)[][]> =>
              seenMasks(asked, await context.ask(asked));
            const left = await masks(example);
            await context.ask({ ...example, seed: '0x5eed' });
            const text = JSON.stringify(left);
            const compare = (what: string, other: readonly (readonly (string | null)[])[], asked: Case): void => {
              if (JSON.stringify(other) !== text) {
                throw new Finding(what, { expected: text, got: JSON.stringify(other), cases: [example, asked] });
              }
            };
            compare('the same case again draws another mask', await masks(example), example);
            compare('another shape draws another mask', await masks(reshaped), reshaped);
            if (lacks('resume')(context.implementation) === undefined) {
              const pieces = example.gradients.map((gradients, t): Case => ({
                ...example,
                firstStep: t + 1,
                gradients: [gradients],
              }));
              const answers: (string | null)[][] = [];
              for (const piece of pieces) answers.push(...(await masks(piece)));
              compare('a run cut into single steps draws another mask', answers, pieces[0] as Case);
            }
          },
        ),
    },
    {
      key: 'LRD-STREAM-006',
      requirements: ['LRD-STREAM-006'],
      title: 'What is kept at p is kept at every larger p',
      skip: stream,
      run: (context) => {
        const p = fc.integer({ min: 1, max: 65536 }).map((half) => half / 65536);
        return context.check(
          fc.tuple(streamCase({ maximumSteps: 2, maximumTensors: 2, gradients: pushing }), p, p),
          async ([drawn, a, b]) => {
            const make = (keepProbability: number): Case => ({
              ...drawn,
              keepProbability,
              rule: someRule(context.implementation),
              hyper: {},
            });
            const [low, high] = [make(Math.min(a, b)), make(Math.max(a, b))];
            const [left, right] = [await context.ask(low), await context.ask(high)];
            const seen = [seenMasks(low, left), seenMasks(high, right)] as const;
            for (const [t, masks] of seen[0].entries()) {
              for (const [k, mask] of masks.entries()) {
                const other = seen[1][t]?.[k];
                const i = Array.from(mask ?? '').findIndex((bit, j) => bit === '1' && other?.[j] === '0');
                if (i >= 0)
                  throw new Finding(
                    `step ${t + 1}, tensor ${k}, element ${i} is kept at p = ${low.keepProbability} only`,
                    { expected: '1', got: '0', cases: [low, high] },
                  );
              }
            }
          },
        );
      },
    },
  ];
}

/**
 * Keep probabilities that decide about the half h which element 0 draws: T = h drops it, T = h + 1 keeps it, and p in between
 * rounds up or down.
 */
function probabilitiesAround(example: Case): number[] {
  const expanded = expandCase(example);
  if (expanded.tensors[0]?.size === 0) return [];
  const kept = (half: number): boolean => {
    const asked = { ...example, keepProbability: half / 65536 };
    return expectedMasks(asked, expandCase(asked))[0]?.[0]?.[0] === '1';
  };
  // The smallest T that keeps element 0, by bisection.
  let [low, high] = [1, 65536];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (kept(middle)) high = middle;
    else low = middle + 1;
  }
  return [low - 1, low - 0.3, low - 0.7, low].map((half) => Math.min(1, Math.max(1, half) / 65536));
}

function sharedProperties(): Property[] {
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
        for (const [name, value, example] of [
          ['keepProbability', '1.5', { ...base, keepProbability: 1.5 }],
          ['learningRate', '-2', { ...base, hyper: { learningRate: -2 } }],
        ] as const) {
          const outcome = await context.outcome(example);
          const message = outcome.kind === 'errored' ? outcome.message : `no error (${outcome.kind})`;
          if (!message.includes(name) || !message.includes(value) || message.includes('\n')) {
            throw new Finding('an error does not say what was wrong', {
              expected: `one line with ${name} and ${value}`,
              got: message,
              cases: [example],
            });
          }
        }
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

/** All properties but the statistical ones, simplest rules first. */
export const PROPERTIES: readonly Property[] = [
  ...sharedProperties(),
  ...streamProperties(),
  ...RULE_NAMES.flatMap(ruleProperties),
];
