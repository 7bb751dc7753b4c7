import { KEEP_PROBABILITY, RULES } from '../spec/rules.ts';
import type { RuleName } from '../spec/rules.ts';
import { MASK_STATE } from '../spec/family.ts';
import { elementwise } from './elementwise.ts';
import { agreementMask, meanFactor } from './family/cautious.ts';
import { nextAlignment, ownMoment } from './family/magma.ts';
import { maskedUpdate } from './family/maskedUpdate.ts';
import { resolveMask } from './family/resolveMask.ts';
import type { Mask, MaskRequest } from './family/resolveMask.ts';
import { inverseFactor } from './family/skipUpdate.ts';
import { tensorMask } from './family/tensorMask.ts';
import { learningRateDropout } from './learningRateDropout.ts';
import type { Algorithm1Input, Algorithm1Output } from './learningRateDropout.ts';
import { streamMask } from './masks.ts';
import { BASE_RULES } from './rules/index.ts';
import type { BaseRule, Direction, Slots } from './rules/rule.ts';
import { parseSeed } from './seed.ts';
import type { SeedLike } from './seed.ts';
import { layout } from './stream.ts';
import { sizeOf } from './transformation.ts';
import type { Stage, Gradient, GradientTransformation, TransformationState, UpdateMask } from './transformation.ts';
import { checkNumber, checkRule, resolveHyper } from './validate.ts';
import type { HyperValue } from './validate.ts';

/** A value that holds for all steps, or a function of the optimizer's step (counted from 1). */
export type Scheduled<T> = T | ((step: number) => T);

/** Hyper-parameters by name, each one value or one a step. */
export type ScheduledHyper = Readonly<Record<string, Scheduled<HyperValue>>>;

/** A tensor to optimize. The last three settings are a parameter group's: they win over the optimizer's own. */
export interface Parameter {
  /** Used in errors alone. */
  readonly name: string;
  /** Its extents; the product is the number of values. */
  readonly shape: readonly number[];
  /** Flat, row-major. */
  readonly values: ArrayLike<number>;
  /** True: never masked, whatever the keep probability. */
  readonly excluded?: boolean;
  /** Settings of this parameter. */
  readonly hyper?: ScheduledHyper;
  /** p of this parameter. */
  readonly keepProbability?: Scheduled<number>;
}

/** Where masks come from: the stream of `spec/stream.ts`, or the caller. */
export type Masks =
  | { readonly kind: 'stream'; readonly seed: SeedLike }
  | {
      readonly kind: 'given';
      /** 1 keeps, 0 drops; called for every tensor that has a gradient and is not excluded. */
      readonly mask: (step: number, tensor: number) => ArrayLike<number>;
    };

/** What `createOptimizer` makes an optimizer of. */
export interface OptimizerOptions {
  /** The base rule, by its name in `spec/rules.ts`. */
  readonly rule: RuleName;
  /** The rule's hyper-parameters by the names in `spec/rules.ts`; those left out take their defaults. */
  readonly hyper?: ScheduledHyper;
  /** p, in [2^-16, 1]; null: the base rule without learning rate dropout. Default .5, the paper's. */
  readonly keepProbability?: Scheduled<number> | null;
  /** Another cell of the family than LRD's, by kind and options: `{ kind: 'magma', temperature: 2 }`. Default `{ kind: 'lrd' }`. */
  readonly mask?: MaskRequest;
  /** Needed as soon as some parameter can be dropped: the reference has no hidden randomness. */
  readonly masks?: Masks;
  /** Applied in the order of their stages, and of this list within a stage. */
  readonly transformations?: readonly GradientTransformation[];
  /** Masks beside learning rate dropout's own: a coordinate moves where all of them keep it. */
  readonly updateMasks?: readonly UpdateMask[];
}

/** Values for one call of `step` in place of the optimizer's own. A parameter group's still win. */
export interface Overrides {
  /** Hyper-parameters of this step alone. */
  readonly hyper?: Readonly<Record<string, HyperValue>>;
  /** One for all tensors, or one for each. */
  readonly keepProbability?: number | readonly number[];
}

