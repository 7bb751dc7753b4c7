/** Statistical properties: what an implementation's own masks must be like. All share one sample a keep probability. */
import { effectiveKeepProbability } from 'learning-rate-dropout/ref';
import { RULES } from 'learning-rate-dropout/spec';
import { Finding } from '../judge/finding.ts';
import { ProtocolFinding } from '../judge/property.ts';
import type { Context, Property } from '../judge/property.ts';
import { defaultsOf } from '../protocol/expand.ts';
import type { Case, Implementation } from '../protocol/types.ts';
import {
  ELEMENTS,
  MUST_CATCH,
  PROBABILITIES,
  RUNS,
  SHAPES,
  SIZES,
  STEPS,
  TEST_LEVEL,
  detectableRate,
} from './design.ts';
import { normalPValue } from './tails.ts';
import { gaps, overallRate, pairs, ratesAndCounts } from './tests.ts';
import type { Sample, TestResult } from './tests.ts';

function sourceOf({ masks }: Implementation): 'own' | 'stream' | undefined {
  return masks.includes('own') ? 'own' : masks.includes('stream') ? 'stream' : undefined;
}

const skip = (implementation: Implementation): string | undefined =>
  sourceOf(implementation) === undefined ? 'draws no masks: it only replays given ones' : undefined;

/** Two cases of one seed must not share masks with those of another keep probability: every case has a seed of its own. */
function caseSeed(seed: number, index: number): string {
  return `0x${((BigInt(seed) & 0xffffffffffffn) * 64n + BigInt(index) + 1n).toString(16)}`;
}

/** A rule with settings under which every kept coordinate moves. */
interface Mover {
  readonly rule: string;
  readonly hyper: NonNullable<Case['hyper']>;
}

/** Rules that may serve to see masks, the simplest first; those that the kit does not know come last. */
function moversOf({ rules }: Implementation): readonly Mover[] {
  const known = Object.keys(RULES).filter((rule) => rules.includes(rule));
  const others = rules.filter((rule) => !known.includes(rule));
  return [...known, ...others].flatMap((rule): Mover[] => [
    ...(rule === 'sgdm' ? [{ rule, hyper: { learningRate: 0.125, momentum: 0 } }] : []),
    { rule, hyper: { learningRate: 0.125 } },
    // Some know no name but their own.
    ...(known.includes(rule) ? [] : [{ rule, hyper: {} }]),
  ]);
}

function sampleCase(implementation: Implementation, mover: Mover, p: number, seed: string): Case {
  return {
    ...mover,
    keepProbability: p,
    masks: sourceOf(implementation) ?? 'own',
    seed,
    parameters: SHAPES.map((shape, k) => ({ name: `w${k}`, shape, values: { fill: 0 } })),
    // Small gradients in one tensor, large ones in another: a mask must not look at them.
    gradients: Array.from({ length: STEPS }, () => SHAPES.map((_, k) => ({ fill: k === 0 ? 2 ** -6 : 1 }))),
    report: ['masks'],
  };
}

/** Whether a rule serves: it is neither refused nor does it end in what is no number. */
async function serves(context: Context, mover: Mover): Promise<boolean> {
  const probe: Case = {
    ...mover,
    keepProbability: 0.5,
    masks: sourceOf(context.implementation) ?? 'own',
    seed: '0x1',
    parameters: [{ name: 'w', shape: [8], values: { fill: 0 } }],
    gradients: [[{ fill: 1 }], [{ fill: 2 ** -6 }]],
    report: ['parameters'],
  };
  try {
    const outcome = await context.outcome(probe);
    return (
      outcome.kind === 'result' &&
      outcome.steps.every(({ parameters = [] }) => parameters.flat().every(Number.isFinite))
    );
  } catch (error) {
    // A crash under this rule is a finding of the rule's own requirements.
    if (error instanceof ProtocolFinding) return false;
    throw error;
  }
}

/** The first rule that serves; the very first where none does, so that what is wrong with it shows. */
async function findMover(context: Context): Promise<Mover> {
  const movers = moversOf(context.implementation);
  for (const mover of movers) if (await serves(context, mover)) return mover;
  return movers[0] ?? { rule: 'sgdm', hyper: {} };
}

function toBits(text: string): Uint8Array {
  const bits = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bits[i] = text.charCodeAt(i) & 1;
  return bits;
}

