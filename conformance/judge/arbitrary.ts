/** Generators of cases. All numbers are float32 values, so that every implementation holds them exactly. */
import fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Mask, MaskRequest } from 'learning-rate-dropout/ref';
import { defaultsOf, sizeOf, stateNames } from '../protocol/expand.ts';
import type { Hyper } from '../protocol/expand.ts';
import { expandMask, maskStateNames } from '../protocol/kinds.ts';
import type { Case, Implementation } from '../protocol/types.ts';

/** Sign, exponent and mantissa as of gradients and weights: `fc.float` is uniform over bit patterns, most of them absurd. */
export const ordinary: Arbitrary<number> = fc
  .tuple(fc.constantFrom(1, -1), fc.integer({ min: -9, max: 2 }), fc.integer({ min: 0, max: 255 }))
  .map(([sign, exponent, mantissa]) => sign * (1 + mantissa / 256) * 2 ** exponent);

/** Any finite float32, subnormals as often as any other. Shrinks to 1: a subnormal that need not be one only puzzles. */
const anyFloat: Arbitrary<number> = fc
  .tuple(fc.constantFrom(1, -1), fc.integer({ min: -149, max: 127 }), fc.integer({ min: 0, max: 2 ** 23 - 1 }))
  .map(([sign, exponent, mantissa]) => sign * Math.fround((1 + mantissa * 2 ** -23) * 2 ** exponent))
  .filter(Number.isFinite);

/** The first alternative is the plainest, and what a failing case shrinks to where that fails too. */
const plainestFirst = (...alternatives: readonly Arbitrary<number>[]): Arbitrary<number> =>
  fc.oneof({ withCrossShrink: true }, ...alternatives);

/** Everything that a float32 can be, with the troublesome ones often. */
export const hostile: Arbitrary<number> = plainestFirst(
  ordinary,
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0, 2 ** -149, -(2 ** -149), 2 ** -127, 3.4028234663852886e38),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, -0),
  anyFloat,
);

/** Any finite float32. */
export const finite: Arbitrary<number> = plainestFirst(
  ordinary,
  fc.constantFrom(0, -0, 1, -1, 1e-3, 2 ** -127, -(2 ** -140), 2 ** -149).map(Math.fround),
  anyFloat,
);

const smallShape = fc.constantFrom<readonly number[]>([1], [2], [3], [5], [2, 3], [], [2, 2, 2], [0], [9]);
/** Shapes on both sides of the stream's alignment and of SIMD widths. */
export const layoutShape = fc.oneof(
  smallShape,
  fc.constantFrom<readonly number[]>([63], [64], [65], [7, 9], [128], [16, 8], [129], [0], [200]),
);

const keep = fc.constantFrom(0.5, 0.25, 0.75, 0.1, 0.9, 0.3);

const exactBetas = fc.constantFrom(0.9, 0.5, 0.99, 0);

/** Values for each hyper-parameter, all well inside its range and able to show in a step. */
const hyperArbitraries: Readonly<Record<string, Arbitrary<number | string | boolean>>> = {
  learningRate: fc.constantFrom(0.1, 0.01, 0.5, 1e-3),
  momentum: fc.constantFrom(0.9, 0.5, 0, 0.99),
  dampening: fc.constantFrom(0, 0.5, 0.9, 1),
  nesterov: fc.boolean(),
  weightDecay: fc.constantFrom(0, 5e-4, 0.1),
  window: fc.integer({ min: 1, max: 5 }),
  rho: fc.constantFrom(0.99, 0.9, 0.5),
  epsilon: fc.constantFrom(1e-8, 1e-3, 0.1, 1e-6),
  epsilonPlacement: fc.constantFrom('outside', 'inside'),
  centered: fc.boolean(),
  beta1: exactBetas,
  beta2: fc.constantFrom(0.999, 0.99, 0.9),
  epsilonMode: fc.constantFrom('corrected', 'hat'),
  maxOf: fc.constantFrom('raw', 'corrected', 'uncorrected'),
  variant: fc.constantFrom('torch', 'original', 'paper'),
};

/** Hyper-parameters of a rule; any may be left to its default. `fixed` holds some at a value. */
export function hyperOf(rule: RuleName, fixed: Hyper = {}): Arbitrary<Hyper> {
  const names = Object.keys(RULES[rule].hyper).filter((name) => !(name in fixed));
  const model = Object.fromEntries(
    names.map((name) => [name, fc.option(hyperArbitraries[name] ?? fc.constant(0), { nil: undefined, freq: 2 })]),
  );
  const applicable = Object.fromEntries(Object.entries(fixed).filter(([name]) => name in RULES[rule].hyper));
  return fc.record(model).map((hyper) => ({
    ...Object.fromEntries(Object.entries(hyper).filter(([, value]) => value !== undefined)),
    ...applicable,
  })) as Arbitrary<Hyper>;
}

/** Where a case's masks come from. `ones-...`: everything is kept, because p = 1 or, for given masks, every bit is 1. */
export type Source = 'stream' | 'given' | 'own' | `ones-${'stream' | 'given' | 'own'}`;

export interface CaseOptions {
  readonly rule: RuleName;
  /** Another kind of mask than learning rate dropout's. */
  readonly mask?: MaskRequest;
  readonly hyper?: Hyper;
  /** Numbers for parameters and gradients. Default `ordinary`. */
  readonly parameters?: Arbitrary<number>;
  readonly gradients?: Arbitrary<number>;
  readonly shape?: Arbitrary<readonly number[]>;
  readonly maximumTensors?: number;
  readonly minimumSteps?: number;
  readonly maximumSteps?: number;
  readonly masks: Source;
  /** Draws the bits of given masks. Default: each 0 or 1. */
  readonly bit?: Arbitrary<number>;
  readonly keepProbability?: Arbitrary<number>;
  /** Starts from random state at a step above 1. */
  readonly resume?: boolean;
}

