/**
 * Known mistakes with a number left open: whole families of wrong implementations, of which a fit (`fit.ts`) picks the one whose number
 * explains what came. A family is an executable model, as the planted faults are; nothing in it is fitted to any of them.
 */
import { STREAMS } from 'learning-rate-dropout/spec';
import type { StreamName } from 'learning-rate-dropout/spec';
import { HONEST, direction } from '../planted/implementation.ts';
import type { Behaviour, Place, Slots, TensorStep } from '../planted/implementation.ts';
import type { Hyper } from '../protocol/expand.ts';
import { aligned, always, defaults, keyOf, ofDropped, stepOf } from './variants.ts';

/** A mistake whose number is any real one. */
export interface RealFamily {
  /** A name of `mistakes.ts`. */
  readonly mistake: string;
  /** What is wrong, in words with the number in them. */
  readonly words: (c: string) => string;
  readonly changes: (c: number) => Partial<Behaviour>;
  /** Where a solution is looked for: between neighbours, and beyond both ends where the answer is linear in the number. */
  readonly grid: readonly number[];
}

/** One member of a family whose numbers can be counted. */
export interface Member {
  readonly mistake: string;
  readonly words: string;
  readonly changes: Partial<Behaviour>;
}

const n = (hyper: Hyper, name: string): number => hyper[name] as number;
const rate = (hyper: Hyper): number => n(hyper, 'learningRate');
const isAdam = (rule: string): boolean => ['adam', 'adamw', 'amsgrad', 'radam'].includes(rule);

/** Factors: 1 is no mistake. */
const FACTORS = [-10, -3, -2, -1, -0.5, -0.1, 0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.1, 1.5, 2, 3, 10];
/** Exponents: what is honest is among them where it is no mistake. */
const EXPONENTS = [-4, -3, -2, -1.5, -1, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4];
/** Positive numbers of any size. */
const DECADES = Array.from({ length: 21 }, (_, i) => 10 ** (i - 17));
/** Numbers between 0 and 1. */
const SHARES = [0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 0.999, 1];

const FIRST = ['m', 'buf'] as const;
const SECOND = ['v', 'vmax'] as const;

const real = (
  mistake: string,
  words: (c: string) => string,
  grid: readonly number[],
  changes: (c: number) => Partial<Behaviour>,
): RealFamily => ({ mistake, words, grid, changes });

/** Some slots of all coordinates, changed. */
const ofAll =
  (names: readonly string[], change: (x: number, place: Place) => number): Behaviour['state'] =>
  (_before, after, _keep, place) =>
    Object.fromEntries(Object.entries(after).map(([name, x]) => [name, names.includes(name) ? change(x, place) : x]));

/** Adam's step with its bias corrections raised to powers. */
const correctedBy = (a: number, b: number): Behaviour['direction'] =>
  stepOf(({ delta, slots }, { rule, hyper }, _theta, t) => {
    if (!isAdam(rule)) return delta;
    const [c1, c2] = [1 - n(hyper, 'beta1') ** t, 1 - n(hyper, 'beta2') ** t];
    const first = delta * c1 ** (1 - a);
    if (b === 1) return first;
    if (rule === 'radam') return first * c2 ** ((b - 1) / 2);
    const second = slots[rule === 'amsgrad' ? 'vmax' : 'v'] ?? 0;
    return (slots['m'] ?? 0) / c1 ** a / (Math.sqrt(second / c2 ** b) + n(hyper, 'epsilon'));
  });

/** Adam's and RMSprop's step with another denominator. */
const dividedBy = (denominator: (v: number, epsilon: number, c2: number) => number): Behaviour['direction'] =>
  stepOf(({ delta, slots }, { rule, hyper }, _theta, t, g) => {
    const epsilon = n(hyper, 'epsilon');
    if (rule === 'adam' || rule === 'adamw' || rule === 'amsgrad') {
      const [c1, c2] = [1 - n(hyper, 'beta1') ** t, 1 - n(hyper, 'beta2') ** t];
      const second = slots[rule === 'amsgrad' ? 'vmax' : 'v'] ?? 0;
      return (slots['m'] ?? 0) / c1 / denominator(second, epsilon, c2);
    }
    if (rule !== 'rmsprop' || n(hyper, 'momentum') > 0) return delta;
    const v = slots['v'] ?? 0;
    const gavg = slots['gavg'] ?? 0;
    return g / denominator(hyper['centered'] === true ? Math.max(v - gavg * gavg, 0) : v, epsilon, 1);
  });

/** SGD's step with other weights of gradient and buffer. */
const blended = (
  nesterov: boolean,
  delta: (g: number, buf: number, momentum: number) => number,
): Behaviour['direction'] =>
  stepOf((result, { rule, hyper }, _theta, _t, g) =>
    rule === 'sgdm' && n(hyper, 'momentum') > 0 && (hyper['nesterov'] === true) === nesterov
      ? delta(g, result.slots['buf'] ?? 0, n(hyper, 'momentum'))
      : result.delta,
  );

