import type { RuleName } from '../../spec/rules.ts';
import { LAYOUT, THRESHOLD } from '../../spec/stream.ts';
import type { MaskRequest } from '../masks/resolve.ts';
import type { Key } from '../philox.ts';
import type { HyperValues } from '../validate.ts';
import { InvalidArgumentError, UnsupportedError, checkKeepProbability, resolveHyper } from '../validate.ts';
import type { Family, Kernel, ScalarName, Scalars, StepPlan, TensorPlan } from './engine.ts';
import { KEEP_ALL, KEEP_NONE, SCALARS } from './engine.ts';

/** What a tensor's settings make of its step, wherever it lies. */
export type Settings = Omit<TensorPlan, 'base' | 'size'>;

/** A kind of mask beside learning rate dropout's own, from `resolveMask`. */
export interface Mask {
  /** As it was asked for. */
  readonly request: MaskRequest;
  /** Whether signs decide what is kept, and nothing is drawn: there is no keep probability. */
  readonly agreement: boolean;
  /** Whether it is learning rate dropout itself. */
  readonly plainLrd: boolean;
  /** The state that it adds to a rule's. */
  stateNames(rule: RuleName, hyper: HyperValues): readonly string[];
  /** Turns learning rate dropout's settings into its own. @param count - as in `TensorRequest` */
  apply(settings: Settings, count: number): Settings;
  /** Whether a whole tensor is kept; undefined where elements are drawn one by one. */
  readonly keeps: ((key: Key, step: number, base: number, threshold: number) => boolean) | undefined;
}

/** One tensor as the planner sees it. */
export interface TensorRequest {
  /** Global index of the first element: `layOut(sizes)[i]`. */
  readonly base: number;
  /** Elements. May be 0. */
  readonly size: number;
  /** The tensor's own step count, from 1: how many gradients it has had, this one included. 0: no gradient, it stands still. */
  readonly count: number;
  /** The rule's hyper-parameters for this tensor at this step; what is left out has its default. */
  readonly hyper: HyperValues;
  /** In [2^-16, 1]; 1 for an excluded tensor. */
  readonly keepProbability: number;
  /** Another kind of mask than LRD's, from `resolveMask`; left out for an excluded tensor, which takes the base rule's step. */
  readonly mask?: Mask | undefined;
}

/** What `planStep` makes a step of. */
export interface StepRequest {
  /** The base rule, by its name in `spec/rules.ts`. */
  readonly rule: RuleName;
  /** The seed as (low, high) words. */
  readonly key: Key;
  /** The optimizer's step, from 1: the mask's counter word. */
  readonly step: number;
  /** In list order, that of the mask stream's layout. */
  readonly tensors: readonly TensorRequest[];
}

/** T: an element is kept iff its 16-bit draw is below. p = 1 gives 65536, for which nothing is drawn. */
export function thresholdOf(keepProbability: number): number {
  return Math.max(THRESHOLD.minimum, Math.floor(keepProbability * THRESHOLD.scale + 0.5));
}

const PLAIN = {
  coupled: false,
  decoupled: false,
  nesterov: false,
  centered: false,
  inside: false,
  buffered: false,
  agreement: false,
  plain: false,
} as const satisfies Omit<Kernel, 'family'>;

const ZERO: Scalars = Object.fromEntries(SCALARS.map((name) => [name, 0])) as Record<ScalarName, number>;

interface Folded {
  readonly kernel: Kernel;
  readonly scalars: Scalars;
}

const number = (hyper: HyperValues, name: string): number => hyper[name] as number;

function foldSgdm(hyper: HyperValues, count: number): Folded {
  const momentum = number(hyper, 'momentum');
  const rate = number(hyper, 'learningRate');
  if (momentum === 0) return { kernel: { family: 'gradient', ...PLAIN }, scalars: { ...ZERO, rate } };
  // The first gradient enters the buffer whole, without dampening (torch/optim/sgd.py).
  const first = count === 1;
  return {
    kernel: { family: 'momentum', ...PLAIN, nesterov: hyper['nesterov'] === true },
    scalars: {
      ...ZERO,
      rate,
      firstKeep: first ? 0 : momentum,
      firstAdd: first ? 1 : 1 - number(hyper, 'dampening'),
      momentum,
    },
  };
}