export const seeds: Arbitrary<string> = fc
  .bigInt({ min: 0n, max: 2n ** 64n - 1n })
  .map((seed) => `0x${seed.toString(16)}`);

const nonNegativeState = new Set(['v', 'vmax']);

/** Alignments that have been somewhere between the extremes. */
const alignmentOf = fc.constantFrom(0.5, 0.53125, 0.4375, 1).map((x): readonly number[] => [x]);

function stateOf(names: readonly string[], sizes: readonly number[]): Arbitrary<NonNullable<Case['state']>> {
  return fc.record(
    Object.fromEntries(
      names.map((name) => [
        name,
        fc.tuple(
          ...sizes.map((size): Arbitrary<readonly number[]> =>
            name === MASK_STATE.alignment
              ? alignmentOf
              : fc.array(nonNegativeState.has(name) ? ordinary.map(Math.abs) : ordinary, {
                  minLength: size,
                  maxLength: size,
                }),
          ),
        ),
      ]),
    ),
  );
}

const fixedLength = (item: Arbitrary<number>, length: number): Arbitrary<number[]> =>
  fc.array(item, { minLength: length, maxLength: length });

function masksOf(
  source: Source,
  bits: readonly (readonly (readonly number[])[])[],
  mask: Mask | undefined,
): NonNullable<Case['masks']> {
  if (source === 'given' && mask?.granularity === 'tensor') {
    // One draw a tensor: the first.
    return bits.map((tensors) => tensors.map((tensor) => String(tensor[0] ?? '').repeat(tensor.length)));
  }
  switch (source) {
    case 'stream':
    case 'ones-stream':
      return 'stream';
    case 'own':
    case 'ones-own':
      return 'own';
    case 'given':
      return bits.map((tensors) => tensors.map((tensor) => tensor.join('')));
    case 'ones-given':
      return bits.map((tensors) => tensors.map((tensor) => '1'.repeat(tensor.length)));
  }
}

/** A valid case of one rule. Shrinks to fewer steps, fewer and smaller tensors, simpler numbers. */
export function caseOf(options: CaseOptions): Arbitrary<Case> {
  const { rule, masks, shape = smallShape, maximumTensors = 3, minimumSteps = 1, maximumSteps = 4 } = options;
  return fc
    .tuple(
      fc.integer({ min: minimumSteps, max: maximumSteps }),
      fc.array(shape, { minLength: 1, maxLength: maximumTensors }),
      hyperOf(rule, options.hyper),
    )
    .chain(([steps, shapes, hyper]) => {
      const sizes = shapes.map(sizeOf);
      const resumes = options.resume === true && rule !== 'sgdm-avg';
      const resolved = { ...defaultsOf(rule), ...hyper };
      const mask = options.mask === undefined ? undefined : expandMask(options.mask);
      const names = [...stateNames(rule, resolved), ...maskStateNames(mask, rule, resolved)];
      const drawn = mask?.draw !== 'agreement';
      return fc
        .record({
          values: fc.tuple(...sizes.map((size) => fixedLength(options.parameters ?? ordinary, size))),
          gradients: fc.array(fc.tuple(...sizes.map((size) => fixedLength(options.gradients ?? ordinary, size))), {
            minLength: steps,
            maxLength: steps,
          }),
          bits: fc.array(
            fc.tuple(...sizes.map((size) => fixedLength(options.bit ?? fc.integer({ min: 0, max: 1 }), size))),
            { minLength: steps, maxLength: steps },
          ),
          seed: seeds,
          keepProbability: options.keepProbability ?? keep,
          firstStep: resumes ? fc.integer({ min: 2, max: 40 }) : fc.constant(1),
          state: resumes ? stateOf(names, sizes) : fc.constant(undefined),
        })
        .map(({ values, gradients, bits, seed, keepProbability, firstStep, state }): Case => ({
          rule,
          hyper,
          ...(drawn ? { keepProbability: masks === 'ones-own' || masks === 'ones-stream' ? 1 : keepProbability } : {}),
          ...(options.mask === undefined ? {} : { mask: options.mask }),
          ...(drawn ? { masks: masksOf(masks, bits, mask) } : {}),
          ...(masks.endsWith('given') || !drawn ? {} : { seed }),
          ...(firstStep > 1 ? { firstStep } : {}),
          ...(state === undefined ? {} : { state }),
          parameters: shapes.map((dimensions, k) => ({
            name: `w${k}`,
            shape: dimensions,
            values: values[k] ?? [],
          })),
          gradients,
        }));
    });
}

/** The best source of masks for judging what a mask does: given, else the stream, else the implementation's own. */
export function semanticMasks({ masks }: Implementation): 'stream' | 'given' | 'own' {
  return masks.includes('given') ? 'given' : masks.includes('stream') ? 'stream' : 'own';
}

/** The best source for judging when a mask is drawn and with which p: the stream, where every bit is known beforehand. */
export function drawnMasks({ masks }: Implementation): 'stream' | 'given' | 'own' {
  return masks.includes('stream') ? 'stream' : masks.includes('own') ? 'own' : 'given';
}

/** The source that serves when nothing is to be masked. */
export function plainMasks({ masks }: Implementation): Source {
  return masks.includes('stream') ? 'ones-stream' : masks.includes('own') ? 'ones-own' : 'ones-given';
}