/** SGD's gradient damped otherwise. */
const damped =
  (weight: (dampening: number, t: number) => number): Behaviour['direction'] =>
  (g, slots, t, place) => {
    const { rule, hyper } = place;
    const momentum = n(hyper, 'momentum');
    if (rule !== 'sgdm' || momentum === 0) return direction(g, slots, t, place);
    const buf = (t === 1 ? 0 : momentum * (slots['buf'] ?? 0)) + weight(n(hyper, 'dampening'), t) * g;
    return { delta: hyper['nesterov'] === true ? g + momentum * buf : buf, slots: { ...slots, buf } };
  };

const shrunk =
  (factor: (hyper: Hyper) => number, rules: (rule: string) => boolean): Behaviour['update'] =>
  (theta, delta, keep, { hyper, rule }) =>
    keep
      ? theta - rate(hyper) * delta
      : rules(rule) && n(hyper, 'weightDecay') > 0
        ? theta - factor(hyper) * theta
        : theta;

const onlyAdamW = (rule: string): boolean => rule === 'adamw';
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const scaledStep =
  (factor: (place: Place) => number): Behaviour['update'] =>
  (theta, delta, keep, place) =>
    keep ? theta - rate(place.hyper) * (delta * factor(place)) : theta;
const unmasked: Behaviour['update'] = (theta, delta, _keep, { hyper }) => theta - rate(hyper) * delta;

/** Values whose defaults may be others. */
const DEFAULTS: Readonly<Record<string, readonly number[]>> = {
  learningRate: DECADES,
  epsilon: [0, ...DECADES],
  weightDecay: [0, ...DECADES],
  momentum: SHARES,
  dampening: SHARES,
  rho: SHARES,
  beta1: SHARES,
  beta2: SHARES,
};