/** One run's masks, reported or, where an implementation cannot tell, seen from what moved. */
async function drawRun(context: Context, mover: Mover, p: number, seed: string): Promise<Uint8Array[]> {
  const example = sampleCase(context.implementation, mover, p, seed);
  const steps = await context.ask(example);
  const reported = steps.every(({ masks }) => masks !== undefined && masks.every((mask) => mask !== null));
  const wrong = (expected: string, got: string): Finding =>
    new Finding('the sample of masks has the wrong size', { expected, got, cases: [example] });
  if (reported) {
    return steps.map(({ masks = [] }) => {
      for (const [k, size] of SIZES.entries()) {
        if (masks[k]?.length !== size) throw wrong(`${size} bits`, String(masks[k]?.length));
      }
      return toBits(masks.join(''));
    });
  }
  const seen = await context.ask({ ...example, report: ['parameters'] });
  let before = new Float64Array(ELEMENTS);
  return seen.map(({ parameters = [] }) => {
    const after = Float64Array.from(parameters.flat());
    if (after.length !== ELEMENTS) throw wrong(`${ELEMENTS} parameters`, String(after.length));
    const bits = Uint8Array.from(after, (x, i) => (Object.is(x, before[i]) || x === before[i] ? 0 : 1));
    before = after;
    return bits;
  });
}

/** Tests that a finding names beside the first. */
const OTHERS_NAMED = 5;

/** How far off a test's number is; tests of one kind are compared by it where their p-values are all 0. */
const deviation = ({ expected, got }: TestResult): number =>
  Math.abs(Number(got) - (Number.isNaN(Number(expected)) ? 0 : Number(expected)));

/** Effects are told apart as coarsely as this: a sample shows nearly none, some, much, or that nothing is left to chance. */
const CLASSES = [
  [0.9, 'all'],
  [0.55, 'most'],
  [0.4, 'half'],
  [0.15, 'much'],
  [0.05, 'some'],
] as const;

/** What tests found, in words that one mistake shares from seed to seed: what each is about, the direction, and how much. */
function traitsOf(found: readonly TestResult[], p: number): string[] {
  const strongest = new Map<string, number>();
  for (const { about, name, effect } of found) {
    const key = about ?? name;
    if (Math.abs(effect) > Math.abs(strongest.get(key) ?? 0)) strongest.set(key, effect);
  }
  const classed = [...strongest].map(([name, effect]) => {
    const complement = name.startsWith('rate of all') && Math.abs(effect - (1 - 2 * p)) < 0.01 && p !== 0.5;
    const size = CLASSES.find(([least]) => Math.abs(effect) >= least)?.[1];
    return { name, size, text: `${name}: ${complement ? '1 - p' : `${effect < 0 ? '-' : '+'}${size ?? 'little'}`}` };
  });
  // Beside what is large, what is small follows from it, or from the few draws that are left.
  const large = classed.filter(({ size }) => size !== undefined);
  return (large.length > 0 ? large : classed).map(({ text }) => text).sort();
}

type Tests = (sample: Sample, p: number) => TestResult[];

/** The statistical properties of one judgement. `seed` is the judgement's: its sample does not depend on what else runs. */
export function measureMasks(seed: number): readonly Property[] {
  const samples = new Map<number, Promise<Sample>>();
  let mover: Promise<Mover> | undefined;
  const draw = async (context: Context, p: number, index: number): Promise<Sample> => {
    const runs: Uint8Array[][] = [];
    const chosen = await (mover ??= findMover(context));
    for (let run = 0; run < RUNS; run++)
      runs.push(await drawRun(context, chosen, p, caseSeed(seed, index * RUNS + run)));
    if (runs.some((run) => run.length !== STEPS)) {
      const example = sampleCase(context.implementation, chosen, p, caseSeed(seed, index * RUNS));
      throw new Finding('the sample of masks has the wrong number of steps', {
        expected: String(STEPS),
        got: runs.map((run) => run.length).join(', '),
        cases: [example],
      });
    }
    return runs;
  };
  const test = (key: string, requirements: readonly string[], title: string, tests: Tests): Property => ({
    key,
    requirements,
    title,
    skip,
    whole: true,
    run: async (context) => {
      const chosen = await (mover ??= findMover(context));
      for (const [index, p] of PROBABILITIES.entries()) {
        let sample = samples.get(p);
        if (sample === undefined) samples.set(p, (sample = draw(context, p, index)));
        const exact = sourceOf(context.implementation) === 'stream' ? effectiveKeepProbability(p) : p;
        const found = tests(await sample, exact).filter(({ pValue }) => !(pValue >= TEST_LEVEL));
        const [worst, ...others] = [...found].sort((a, b) => a.pValue - b.pValue || deviation(b) - deviation(a));
        if (worst === undefined) continue;
        const { name, pValue, expected, got } = worst;
        const more = others.slice(0, OTHERS_NAMED).map((other) => other.name);
        const also = more.length === 0 ? '' : `; also ${more.join(', ')}${others.length > more.length ? ', ...' : ''}`;
        throw new Finding(`p = ${p}, ${name}: p-value ${pValue.toExponential(1)}${also}`, {
          expected,
          got,
          cases: [sampleCase(context.implementation, chosen, p, caseSeed(seed, index * RUNS))],
          traits: traitsOf(found, p),
        });
      }
      context.note(
        `${RUNS * STEPS * ELEMENTS} draws at each p of ${PROBABILITIES.join(', ')}; each test at ${TEST_LEVEL.toExponential(0)}; rule ${chosen.rule} with ${JSON.stringify(chosen.hyper)}`,
      );
    },
  });
  return [
    test('LRD-MASK-001', ['LRD-MASK-001'], 'p is the probability of being kept', (sample, p) => overallRate(sample, p)),
    test(
      'LRD-ALG-006',
      ['LRD-ALG-006'],
      `Rates by tensor, step and position; numbers kept per step are binomial (a tensor's rate off by ${detectableRate(0.5, RUNS * STEPS * (SIZES[0] ?? 1)).toFixed(3)} is caught)`,
      ratesAndCounts,
    ),
    test(
      'LRD-MASK-005',
      ['LRD-MASK-005'],
      `Independence across coordinates, rows, tensors, steps and seeds (a correlation of ${MUST_CATCH.correlation} is caught)`,
      pairs,
    ),
    test('LRD-EQ-003', ['LRD-EQ-003'], 'The intervals between updates are geometric: E = 1/p, Var = (1 - p)/p^2', gaps),
    meanStep(seed),
  ];
}