function foldRmsprop(hyper: HyperValues): Folded {
  const rho = number(hyper, 'rho');
  const momentum = number(hyper, 'momentum');
  return {
    kernel: {
      family: 'rmsprop',
      ...PLAIN,
      centered: hyper['centered'] === true,
      inside: hyper['epsilonPlacement'] === 'inside',
      buffered: momentum > 0,
    },
    scalars: {
      ...ZERO,
      rate: number(hyper, 'learningRate'),
      firstKeep: rho,
      firstAdd: 1 - rho,
      secondKeep: rho,
      secondAdd: 1 - rho,
      momentum,
      epsilon: number(hyper, 'epsilon'),
    },
  };
}

/**
 * The Adam family. Every variant's direction times the learning rate is rate * m / (sqrt(x) + epsilon'), x = v or vmax:
 * the corrections of the moments move into rate and epsilon', so that a kernel multiplies once.
 */
function foldAdam(rule: 'adam' | 'adamw' | 'amsgrad' | 'radam', hyper: HyperValues, count: number): Folded {
  const learningRate = number(hyper, 'learningRate');
  const beta1 = number(hyper, 'beta1');
  const beta2 = number(hyper, 'beta2');
  const epsilon = number(hyper, 'epsilon');
  const correction1 = 1 - beta1 ** count;
  const correction2 = 1 - beta2 ** count;
  const moments = { ...ZERO, firstKeep: beta1, firstAdd: 1 - beta1, secondKeep: beta2, secondAdd: 1 - beta2 };
  const folded = (family: Family, rate: number, scaledEpsilon: number, maxScale = 1): Folded => ({
    kernel: { family, ...PLAIN },
    scalars: { ...moments, rate, epsilon: scaledEpsilon, maxScale },
  });
  const root2 = Math.sqrt(correction2);
  // alpha * mhat / (sqrt(vhat) + epsilon), both sides of the fraction times sqrt(1 - beta2^t).
  const corrected = [(learningRate * root2) / correction1, epsilon * root2] as const;
  switch (rule) {
    case 'adam':
    case 'adamw':
      return hyper['epsilonMode'] === 'hat' ? folded('adam', corrected[0], epsilon) : folded('adam', ...corrected);
    case 'amsgrad':
      if (hyper['maxOf'] === 'corrected') {
        const beside = hyper['epsilonMode'] === 'hat' ? epsilon / root2 : epsilon;
        return folded('amsgrad', learningRate / correction1, beside, 1 / correction2);
      }
      if (hyper['maxOf'] === 'uncorrected') return folded('amsgrad', learningRate, epsilon);
      return hyper['epsilonMode'] === 'hat'
        ? folded('amsgrad', corrected[0], epsilon)
        : folded('amsgrad', ...corrected);
    case 'radam': {
      const limit = 2 / (1 - beta2) - 1;
      const length = limit - (2 * count * beta2 ** count) / correction2;
      const variant = hyper['variant'];
      const rectified = variant === 'paper' ? length > 4 : variant === 'original' ? length >= 5 : length > 5;
      if (!rectified) return folded('first-moment', learningRate / correction1, epsilon);
      const rectifier = Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length));
      return variant === 'paper'
        ? folded('adam', rectifier * corrected[0], corrected[1])
        : folded('adam', rectifier * corrected[0], epsilon);
    }
  }
}

function fold(rule: RuleName, hyper: HyperValues, count: number): Folded {
  switch (rule) {
    case 'sgdm':
      return foldSgdm(hyper, count);
    case 'rmsprop':
      return foldRmsprop(hyper);
    case 'adam':
    case 'adamw':
    case 'amsgrad':
    case 'radam':
      return foldAdam(rule, hyper, count);
    case 'sgdm-avg':
      throw new UnsupportedError(
        'the fused engines do not run sgdm-avg: its ring of gradients has no place in one pass',
      );
  }
}

/** Largest and smallest normal float32. */
export const FLOAT32_MAX = 3.4028234663852886e38;
export const FLOAT32_TINY = 2 ** -126;