export const REAL_FAMILIES: readonly RealFamily[] = [
  real(
    'momentum-reset',
    (c) => `the momentum of dropped coordinates is multiplied by ${c}`,
    FACTORS,
    (c) => ({ state: ofDropped(FIRST, (_before, after) => c * after) }),
  ),
  real(
    'momentum-reset',
    (c) => `the momentum of dropped coordinates loses its past: ${c} of it remains beside this step's gradient`,
    FACTORS,
    (c) => ({
      state: ofDropped(
        FIRST,
        (before, after, { hyper }) => after - (1 - c) * (n(hyper, 'beta1') || n(hyper, 'momentum')) * before,
      ),
    }),
  ),
  real(
    'frozen-first-moment',
    (c) => `the momentum of dropped coordinates takes ${c} of its step`,
    FACTORS,
    (c) => ({ state: ofDropped([...FIRST, 'gavg'], (before, after) => before + c * (after - before)) }),
  ),
  real(
    'masked-gradient',
    (c) => `the gradient of dropped coordinates is multiplied by ${c} before the moments`,
    FACTORS,
    (c) => ({ gradient: (g, keep) => (keep ? g : c * g) }),
  ),
  real(
    'masked-gradient',
    (c) => `the gradient of dropped coordinates is multiplied by ${c} before the moments, and the update is not masked`,
    FACTORS,
    (c) => ({ gradient: (g, keep) => (keep ? g : c * g), update: unmasked }),
  ),
  real(
    'masked-gradient',
    (c) => `the gradient is masked before the moments, and multiplied by p^${c}`,
    EXPONENTS,
    (c) => ({ gradient: (g, keep, { p }) => (keep ? g * p ** c : 0) }),
  ),
  real(
    'frozen-second-moment',
    (c) => `the second moment of dropped coordinates is multiplied by ${c}`,
    FACTORS,
    (c) => ({ state: ofDropped(SECOND, (_before, after) => c * after) }),
  ),
  real(
    'frozen-second-moment',
    (c) => `the second moment of dropped coordinates takes ${c} of its step`,
    FACTORS,
    (c) => ({ state: ofDropped(SECOND, (before, after) => before + c * (after - before)) }),
  ),
  real(
    'rescaled',
    (c) => `the step is multiplied by p^${c}`,
    EXPONENTS,
    (c) => ({ update: scaledStep(({ p }) => p ** c) }),
  ),
  real(
    'rescaled',
    (c) => `the step is multiplied by ${c}`,
    FACTORS,
    (c) => ({ update: scaledStep(() => c) }),
  ),
  real(
    'rescaled',
    (c) => `the step is multiplied by (1 - p)^${c}`,
    EXPONENTS,
    (c) => ({ update: scaledStep(({ p }) => (p === 1 ? 1 : (1 - p) ** c)) }),
  ),
  real(
    'rescaled',
    (c) => `the gradient is multiplied by p^${c}`,
    EXPONENTS,
    (c) => ({ gradient: (g, _keep, { p }) => g * p ** c }),
  ),
  real(
    'rescaled',
    (c) => `the gradient is multiplied by ${c}`,
    FACTORS,
    (c) => ({ gradient: (g) => c * g }),
  ),
  real(
    'rescaled',
    (c) => `the momentum is multiplied by p^${c}`,
    EXPONENTS,
    (c) => ({ state: ofAll(FIRST, (x, { p }) => x * p ** c) }),
  ),
  real(
    'decay-on-kept-only',
    (c) => `${c} of the L2 decay enters the gradient of dropped coordinates`,
    FACTORS,
    (c) => ({ coupled: (decay, theta, keep) => (keep ? 1 : c) * decay * theta }),
  ),
  real(
    'decay-lost',
    (c) => `weightDecay is multiplied by ${c}`,
    FACTORS,
    (c) => ({
      coupled: (decay, theta) => c * decay * theta,
      direction: stepOf(({ delta }, { rule, hyper }, theta) =>
        rule === 'adamw' ? delta + (c - 1) * n(hyper, 'weightDecay') * theta : delta,
      ),
    }),
  ),
  real(
    'decay-without-rate',
    (c) => `decoupled decay is multiplied by learningRate^${c}`,
    [0, 0.5, 1.5, 2, 3],
    (c) => ({
      direction: stepOf(({ delta }, { rule, hyper }, theta) =>
        rule === 'adamw' ? delta + n(hyper, 'weightDecay') * theta * (rate(hyper) ** (c - 1) - 1) : delta,
      ),
    }),
  ),
  real(
    'decay-decoupled',
    (c) => `weightDecay shrinks the parameter beside the step, ${c} times, where it should enter the gradient`,
    FACTORS,
    (c) => ({
      coupled: () => 0,
      direction: stepOf(({ delta }, { rule, hyper }, theta) =>
        rule === 'adamw' ? delta : delta + c * n(hyper, 'weightDecay') * theta,
      ),
    }),
  ),
  real(
    'dropped-decay',
    (c) => `dropped coordinates decay ${c} times as much as kept ones`,
    FACTORS,
    (c) => ({ update: shrunk((hyper) => c * rate(hyper) * n(hyper, 'weightDecay'), onlyAdamW) }),
  ),
  real(
    'dropped-decay',
    (c) => `dropped coordinates decay by ${c} learningRate weightDecay, in rules with L2 too`,
    FACTORS,
    (c) => ({
      update: shrunk(
        (hyper) => c * rate(hyper) * n(hyper, 'weightDecay'),
        () => true,
      ),
    }),
  ),
  real(
    'clipped',
    (c) => `gradients are clipped at ${c} without being asked`,
    DECADES,
    (c) => ({ gradient: (g) => Math.max(-c, Math.min(c, g)) }),
  ),
  ...Object.entries(DEFAULTS).map(([name, grid]) =>
    real(
      'another-default',
      (c) => `${name} is ${c} where it is left out`,
      grid,
      (c) => ({ hyper: defaults(name, c) }),
    ),
  ),
  real(
    'no-bias-correction',
    (c) => `bias correction counts t + ${c} in place of t`,
    [-0.9, -0.5, 0.5, 1, 2, 5, 20, 100, 1000],
    (c) => ({ correction: ({ count, rule }) => (isAdam(rule) ? count + c : count) }),
  ),
  real(
    'no-bias-correction',
    (c) => `bias correction counts ${c} t in place of t`,
    [0.1, 0.5, 1.5, 2, 3, 10, 100],
    (c) => ({ correction: ({ count, rule }) => (isAdam(rule) ? count * c : count) }),
  ),
  real(
    'no-bias-correction',
    (c) => `the bias corrections of both moments are raised to the power ${c}`,
    [0, ...EXPONENTS],
    (c) => ({ direction: correctedBy(c, c) }),
  ),
  real(
    'no-bias-correction',
    (c) => `the bias correction of the first moment is raised to the power ${c}`,
    [0, ...EXPONENTS],
    (c) => ({ direction: correctedBy(c, 1) }),
  ),
  real(
    'no-bias-correction',
    (c) => `the bias correction of the second moment is raised to the power ${c}`,
    [0, ...EXPONENTS],
    (c) => ({ direction: correctedBy(1, c) }),
  ),
  real(
    'nesterov-ignored',
    (c) => `with nesterov the step is g + ${c} buf`,
    FACTORS,
    (c) => ({ direction: blended(true, (g, buf) => g + c * buf) }),
  ),
  real(
    'nesterov-ignored',
    (c) => `with nesterov the step is g + momentum^${c} buf`,
    EXPONENTS,
    (c) => ({ direction: blended(true, (g, buf, momentum) => g + momentum ** c * buf) }),
  ),
  real(
    'nesterov-ignored',
    (c) => `with nesterov the step is ${c} g + momentum buf`,
    FACTORS,
    (c) => ({ direction: blended(true, (g, buf, momentum) => c * g + momentum * buf) }),
  ),
  real(
    'nesterov-ignored',
    (c) => `with nesterov the step is buf + ${c} g`,
    FACTORS,
    (c) => ({ direction: blended(true, (g, buf) => buf + c * g) }),
  ),
  real(
    'nesterov-ignored',
    (c) => `with nesterov the step is buf + momentum^${c} g`,
    EXPONENTS,
    (c) => ({ direction: blended(true, (g, buf, momentum) => buf + momentum ** c * g) }),
  ),
  real(
    'nesterov-ignored',
    (c) => `without nesterov the step is buf + ${c} g`,
    FACTORS,
    (c) => ({ direction: blended(false, (g, buf) => buf + c * g) }),
  ),
  real(
    'dampened-first-step',
    (c) => `the first gradient is multiplied by (1 - dampening)^${c}`,
    EXPONENTS,
    (c) => ({ direction: damped((dampening, t) => (1 - dampening) ** (t === 1 ? c : 1)) }),
  ),
  real(
    'dampened-first-step',
    (c) => `the first gradient is multiplied by ${c}`,
    FACTORS,
    (c) => ({ direction: damped((dampening, t) => (t === 1 ? c : 1 - dampening)) }),
  ),
  real(
    'epsilon-inside',
    (c) => `epsilon^${c} stands inside the root, though it belongs beside it`,
    EXPONENTS,
    (c) => ({ direction: dividedBy((v, epsilon, c2) => Math.sqrt(v / c2 + epsilon ** c)) }),
  ),
  real(
    'epsilon-hat',
    (c) => `epsilon stands beside a root that is corrected by the power ${c} of its bias`,
    [0, ...EXPONENTS],
    (c) => ({ direction: dividedBy((v, epsilon, c2) => Math.sqrt(v / c2) + epsilon / c2 ** ((1 - c) / 2)) }),
  ),
  real(
    'alignment-not-smoothed',
    (c) => `the alignment is smoothed by ${c}, whatever smoothing says`,
    SHARES,
    (c) => ({
      alignment: (previous, measured, step) =>
        HONEST.alignment(previous, measured, { ...step, mask: { ...step.mask, smoothing: c } }),
    }),
  ),
  real(
    'another-first-alignment',
    (c) => `an alignment of ${c} stands before the first`,
    [0, 0.25, 0.5, 0.75, 1, 2],
    (c) => ({ alignment: (previous, measured, step) => HONEST.alignment(previous ?? c, measured, step) }),
  ),
  real(
    'alignment-frozen',
    (c) => `the alignment of a dropped tensor takes ${c} of its step`,
    FACTORS,
    (c) => ({
      alignment: (previous, measured, step) => {
        const next = HONEST.alignment(previous, measured, step);
        const frozen = previous !== undefined && !step.keep.some(Boolean);
        return frozen ? { factor: next.factor, stored: previous + c * (next.stored - previous) } : next;
      },
    }),
  ),
  real(
    'alignment-divided-by-p',
    (c) => `Magma's step is multiplied by p^${c} too`,
    EXPONENTS,
    (c) => ({ factor: (factor, { mask, p }) => (mask.factor === 'alignment' ? factor * p ** c : factor) }),
  ),
  real(
    'alignment-unused',
    (c) => `the alignment is raised to the power ${c}`,
    [0, ...EXPONENTS],
    (c) => ({ factor: (factor, { mask }) => (mask.factor === 'alignment' ? factor ** c : factor) }),
  ),
  real(
    'another-sigmoid',
    (c) => `the cosine is divided by temperature^${c}`,
    [0, ...EXPONENTS],
    (c) => ({ measured: (cosine, { temperature }) => sigmoid(cosine / temperature ** c) }),
  ),
  real(
    'another-sigmoid',
    (c) => `the cosine is multiplied by ${c} before it is divided by the temperature`,
    FACTORS,
    (c) => ({ measured: (cosine, { temperature }) => sigmoid((c * cosine) / temperature) }),
  ),
  real(
    'another-cosine',
    (c) => `the inner product is divided by the power ${c} of the norms`,
    [0, ...EXPONENTS],
    (c) => ({
      cosine: (m, g, mask) => HONEST.cosine(m, g, mask) * (Math.hypot(...m) * Math.hypot(...g)) ** (1 - c),
    }),
  ),
  real(
    'moment-undamped',
    (c) => `the mask's own moment adds (1 - momentDecay)^${c} g`,
    [0, ...EXPONENTS],
    (c) => ({ moment: (mu, g, { momentDecay }) => momentDecay * mu + (1 - momentDecay) ** c * g }),
  ),
  real(
    'another-inverse',
    (c) => `a kept step is multiplied by 1/p^${c}`,
    [0, ...EXPONENTS],
    (c) => ({ inverse: (p) => HONEST.inverse(p) ** c }),
  ),
  real(
    'another-inverse',
    (c) => `a kept step is multiplied by ${c}/p`,
    FACTORS,
    (c) => ({ inverse: (p) => c * HONEST.inverse(p) }),
  ),
  real(
    'another-inverse',
    (c) => `a kept step is multiplied by (1 - p)^${c}`,
    EXPONENTS,
    (c) => ({ inverse: (p) => (1 - p) ** c }),
  ),
  real(
    'another-mean',
    (c) => `what is kept is multiplied by the power ${c} of size / kept`,
    [0, ...EXPONENTS],
    (c) => ({ mean: (keep, mask) => HONEST.mean(keep, mask) ** c }),
  ),
  real(
    'another-mean',
    (c) => `what is kept is multiplied by ${c} size / kept`,
    FACTORS,
    (c) => ({ mean: (keep, mask) => c * HONEST.mean(keep, mask) }),
  ),
  real(
    'another-mean',
    (c) => `the mean of the mask is (kept + ${c}) / size`,
    [-1, -0.5, 0.5, 1, 2, 3],
    (c) => ({
      mean: (keep, mask) => {
        const kept = keep.filter(Boolean).length + c;
        return mask.normalization === 'count'
          ? HONEST.mean(keep, mask)
          : 1 / Math.max(kept / keep.length, mask.meanFloor);
      },
    }),
  ),
  real(
    'another-mean',
    (c) => `the mean of the mask is kept / (size + ${c})`,
    [-1, -0.5, 0.5, 1, 2, 3],
    (c) => ({
      mean: (keep, mask) => {
        const kept = keep.filter(Boolean).length;
        return mask.normalization === 'count'
          ? HONEST.mean(keep, mask)
          : 1 / Math.max(kept / (keep.length + c), mask.meanFloor);
      },
    }),
  ),
  real(
    'mean-without-floor',
    (c) => `the mean of the mask has the floor ${c}`,
    DECADES,
    (c) => ({ mean: (keep, mask) => HONEST.mean(keep, { ...mask, meanFloor: c }) }),
  ),
  real(
    'state-forgotten',
    (c) => `a resumed run starts with ${c} times its state`,
    FACTORS,
    (c) => ({
      restored: (state) =>
        state === undefined
          ? state
          : Object.fromEntries(
              Object.entries(state).map(([name, tensors]) => [name, tensors.map((list) => list.map((x) => c * x))]),
            ),
    }),
  ),
  real(
    'absent-means-zero',
    (c) => `the moments of a tensor without a gradient are multiplied by ${c}`,
    FACTORS,
    (c) => ({
      still: (theta, slots) => ({
        theta,
        slots: Object.fromEntries(Object.entries(slots).map(([name, x]) => [name, c * x])),
        counts: false,
      }),
    }),
  ),
];