/** Coordinates and steps of the mean-step test: far more than 5.5 times needs. */
const MEAN_SIZE = 2048;
const MEAN_STEPS = 30;

/** How the path compares with the one that it should be. */
function meanTrait(ratio: number, p: number): string {
  const momentum = (defaultsOf('sgdm') as { momentum: number }).momentum;
  const known: readonly (readonly [string, number])[] = [
    ['divided by p', 1 / p],
    ['times p', p],
    ['1 - p', (1 - p) / p],
    ['no momentum', 1 - momentum],
    ['still', 0],
  ];
  const near = known.find(([, value]) => Math.abs(ratio - value) < 0.04 * Math.max(value, 0.1));
  return `path: ${near?.[0] ?? (ratio < 0 ? 'turned round' : ratio < 0.8 ? 'short' : ratio > 1.25 ? 'long' : 'a little off')}`;
}

function meanStep(seed: number): Property {
  return {
    key: 'LRD-MASK-010',
    requirements: ['LRD-MASK-010'],
    title: 'Under a constant gradient the mean step of SGDM tends to p/(1 - beta) alpha g',
    skip: (implementation) =>
      skip(implementation) ?? (implementation.rules.includes('sgdm') ? undefined : 'has no rule sgdm'),
    whole: true,
    run: async (context) => {
      const p = 0.5;
      const { momentum } = defaultsOf('sgdm') as { momentum: number };
      const example: Case = {
        rule: 'sgdm',
        hyper: { learningRate: 0.125 },
        keepProbability: p,
        masks: sourceOf(context.implementation) ?? 'own',
        seed: caseSeed(seed, 63),
        parameters: [{ name: 'w', shape: [MEAN_SIZE], values: { fill: 0 } }],
        gradients: Array.from({ length: MEAN_STEPS }, () => [{ fill: 1 }]),
        report: ['parameters'],
      };
      const steps = await context.ask(example);
      const total = (steps.at(-1)?.parameters?.[0] ?? []).reduce((sum, x) => sum + x, 0);
      let [mean, variance, buffer] = [0, 0, 0];
      for (let t = 1; t <= MEAN_STEPS; t++) {
        buffer = momentum * buffer + 1;
        mean -= 0.125 * p * buffer;
        variance += (0.125 * buffer) ** 2 * p * (1 - p);
      }
      const pValue = normalPValue((total - MEAN_SIZE * mean) / Math.sqrt(MEAN_SIZE * variance));
      if (!(pValue >= TEST_LEVEL)) {
        throw new Finding(`mean path after ${MEAN_STEPS} steps: p-value ${pValue.toExponential(1)}`, {
          expected: mean.toFixed(5),
          got: (total / MEAN_SIZE).toFixed(5),
          cases: [example],
          traits: [meanTrait(total / MEAN_SIZE / mean, p)],
        });
      }
    },
  };
}