/** One tensor between two steps. */
export interface TensorState {
  /** The parameter, flat and row-major. */
  readonly values: Float64Array;
  /** Gradients received: the t of the rule's bias correction, which a step without a gradient does not advance. */
  readonly count: number;
  /** The rule's state by the names in `spec/rules.ts`. */
  readonly slots: Slots;
}

/** Everything that the next step depends on, as a plain record. */
export interface OptimizerState {
  /** Steps done. The next one draws its mask at `step + 1`. */
  readonly step: number;
  /** In list order. */
  readonly tensors: readonly TensorState[];
  /** By transformation name. */
  readonly transformations: Readonly<Record<string, TransformationState>>;
}

/** Where to start other than at the beginning. */
export interface Start {
  /** The first step's number, at least 1. Default 1. */
  readonly firstStep?: number;
  /** State by name, then by tensor, as in `{ m: [[...]], v: [[...]] }`. Without it every tensor starts afresh, with count 0. */
  readonly state?: Readonly<Record<string, readonly ArrayLike<number>[]>>;
  /** Gradients received by each tensor so far. Default with `state` firstStep - 1, without it 0. */
  readonly counts?: readonly number[];
}

/** What happened in a step, by tensor; null for a tensor without a gradient. */
export interface StepReport {
  /** Counted from 1. */
  readonly step: number;
  /** What the moments saw: after every transformation and coupled L2. */
  readonly gradients: readonly Gradient[];
  /** What the learning rate multiplied, decoupled decay included: theta - learningRate deltaW where the mask is 1. */
  readonly deltaW: readonly Gradient[];
  /** 1 kept, 0 dropped; all 1 where nothing can be dropped. */
  readonly masks: readonly (Uint8Array | null)[];
  /** What each tensor's kept step was multiplied by; null for a tensor without a gradient. 1 under LRD. */
  readonly factors: readonly (number | null)[];
  /** By tensor. */
  readonly learningRates: readonly number[];
  /** As asked for; `effectiveKeepProbability` tells what holds. 1 for excluded tensors and without learning rate dropout. */
  readonly keepProbabilities: readonly number[];
}

/** What a step gives. */
export interface StepResult {
  /** To go on from. */
  readonly state: OptimizerState;
  /** What it did: masks, gradients, rates. */
  readonly report: StepReport;
}

/** Algorithm 1's loop over all parameters, as pure functions of state and gradients. */
export interface Optimizer {
  /** The state before the first step, or one to go on from. */
  init(start?: Start): OptimizerState;
  /**
   * @param gradients - by tensor, flat and row-major; null for a tensor without a gradient, which then stands still: its
   *   values, its state and its count
   * @throws RangeError on a wrong hyper-parameter, keep probability, shape or mask
   */
  step(state: OptimizerState, gradients: readonly (ArrayLike<number> | null)[], overrides?: Overrides): StepResult;
}

function at<T>(value: Scheduled<T>, step: number): T {
  return typeof value === 'function' ? (value as (step: number) => T)(step) : value;
}

function hyperAt(hyper: ScheduledHyper, step: number): Record<string, HyperValue> {
  return Object.fromEntries(Object.entries(hyper).map(([name, value]) => [name, at(value, step)]));
}

function checkLength(name: string, got: number, expected: number): void {
  if (got !== expected) throw new RangeError(`${name} must have ${expected} elements, got ${got}`);
}

function checkDistinct(names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new RangeError(`transformations must have distinct names, got ${twice} twice`);
}

/** g + weightDecay theta. No decay is no term: 0 times an infinite value would be NaN. */
function coupledL2(gradient: Gradient, values: Float64Array, weightDecay: number): Gradient {
  if (gradient === null || weightDecay === 0) return gradient;
  return elementwise((g, w) => g + weightDecay * w, gradient, values);
}

const allKept = (size: number): Uint8Array => new Uint8Array(size).fill(1);