function toFloat32(rule: RuleName, scalars: Scalars): Scalars {
  for (const name of SCALARS) {
    if (Math.abs(scalars[name]) > FLOAT32_MAX) {
      throw new InvalidArgumentError(
        `${rule}: the hyper-parameters give a factor "${name}" that must be within float32, got ${scalars[name]}`,
      );
    }
  }
  // An epsilon that float32 (or a GPU that flushes subnormals) would turn into 0 must still keep 0 / 0 away.
  return scalars.epsilon > 0 && scalars.epsilon < FLOAT32_TINY ? { ...scalars, epsilon: FLOAT32_TINY } : scalars;
}

function planTensor(rule: RuleName, request: TensorRequest): Settings {
  const { mask, count } = request;
  const threshold = thresholdOf(checkKeepProbability(request.keepProbability));
  const hyper = resolveHyper(rule, request.hyper);
  const { kernel, scalars } = fold(rule, hyper, count);
  const weightDecay = number(hyper, 'weightDecay');
  const decoupled = rule === 'adamw';
  const own: Settings = {
    kernel: { ...kernel, coupled: weightDecay > 0 && !decoupled, decoupled: weightDecay > 0 && decoupled },
    scalars: {
      ...scalars,
      decay: decoupled ? 0 : weightDecay,
      shrink: decoupled ? number(hyper, 'learningRate') * weightDecay : 0,
    },
    threshold,
    measure: null,
  };
  const settings = mask === undefined ? own : mask.apply(own, count);
  return { ...settings, scalars: toFloat32(rule, settings.scalars) };
}

function checkWhole(name: string, value: number, minimum: number, maximum: number): void {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new InvalidArgumentError(`${name} must be a whole number in [${minimum}, ${maximum}], got ${value}`);
  }
}

/**
 * Everything about a step that the host computes, in float64: kernels, bias corrections, RAdam's rectifier, thresholds.
 * Tensors that share `hyper` and `mask` (the same objects), count and keep probability share one set of scalars (the same object).
 * Throws `InvalidArgumentError` on a value outside its range, `UnsupportedError` on `sgdm-avg`.
 */
export function planStep(request: StepRequest): StepPlan {
  const { rule, key, step } = request;
  checkWhole('step', step, 1, 2 ** 32 - 1);
  const seen = new Map<HyperValues, Map<Mask | undefined, Map<string, Settings>>>();
  let last: { hyper: HyperValues; mask: Mask | undefined; count: number; keep: number; plan: Settings } | undefined;
  const tensors = request.tensors.map((tensor): TensorPlan | null => {
    const { base, size, count, hyper, keepProbability, mask } = tensor;
    checkWhole('count', count, 0, Number.MAX_SAFE_INTEGER);
    if (count === 0) return null;
    checkWhole('size', size, 0, 2 ** 35);
    checkWhole('base', base, 0, 2 ** 35 - size);
    if (base % LAYOUT.tensorAlignment !== 0) {
      throw new InvalidArgumentError(`base must be a multiple of ${LAYOUT.tensorAlignment}, got ${base}`);
    }
    // Neighbours mostly share all of them, and a number is slow to write as text.
    const same =
      last !== undefined &&
      last.hyper === hyper &&
      last.mask === mask &&
      last.count === count &&
      last.keep === keepProbability;
    let plan = same ? last?.plan : undefined;
    if (plan === undefined) {
      let masks = seen.get(hyper);
      if (masks === undefined) seen.set(hyper, (masks = new Map()));
      let plans = masks.get(mask);
      if (plans === undefined) masks.set(mask, (plans = new Map()));
      const id = `${count} ${keepProbability}`;
      plan = plans.get(id);
      if (plan === undefined) plans.set(id, (plan = planTensor(rule, tensor)));
      last = { hyper, mask, count, keep: keepProbability, plan };
    }
    const { kernel, scalars, measure } = plan;
    let { threshold } = plan;
    if (mask?.keeps !== undefined) threshold = mask.keeps(key, step, base, threshold) ? KEEP_ALL : KEEP_NONE;
    return { kernel, scalars, threshold, measure, base, size };
  });
  return { key, step, tensors };
}