const members = (
  mistake: string,
  ...list: readonly (readonly [words: string, changes: Partial<Behaviour>])[]
): Member[] => list.map(([words, changes]) => ({ mistake, words, changes }));

const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Whole numbers by distance from 0, without 0. */
const around = (most: number): number[] => upTo(most).flatMap((i) => [i, -i]);

/** x with `bits` binary digits, rounded to the nearest. */
function roundedTo(bits: number, x: number): number {
  if (bits === 24) return Math.fround(x);
  if (!Number.isFinite(x) || x === 0) return x;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) + 1 - bits);
  const scaled = x / unit;
  const down = Math.floor(scaled);
  const rest = scaled - down;
  const up = rest > 0.5 || (rest === 0.5 && down % 2 !== 0);
  return (down + Number(up)) * unit;
}

/** The names of the rules' slots under which a first moment is found. */
const momentOf = (slots: Slots, u: number): number => slots['m'] ?? slots['buf'] ?? slots['gavg'] ?? u;

/** Every number of an element that may be taken for another. */
const OPERANDS: readonly (readonly [
  string,
  (u: number, g: number, step: Omit<TensorStep, 'keep'>, i: number) => number,
])[] = [
  ['the step', (u) => u],
  ['the gradient that the moments see', (_u, g) => g],
  ['the gradient as it came', (_u, _g, { raw }, i) => raw[i] ?? 0],
  ['the first moment', (u, _g, { after }, i) => momentOf(after[i] ?? {}, u)],
  ['the first moment of the step before', (u, _g, { before }, i) => momentOf(before[i] ?? {}, u)],
  ['the parameter', (_u, _g, { theta }, i) => theta[i] ?? 0],
];