/** The rule's own first moment by its slot's name, where it has one. */
function firstMomentOf(rule: RuleName, hyper: Readonly<Record<string, HyperValue>>): string | undefined {
  if (rule === 'sgdm') return hyper['momentum'] === 0 ? undefined : 'buf';
  return rule === 'sgdm-avg' || rule === 'rmsprop' ? undefined : 'm';
}

/** Line 10 of Algorithm 1 from the caller's mask, checked. */
function givenMask(mask: ArrayLike<number>, name: string, size: number): Uint8Array {
  checkLength(`the mask of ${name}`, mask.length, size);
  for (let i = 0; i < size; i++) {
    if (mask[i] !== 0 && mask[i] !== 1) {
      throw new RangeError(`the mask of ${name} must hold only 0 and 1, got ${String(mask[i])} at ${i}`);
    }
  }
  return Uint8Array.from(mask);
}

interface FamilyInput extends Omit<Algorithm1Input, 'mask'> {
  /** Gradients that the tensor has had, this one included. */
  readonly count: number;
  /** The slot of the rule's own first moment, where it has one. */
  readonly moment: string | undefined;
}

/** One tensor's step in another cell of the family than LRD's: direction from dense moments, then draw, factor and masked update. */
function stepFamily(
  mask: Mask,
  input: FamilyInput,
  keepProbability: number,
  restrict: (bits: Uint8Array) => Uint8Array,
  draw: () => Uint8Array,
): Algorithm1Output & { readonly factor: number } {
  const { values, gradient, learningRate, decoupledDecay } = input;
  const { deltaW, slots } = input.direction(gradient, input.slots);
  const bits = mask.draw === 'agreement' ? agreementMask(deltaW, gradient) : draw();
  let factor = 1;
  let next = slots;
  if (mask.factor === 'inverse') factor = inverseFactor(keepProbability);
  if (mask.factor === 'mean') factor = meanFactor(bits, mask);
  if (mask.factor === 'alignment') {
    const moment = mask.moment === 'own' ? undefined : input.moment;
    if (moment === undefined) {
      next = { ...next, [MASK_STATE.moment]: ownMoment(input.slots[MASK_STATE.moment], gradient, mask.momentDecay) };
    }
    const m = (mask.momentTime === 'after' ? next : input.slots)[moment ?? MASK_STATE.moment];
    const previous = input.count === 1 ? undefined : input.slots[MASK_STATE.alignment]?.[0];
    factor = nextAlignment(previous, m ?? new Float64Array(gradient.length), gradient, mask);
    next = { ...next, [MASK_STATE.alignment]: Float64Array.of(factor) };
  }
  const kept = restrict(bits);
  return {
    values: maskedUpdate({ values, deltaW, mask: kept, factor, learningRate, decoupledDecay, decay: mask.decay }),
    slots: next,
    deltaW: decoupledDecay === 0 ? deltaW : elementwise((d, w) => d + decoupledDecay * w, deltaW, values),
    mask: kept,
    factor,
  };
}

/**
 * An optimizer with learning rate dropout, as a pair of pure functions over plain records.
 *
 * Order within a step: gradient, clipping, gradient noise and its kin, plus coupled L2, centralization, moments, mask, step.
 *
 * @example
 * const parameters = [{ name: 'w', shape: [2], values: [1, 2] }];
 * const optimizer = createOptimizer(parameters, { rule: 'adam', masks: { kind: 'stream', seed: 7 } });
 * const { state, report } = optimizer.step(optimizer.init(), [[0.1, -0.2]]);
 */
