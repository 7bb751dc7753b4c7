/** The mask stream, bit for bit (LRD-STREAM). */
import fc from 'fast-check';
import { expandCase } from '../../protocol/expand.ts';
import type { Case, StepRecord } from '../../protocol/types.ts';
import { caseOf, layoutShape, ordinary } from '../arbitrary.ts';
import type { CaseOptions } from '../arbitrary.ts';
import { Finding } from '../finding.ts';
import { expectedMasks, judgeSteps } from '../judgeSteps.ts';
import type { Context, Property } from '../property.ts';
import { lacks, lacksMasks, someRule } from './asking.ts';

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
    const example: Case = { ...change(drawn), rule: someRule(context.implementation), hyper: {} };
    judgeSteps(example, await context.ask(example), context.implementation, { look: ['masks', 'reported'] });
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

/** Those that come once. */
export function streamProperties(): Property[] {
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