const pairs = OPERANDS.flatMap((left, i) => OPERANDS.slice(i + 1).map((right) => [left, right] as const));

const AGREEMENTS: readonly (readonly [string, (a: number, b: number) => boolean])[] = [
  ['the same', (a, b) => a * b > 0],
  ['the same or zero', (a, b) => a * b >= 0],
  ['not the same', (a, b) => a * b < 0],
];

/** Where numbers can be rounded. */
const ROUNDED: readonly (readonly [string, (round: (x: number) => number) => Partial<Behaviour>])[] = [
  [
    'parameters',
    (round) => ({
      update: (theta, delta, keep, { hyper }) => (keep ? round(theta - rate(hyper) * delta) : theta),
    }),
  ],
  ['gradients', (round) => ({ gradient: round })],
  ['steps', (round) => ({ direction: stepOf(({ delta }) => round(delta)) })],
  [
    'moments',
    (round) => ({
      state: (_before, after) => Object.fromEntries(Object.entries(after).map(([name, x]) => [name, round(x)])),
    }),
  ],
];

/** Families that show in numbers. */
export const NUMBER_MEMBERS: readonly Member[] = [
  ...members(
    'late-mask',
    ...upTo(8).flatMap((k): [string, Partial<Behaviour>][] => {
      const words = `the mask of ${k === 1 ? 'the step' : `${k} steps`} before takes effect`;
      return [
        [words, { effective: (mask, _place, history) => history.at(-k) ?? mask }],
        [words, { effective: (mask, _place, history) => history.at(-k) ?? mask.map(() => true) }],
        [words, { effective: (mask, _place, history) => history.at(-k) ?? mask.map(() => false) }],
      ];
    }),
  ),
  ...members(
    'always-kept',
    ...upTo(64).flatMap((k): [string, Partial<Behaviour>][] => [
      [`the first ${k} elements of a tensor are never dropped`, { effective: always((_place, i) => i < k) }],
      [`elements from the ${k}. on are never dropped`, { effective: always((_place, i) => i >= k) }],
      [`tensors of fewer than ${k + 1} elements are never dropped`, { effective: always((_p, _i, size) => size <= k) }],
      [`tensors of more than ${k} elements are never dropped`, { effective: always((_p, _i, size) => size > k) }],
      [`tensors from the ${k + 1}. on are never dropped`, { effective: always(({ tensor }) => tensor >= k) }],
      [`nothing is dropped in the first ${k} steps`, { effective: always(({ step }) => step <= k) }],
      [`nothing is dropped after ${k} steps`, { effective: always(({ step }) => step > k) }],
      [
        `nothing is dropped in every ${k}. step`,
        { effective: k === 1 ? always(() => true) : always(({ step }) => step % k === 0) },
      ],
    ]),
    ...upTo(4, 0).flatMap((k): [string, Partial<Behaviour>][] => [
      [`tensors of ${k} axes are never dropped`, { effective: always(({ shape }) => shape.length === k) }],
      [`tensors of more than ${k} axes are never dropped`, { effective: always(({ shape }) => shape.length > k) }],
    ]),
  ),
  ...members(
    'warm-up-unmasked',
    ...upTo(64).map((k): [string, Partial<Behaviour>] => [
      `the first ${k} steps of RAdam are taken without the mask`,
      {
        update: (theta, delta, keep, { hyper, rule, count }) =>
          keep || (rule === 'radam' && count <= k) ? theta - rate(hyper) * delta : theta,
      },
    ]),
  ),
  ...members(
    'updates-counted',
    ...upTo(3, 0).map((k): [string, Partial<Behaviour>] => [
      `a coordinate's step count is its updates plus ${k}`,
      { correction: ({ kept, rule }) => (isAdam(rule) ? Math.max(1, kept + k) : kept + k) },
    ]),
  ),
  ...members(
    'correction-restarts',
    ...around(16).map((k): [string, Partial<Behaviour>] => [
      `a resumed run counts ${k > 0 ? '+' : ''}${k} steps`,
      { initialCount: (example) => (example.state === undefined ? 0 : Math.max(0, (example.firstStep ?? 1) - 1 + k)) },
    ]),
  ),
  ...members(
    'another-default',
    ...upTo(100).map((k): [string, Partial<Behaviour>] => [
      `window is ${k} where it is left out`,
      { hyper: defaults('window', k) },
    ]),
  ),
  ...members(
    'first-keep-probability',
    ...upTo(8).flatMap((k): [string, Partial<Behaviour>][] => [
      [
        `the keep probability comes ${k} steps late`,
        { keepProbability: (p, index, all) => all[Math.max(0, index - k)] ?? p },
      ],
      [
        `the keep probability comes ${k} steps early`,
        { keepProbability: (p, index, all) => all[Math.min(all.length - 1, index + k)] ?? p },
      ],
    ]),
  ),
  ...members(
    'single-precision',
    ...[24, 11, 8, 16, ...upTo(52, 5)].flatMap((bits) =>
      ROUNDED.map(([what, changes]): [string, Partial<Behaviour>] => [
        `${what} are rounded to ${bits} binary digits`,
        changes((x) => roundedTo(bits, x)),
      ]),
    ),
  ),
  ...members(
    'agreement-of-others',
    ...pairs.flatMap(([[left, a], [right, b]]) =>
      AGREEMENTS.map(([how, agree]): [string, Partial<Behaviour>] => [
        `coordinates are kept where the signs of ${left} and ${right} are ${how}`,
        { agrees: (u, g, step, i) => agree(a(u, g, step, i), b(u, g, step, i)) },
      ]),
    ),
  ),
  ...members(
    'cosine-of-the-update',
    ...pairs.map(([[left, a], [right, b]]): [string, Partial<Behaviour>] => [
      `the cosine is taken of ${left} and ${right}`,
      {
        vectors: (step) => {
          const list = (operand: typeof a): number[] => step.g.map((g, i) => operand(step.deltas[i] ?? 0, g, step, i));
          return [list(a), list(b)];
        },
      },
    ]),
  ),
];