export function createOptimizer(parameters: readonly Parameter[], options: OptimizerOptions): Optimizer {
  checkRule(options.rule);
  const { rule, masks } = options;
  const sizes = parameters.map(({ name, shape, values }) => {
    const size = sizeOf(shape);
    checkLength(`the values of ${name}`, values.length, size);
    return size;
  });
  const bases = layout(sizes);
  const key = masks?.kind === 'stream' ? parseSeed(masks.seed) : undefined;
  const family = resolveMask(options.mask ?? { kind: 'lrd' });
  if (family.draw === 'agreement') {
    const given = [options.keepProbability, ...parameters.map((parameter) => parameter.keepProbability)].find(
      (p) => p !== undefined && p !== null,
    );
    if (given !== undefined) {
      throw new RangeError(`keepProbability must be left out with mask.kind ${family.kind}, got ${String(given)}`);
    }
    if (masks?.kind === 'given') {
      throw new RangeError(`masks must not be given with mask.kind ${family.kind}: the signs decide`);
    }
  }
  const { transformations = [], updateMasks = [] } = options;
  const inStage = (stage: Stage): readonly GradientTransformation[] => transformations.filter((t) => t.stage === stage);
  checkDistinct([...transformations, ...updateMasks].map(({ name }) => name));
  const context = {
    shapes: parameters.map(({ shape }) => shape),
    bases,
  };
  // A wrong setting is an error here rather than at the first step.
  for (const { hyper } of parameters) resolveHyper(rule, hyperAt({ ...options.hyper, ...hyper }, 1));
  resolveHyper(rule, hyperAt(options.hyper ?? {}, 1));

  const keepProbabilityAt = (parameter: Parameter, step: number, override: number | undefined): number => {
    const own = parameter.keepProbability;
    const preset = family.draw === 'agreement' ? 1 : KEEP_PROBABILITY.default;
    const shared = options.keepProbability === undefined ? preset : options.keepProbability;
    let p = 1;
    if (own !== undefined) p = at(own, step);
    else if (override !== undefined) p = override;
    else if (shared !== null) p = at(shared, step);
    checkNumber('keepProbability', KEEP_PROBABILITY, p);
    return parameter.excluded === true || options.keepProbability === null ? 1 : p;
  };

  const draw = (step: number, k: number, p: number): Uint8Array => {
    const { name, excluded } = parameters[k] as Parameter;
    const size = sizes[k] as number;
    if (excluded === true || options.keepProbability === null) return allKept(size);
    if (masks?.kind === 'given') {
      const bits = givenMask(masks.mask(step, k), name, size);
      if (family.granularity === 'tensor' && bits.some((bit) => bit !== bits[0])) {
        throw new RangeError(`the mask of ${name} must be all 0 or all 1 with granularity tensor, got both`);
      }
      return bits;
    }
    if (key === undefined) {
      if (p === 1) return allKept(size);
      throw new RangeError(
        `masks must be a stream or given where keepProbability is below 1, got none with keepProbability ${p}`,
      );
    }
    const base = bases[k] as number;
    if (family.granularity === 'tensor') return new Uint8Array(size).fill(tensorMask({ key, step, base }, p));
    return streamMask({ key, step, stream: 'mask', base }, size, p);
  };

  return {
    init({ firstStep = 1, state, counts } = {}) {
      if (!Number.isInteger(firstStep) || firstStep < 1 || firstStep >= 2 ** 32) {
        throw new RangeError(`firstStep must be a whole number in [1, 2^32), got ${firstStep}`);
      }
      const names: readonly string[] = [
        ...RULES[rule].state,
        ...(family.factor === 'alignment' ? Object.values(MASK_STATE) : []),
      ];
      for (const name of Object.keys(state ?? {})) {
        if (!names.includes(name)) throw new RangeError(`state must have only ${names.join(', ')}, got ${name}`);
      }
      return {
        step: firstStep - 1,
        tensors: parameters.map(({ values, name }, k) => ({
          values: Float64Array.from(values),
          count: counts?.[k] ?? (state === undefined ? 0 : firstStep - 1),
          slots: Object.fromEntries(
            Object.entries(state ?? {}).map(([slot, tensors]) => {
              const given = tensors[k];
              if (given === undefined) throw new RangeError(`state.${slot} must have an entry for ${name}, got none`);
              const size = slot === MASK_STATE.alignment ? 1 : (sizes[k] as number);
              if (slot !== 'ring') checkLength(`state.${slot} of ${name}`, given.length, size);
              return [slot, Float64Array.from(given)];
            }),
          ),
        })),
        transformations: Object.fromEntries([...transformations, ...updateMasks].map((t) => [t.name, t.init()])),
      };
    },

    step(state, given, overrides = {}) {
      const step = state.step + 1;
      checkLength('gradients', given.length, parameters.length);
      const memory: Record<string, TransformationState> = { ...state.transformations };
      const transform = (
        list: readonly GradientTransformation[],
        gradients: readonly Gradient[],
      ): readonly Gradient[] =>
        list.reduce((current, transformation) => {
          const result = transformation.apply(current, memory[transformation.name] ?? {}, { ...context, step });
          memory[transformation.name] = result.state;
          return result.gradients;
        }, gradients);

      const hyper = parameters.map((parameter) =>
        resolveHyper(rule, {
          ...hyperAt(options.hyper ?? {}, step),
          ...overrides.hyper,
          ...hyperAt(parameter.hyper ?? {}, step),
        }),
      );
      const raw = given.map((gradient, k): Gradient => {
        if (gradient === null) return null;
        checkLength(`the gradient of ${(parameters[k] as Parameter).name}`, gradient.length, sizes[k] as number);
        return Float64Array.from(gradient);
      });
      const noisy = transform(inStage('noise'), transform(inStage('clip'), raw));
      const regularized = noisy.map((gradient, k) =>
        RULES[rule].decay === 'decoupled'
          ? gradient
          : coupledL2(gradient, (state.tensors[k] as TensorState).values, hyper[k]?.['weightDecay'] as number),
      );
      const gradients = transform(inStage('centralize'), regularized);

      const keepProbabilities = parameters.map((parameter, k) =>
        keepProbabilityAt(
          parameter,
          step,
          typeof overrides.keepProbability === 'object' ? overrides.keepProbability[k] : overrides.keepProbability,
        ),
      );
      const updateDraws = updateMasks.map((updateMask) => {
        const result = updateMask.draw(memory[updateMask.name] ?? {}, { ...context, step });
        memory[updateMask.name] = result.state;
        return result.mask;
      });
      const deltaW: Gradient[] = [];
      const drawn: (Uint8Array | null)[] = [];
      const factors: (number | null)[] = [];
      const tensors = state.tensors.map((tensor, k): TensorState => {
        const gradient = gradients[k] as Gradient;
        if (gradient === null) {
          deltaW.push(null);
          drawn.push(null);
          factors.push(null);
          return tensor;
        }
        const resolved = hyper[k] as { learningRate: number; weightDecay: number };
        const count = tensor.count + 1;
        const { excluded } = parameters[k] as Parameter;
        const direction = (g: Float64Array, slots: Slots): Direction =>
          (BASE_RULES[rule] as BaseRule<RuleName>)(g, slots, count, resolved);
        const input = {
          values: tensor.values,
          gradient,
          slots: tensor.slots,
          learningRate: resolved.learningRate,
          direction,
          decoupledDecay: RULES[rule].decay === 'decoupled' ? resolved.weightDecay : 0,
        };
        const p = keepProbabilities[k] as number;
        const others = excluded === true ? [] : updateDraws.map((mask) => mask(k));
        const withOthers = (bits: Uint8Array): Uint8Array =>
          bits.map((bit, i) => (others.every((other) => other[i] === 1) ? bit : 0));
        const plain = excluded === true || options.keepProbability === null;
        const output =
          plain || (family.draw === 'bernoulli' && family.factor === 'one' && family.decay === 'scaled')
            ? { ...learningRateDropout({ ...input, mask: withOthers(draw(step, k, p)) }), factor: 1 }
            : stepFamily(family, { ...input, count, moment: firstMomentOf(rule, resolved) }, p, withOthers, () =>
                draw(step, k, p),
              );
        deltaW.push(output.deltaW);
        drawn.push(output.mask);
        factors.push(output.factor);
        return { values: output.values, count, slots: output.slots };
      });
      return {
        state: { step, tensors, transformations: memory },
        report: {
          step,
          gradients,
          deltaW,
          masks: drawn,
          factors,
          learningRates: hyper.map((h) => h['learningRate'] as number),
          keepProbabilities,
        },
      };
    },
  };
}