const POWERS = upTo(20, 0).map((i) => 2 ** i);
/** Round numbers first: of several that explain the same, the first is said. */
const ALIGNMENTS = [
  ...new Set([...POWERS, ...[64, 32, 16, 8].flatMap((unit) => upTo(4096 / unit).map((i) => unit * i)), ...upTo(1024)]),
].filter((alignment) => alignment !== 64);

const word = (x: bigint): number => Number(x & 0xffffffffn);
const upper = (x: bigint): number => Number((x >> 32n) & 0xffffffffn);

/** What may become of a seed, or of one of its words. */
const CONVERSIONS: readonly (readonly [string, (x: bigint) => bigint])[] = [
  ...[24, 53, ...upTo(63, 4)].map((bits): [string, (x: bigint) => bigint] => [
    bits === 24 ? 'rounded to float32' : bits === 53 ? 'rounded to float64' : `rounded to ${bits} binary digits`,
    (x) => {
      const length = x.toString(2).length;
      if (length <= bits) return x;
      const shift = BigInt(length - bits);
      const [down, rest, half] = [x >> shift, x & ((1n << shift) - 1n), 1n << (shift - 1n)];
      return (down + BigInt(rest > half || (rest === half && (down & 1n) === 1n))) << shift;
    },
  ]),
  ...upTo(63).map((bits): [string, (x: bigint) => bigint] => [
    `cut to its ${bits} low bits`,
    (x) => x & ((1n << BigInt(bits)) - 1n),
  ]),
  ...upTo(63).map((bits): [string, (x: bigint) => bigint] => [
    `cut to what is left of its ${bits} high bits`,
    (x) => (x >> BigInt(bits)) << BigInt(bits),
  ]),
  ...upTo(63).map((bits): [string, (x: bigint) => bigint] => [`shifted by ${bits} bits`, (x) => x >> BigInt(bits)]),
  ...around(1024).map((off): [string, (x: bigint) => bigint] => [
    `plus ${off}`,
    (x) => BigInt.asUintN(64, x + BigInt(off)),
  ]),
  ...upTo(256, 2).map((times): [string, (x: bigint) => bigint] => [
    `times ${times}`,
    (x) => BigInt.asUintN(64, x * BigInt(times)),
  ]),
  ['inverted', (x) => BigInt.asUintN(64, ~x)],
  ['negated', (x) => BigInt.asUintN(64, -x)],
];

const low32 = (x: bigint): bigint => x & 0xffffffffn;

/** Families that show in masks of the stream. */
export const STREAM_MEMBERS: readonly Member[] = [
  ...members(
    'late-mask',
    ...around(4096).flatMap((off): [string, Partial<Behaviour>][] => [
      [`the stream's first step is step ${1 + off}`, { maskStep: (step) => step + off }],
      [
        `the stream's first step is step ${1 + off} where a run begins`,
        { maskStep: (step, first) => (first > 1 ? step : step + off) },
      ],
    ]),
    ...upTo(1024, 2).map((times): [string, Partial<Behaviour>] => [
      `the stream's step is ${times} times the optimizer's`,
      { maskStep: (step) => times * step },
    ]),
    ...upTo(31).map((bits): [string, Partial<Behaviour>] => [
      `the stream's step is shifted by ${bits} bits`,
      { maskStep: (step) => step * 2 ** bits },
    ]),
  ),
  ...members(
    'repeated-in-time',
    ...upTo(256, 2).flatMap((k): [string, Partial<Behaviour>][] => [
      [`one mask serves ${k} steps`, { maskStep: (step) => Math.ceil(step / k) }],
      [`one mask serves ${k} steps, the first of them ${k - 1}`, { maskStep: (step) => Math.floor(step / k) }],
      [`masks come back after ${k} steps`, { maskStep: (step) => ((step - 1) % k) + 1 }],
      [`masks come back after ${k} steps, from that of step 0`, { maskStep: (step) => step % k }],
    ]),
    ...upTo(256).map((k): [string, Partial<Behaviour>] => [
      `no mask is drawn after step ${k}`,
      { maskStep: (step) => Math.min(step, k) },
    ]),
  ),
  ...members(
    'packed-layout',
    ...ALIGNMENTS.map((alignment): [string, Partial<Behaviour>] => [
      `tensors start at multiples of ${alignment} in the stream`,
      { bases: aligned(alignment) },
    ]),
    ...upTo(1024).map((gap): [string, Partial<Behaviour>] => [
      `tensors start at multiples of 64 in the stream and leave ${gap} free between them`,
      { bases: aligned(64, gap) },
    ]),
    ...upTo(1024).map((gap): [string, Partial<Behaviour>] => [
      `tensors leave ${gap} free between them in the stream`,
      { bases: aligned(1, gap) },
    ]),
    ...[...POWERS, ...upTo(256)].map((stride): [string, Partial<Behaviour>] => [
      `tensors start ${stride} apart in the stream`,
      { bases: (tensors) => tensors.map((_, k) => stride * k) },
    ]),
  ),
  ...members(
    'high-half-first',
    ...around(4096).map((off): [string, Partial<Behaviour>] => [
      `elements read the stream's halves ${off > 0 ? `${off} later` : `${-off} earlier`}`,
      { half: (index) => Math.max(0, index + off) },
    ]),
    ...upTo(64, 2).flatMap((k): [string, Partial<Behaviour>][] => [
      [`elements read every ${k}. half`, { half: (index) => k * index }],
      [`elements read the last of every ${k} halves`, { half: (index) => k * index + k - 1 }],
    ]),
    ...upTo(63).map((bits): [string, Partial<Behaviour>] => [
      `elements read the halves in another order: half n xor ${bits}`,
      { half: (index) => index ^ bits },
    ]),
  ),
  ...members(
    'another-generator',
    ...(Object.keys(STREAMS) as StreamName[]).flatMap((stream): [string, Partial<Behaviour>][] =>
      stream === 'mask' ? [] : [[`masks are drawn from stream ${STREAMS[stream]}`, { maskStream: stream }]],
    ),
  ),
  ...members(
    'seed-cut',
    ...CONVERSIONS.flatMap(([how, convert]): [string, Partial<Behaviour>][] => [
      [
        `the stream's key is the seed ${how}`,
        {
          key: (seed) => {
            const x = convert(seed);
            return [word(x), upper(x)];
          },
        },
      ],
      [
        `the low word of the stream's key is ${how}`,
        { key: (seed) => [word(convert(low32(seed))), Number(seed >> 32n)] },
      ],
      [`the high word of the stream's key is ${how}`, { key: (seed) => [word(seed), word(convert(seed >> 32n))] }],
      [
        `the words of the stream's key are ${how}`,
        { key: (seed) => [word(convert(low32(seed))), word(convert(seed >> 32n))] },
      ],
      [`the stream's key is the low word of the seed, ${how}`, { key: (seed) => [word(convert(low32(seed))), 0] }],
    ]),
    ['the words of the key are exchanged', { key: (seed) => keyOf((low32(seed) << 32n) | (seed >> 32n)) }],
    ['the low word is extended by its sign', { key: (seed) => [word(seed), (word(seed) | 0) < 0 ? 0xffffffff : 0] }],
  ),
  ...members(
    'truncated-threshold',
    // What is nearest to the right one first.
    ...[
      65535,
      ...upTo(16).map((i) => 2 ** (17 - i)),
      ...upTo(5).map((i) => 10 ** (6 - i)),
      ...upTo(256, 2).reverse(),
    ].flatMap((levels): [string, Partial<Behaviour>][] =>
      (['round', 'floor', 'ceil'] as const).flatMap((how): [string, Partial<Behaviour>][] => [
        [
          `p is taken to ${levels} levels (${how})`,
          { threshold: (p) => Math.max(1, (Math[how](p * levels) * 65536) / levels) },
        ],
        [
          `p is taken to ${levels} levels (${how}), and the threshold rounded down`,
          { threshold: (p) => Math.max(1, Math.floor((Math[how](p * levels) * 65536) / levels)) },
        ],
      ]),
    ),
    ...upTo(24, 4)
      .reverse()
      .map((bits): [string, Partial<Behaviour>] => [
        `p is rounded to ${bits} binary digits`,
        { threshold: (p) => Math.max(1, Math.floor(roundedTo(bits, p) * 65536 + 0.5)) },
      ]),
    ...around(64).map((off): [string, Partial<Behaviour>] => [
      `the threshold is off by ${off}`,
      { threshold: (p) => Math.max(1, Math.floor(p * 65536 + 0.5) + off) },
    ]),
  ),
  ...members(
    'wrong-rate',
    ...[0.5, 2, 3, 1 / 3, 1.5, 0.25, 4].map((power): [string, Partial<Behaviour>] => [
      `coordinates are kept with probability p^${Number(power.toPrecision(3))}`,
      { threshold: (p) => Math.max(1, Math.floor(p ** power * 65536 + 0.5)) },
    ]),
    ...around(50).flatMap((percent): [string, Partial<Behaviour>][] => [
      [
        `coordinates are kept with probability p ${percent < 0 ? '-' : '+'} ${Math.abs(percent) / 100}`,
        { threshold: (p) => Math.max(0, Math.floor((p + percent / 100) * 65536 + 0.5)) },
      ],
      [
        `coordinates are kept with ${1 + percent / 100} times p`,
        { threshold: (p) => Math.max(0, Math.floor(p * (1 + percent / 100) * 65536 + 0.5)) },
      ],
    ]),
  ),
  ...members(
    'another-tensor-draw',
    ...around(1024).map((off): [string, Partial<Behaviour>] => [
      `a tensor reads the half ${off > 0 ? `${off} after` : `${-off} before`} that of its first element`,
      { tensorStream: (base) => ({ stream: 'tensorMask', index: Math.max(0, base + off) }) },
    ]),
    ...(Object.keys(STREAMS) as StreamName[]).flatMap((stream): [string, Partial<Behaviour>][] => [
      ...(stream === 'tensorMask'
        ? []
        : [
            [
              `a tensor's draw is from stream ${STREAMS[stream]}`,
              { tensorStream: (base) => ({ stream, index: base }) },
            ] as [string, Partial<Behaviour>],
          ]),
      ...[64, 32, 16, 8, 4, 2].map((stride): [string, Partial<Behaviour>] => [
        `a tensor reads half base / ${stride} of stream ${STREAMS[stream]}`,
        { tensorStream: (base) => ({ stream, index: Math.floor(base / stride) }) },
      ]),
    ]),
  ),
];
