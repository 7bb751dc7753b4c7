/**
 * Other ways in which the known mistakes are made, for `reproductions.ts` alone: the same cause with other numbers. Signatures come from
 * the planted faults, one or two a mistake; these are why a mistake is known again that was made a little differently.
 */
import { RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter } from 'learning-rate-dropout/spec';
import { HONEST, direction } from '../planted/implementation.ts';
import type { Behaviour, Place, Slots } from '../planted/implementation.ts';
import type { Hyper } from '../protocol/expand.ts';

/** One way to make a mistake. */
export interface Variant {
  /** A name of `mistakes.ts`. */
  readonly mistake: string;
  readonly changes: Partial<Behaviour>;
}

const n = (hyper: Hyper, name: string): number => hyper[name] as number;
const rate = (hyper: Hyper): number => n(hyper, 'learningRate');

const variants = (mistake: string, ...changes: readonly Partial<Behaviour>[]): Variant[] =>
  changes.map((one) => ({ mistake, changes: one }));

const masked = (g: number, keep: boolean): number => (keep ? g : 0);
const unmaskedUpdate: Behaviour['update'] = (theta, delta, _keep, { hyper }) => theta - rate(hyper) * delta;
const maskedDecay: Behaviour['coupled'] = (decay, theta, keep) => (keep ? decay * theta : 0);

/** What becomes of these slots where a coordinate is dropped. */
export const ofDropped =
  (names: readonly string[], change: (before: number, after: number, place: Place) => number): Behaviour['state'] =>
  (before, after, keep, place) =>
    keep
      ? after
      : Object.fromEntries(
          Object.entries(after).map(([name, x]) => [
            name,
            names.includes(name) ? change(before[name] ?? 0, x, place) : x,
          ]),
        );

const FIRST = ['m', 'buf'] as const;
const SECOND = ['v', 'vmax'] as const;
const ALL = [...FIRST, ...SECOND, 'gavg'] as const;

/** The step with something added to the gradient of a rule, or its result changed. */
export const stepOf =
  (change: (result: { delta: number; slots: Slots }, place: Place, theta: number, t: number, g: number) => number) =>
  (g: number, slots: Slots, t: number, place: Place, theta: number): { delta: number; slots: Slots } => {
    const result = direction(g, slots, t, place);
    return { ...result, delta: change(result, place, theta, t, g) };
  };

/** Adam's step with one of its moments not corrected. */
const correctedInPart = (which: 'm' | 'v'): Behaviour['direction'] =>
  stepOf(({ delta, slots }, { rule, hyper }, _theta, t) => {
    if (!['adam', 'adamw', 'amsgrad', 'radam'].includes(rule)) return delta;
    const [c1, c2] = [1 - n(hyper, 'beta1') ** t, 1 - n(hyper, 'beta2') ** t];
    if (which === 'm') return delta * c1;
    const second = slots[rule === 'amsgrad' ? 'vmax' : 'v'] ?? 0;
    return rule === 'radam'
      ? delta / Math.sqrt(c2)
      : (slots['m'] ?? 0) / c1 / (Math.sqrt(second) + n(hyper, 'epsilon'));
  });

export const always =
  (where: (place: Omit<Place, 'element' | 'kept'>, index: number, size: number) => boolean): Behaviour['effective'] =>
  (mask, place) =>
    mask.map((bit, i) => bit || where(place, i, mask.length));

/** Decay of what is dropped, by a factor of the parameter. */
const shrinks =
  (rules: (rule: string) => boolean, factor: (hyper: Hyper) => number): Behaviour['update'] =>
  (theta, delta, keep, { hyper, rule }) => {
    if (keep) return theta - rate(hyper) * delta;
    return rules(rule) && n(hyper, 'weightDecay') > 0 ? theta - factor(hyper) * theta : theta;
  };

const every = (): boolean => true;
const onlyAdamW = (rule: string): boolean => rule === 'adamw';

/** Values that other libraries take where ours are left out. */
const ELSEWHERE: Readonly<Record<string, readonly number[]>> = {
  learningRate: [1, 0.1, 0.01, 1e-3, 2e-3, 1e-4, 3e-4],
  momentum: [0, 0.5, 0.9, 0.99],
  dampening: [0.1, 0.9],
  rho: [0.9, 0.95, 0.999],
  beta1: [0.5, 0.95, 0.8, 0.99],
  beta2: [0.9, 0.95, 0.98, 0.99, 0.9999],
  epsilon: [0, 1, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16],
  weightDecay: [0, 1e-4, 5e-4, 1e-3, 4e-3, 0.01, 0.1],
  window: [5, 20],
};

export const defaults = (name: string, value: number): Behaviour['hyper'] => {
  const table = new Set(
    Object.values(RULES).flatMap(({ hyper }) => {
      const one = (hyper as Readonly<Record<string, HyperParameter>>)[name];
      return one === undefined ? [] : [one.default];
    }),
  );
  return (hyper) => (table.has(hyper[name] as number) ? { ...hyper, [name]: value } : hyper);
};

/** Bases of tensors that start at multiples of `alignment`. */
export const aligned =
  (alignment: number, gap = 0): Behaviour['bases'] =>
  (tensors) => {
    let next = 0;
    return tensors.map(({ size }) => {
      const base = next;
      next += Math.ceil(size / alignment) * alignment + gap;
      return base;
    });
  };

const word = (x: bigint): number => Number(x & 0xffffffffn);
export const keyOf = (seed: bigint): [number, number] => [word(seed), word(seed >> 32n)];

/** Steps that a count may be off by. */
const OFFSETS = [-3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 64, 100, 1000];

/** What tensors may start at multiples of: anything small, and powers of two. */
const ALIGNMENTS = [...Array.from({ length: 130 }, (_, i) => i + 1).filter((n) => n !== 64), 256, 512, 1024];

/** Sixteen bits in the other order. */
const reversed = (half: number): number =>
  Array.from({ length: 16 }, (_, i) => ((half >> i) & 1) << (15 - i)).reduce((sum, bit) => sum + bit, 0);

export const VARIANTS: readonly Variant[] = [
  ...variants(
    'momentum-reset',
    { state: ofDropped(ALL, () => 0) },
    { state: ofDropped([...FIRST, 'gavg'], () => 0) },
    // The same before this step's gradient is added: it alone remains.
    {
      state: ofDropped(
        FIRST,
        (before, after, { hyper }) => after - (n(hyper, 'beta1') || n(hyper, 'momentum')) * before,
      ),
    },
    {
      state: (_before, after, keep, { p }) =>
        Object.fromEntries(
          Object.entries(after).map(([name, x]) => [name, name === 'm' || name === 'buf' ? (keep ? x / p : 0) : x]),
        ),
    },
  ),
  ...variants(
    'frozen-first-moment',
    { state: ofDropped(ALL, (before) => before) },
    { state: ofDropped(FIRST, (before) => before) },
  ),
  ...variants(
    'masked-gradient',
    { gradient: masked },
    { gradient: masked, coupled: maskedDecay },
    { gradient: masked, coupled: maskedDecay, update: unmaskedUpdate },
    { gradient: (g, keep, { p }) => masked(g, keep) / p },
    { gradient: (g, keep, { p }) => masked(g, keep) / p, update: unmaskedUpdate },
    {
      gradient: (g, keep, { p }) => masked(g, keep) / p,
      coupled: (decay, theta, keep, { p }) => (keep ? (decay * theta) / p : 0),
      update: unmaskedUpdate,
    },
  ),
  ...variants(
    'frozen-second-moment',
    { state: ofDropped(SECOND, (before) => before) },
    { state: ofDropped(['vmax'], (before) => before) },
    { state: ofDropped(SECOND, () => 0) },
  ),
  ...variants(
    'rescaled',
    { gradient: (g, _keep, { p }) => g / p },
    {
      gradient: (g, _keep, { p }) => g / p,
      coupled: (decay, theta, _keep, { p }) => (decay * theta) / p,
    },
    {
      direction: stepOf(({ delta }, { p }) => delta / p),
    },
    {
      update: (theta, delta, keep, { hyper, p, rule }) => {
        if (!keep) return theta;
        const decay = rule === 'adamw' ? n(hyper, 'weightDecay') * theta : 0;
        return theta - rate(hyper) * ((delta - decay) / p + decay);
      },
    },
    { state: (_before, after, _keep, { p }) => ('buf' in after ? { ...after, buf: (after['buf'] ?? 0) / p } : after) },
    { state: (_before, after, _keep, { p }) => ('m' in after ? { ...after, m: (after['m'] ?? 0) / p } : after) },
  ),
  ...variants(
    'multiplied-mask',
    {
      update: (theta, delta, keep, { hyper }) => Number(keep) * (theta - rate(hyper) * delta) + Number(!keep) * theta,
    },
    { update: (theta, delta, keep, { hyper }) => theta - Number(keep) * (rate(hyper) * delta) },
    { update: (theta, delta, keep, { hyper }) => theta + Number(keep) * (theta - rate(hyper) * delta - theta) },
    { update: (theta, delta, keep, { hyper }) => theta - rate(hyper) * (delta * Number(keep) + 0) },
  ),
  ...variants(
    'dropped-through-arithmetic',
    { update: (theta, delta, keep, { hyper }) => (keep ? theta - rate(hyper) * delta : theta + 0) },
    {
      update: (theta, delta, keep, { hyper }) =>
        keep ? theta - rate(hyper) * delta : Math.abs(theta) < 2 ** -1022 ? 0 : theta,
    },
    { update: (theta, delta, keep, { hyper }) => (keep ? theta - rate(hyper) * delta : Math.fround(theta)) },
    { update: (theta, delta, keep, { hyper }) => (keep ? theta - rate(hyper) * delta : (theta * 3) / 3) },
  ),
  ...variants('updates-counted', { correction: ({ kept }) => Math.max(1, kept) }),
  ...variants(
    'always-kept',
    { effective: always((_place, i, size) => i === size - 1) },
    { effective: always(({ shape }) => shape.length <= 1) },
    { effective: always(({ shape }) => shape.length !== 1) },
    { effective: always((_place, _i, size) => size === 1) },
    { effective: always(({ tensor }) => tensor === 0) },
    { effective: always(({ tensor }) => tensor > 0) },
    { effective: always(({ step }) => step === 1) },
    { effective: always(every) },
  ),
  ...variants(
    'warm-up-unmasked',
    ...[1, 2, 3, 4, 6, 10].map((steps): Partial<Behaviour> => ({
      update: (theta, delta, keep, { hyper, rule, count }) =>
        keep || (rule === 'radam' && count <= steps) ? theta - rate(hyper) * delta : theta,
    })),
  ),
  ...variants('nesterov-ignored', { hyper: (hyper) => ('nesterov' in hyper ? { ...hyper, nesterov: true } : hyper) }),
  ...variants('maximum-of-corrected', {
    hyper: (hyper) => (hyper['maxOf'] === 'raw' ? { ...hyper, maxOf: 'uncorrected' } : hyper),
  }),
  ...variants(
    'no-bias-correction',
    { direction: correctedInPart('m') },
    { direction: correctedInPart('v') },
    { correction: () => 1 },
  ),
  ...variants(
    'rectified-early',
    ...['torch', 'original', 'paper'].map((variant): Partial<Behaviour> => ({
      hyper: (hyper) => ('variant' in hyper ? { ...hyper, variant } : hyper),
    })),
  ),
  ...variants(
    'clipped',
    ...[0.01, 0.1, 0.25, 0.5, 0.75, 2, 3, 5, 10, 100].map((most): Partial<Behaviour> => ({
      gradient: (g) => Math.max(-most, Math.min(most, g)),
    })),
  ),
  ...variants(
    'decay-lost',
    {
      direction: stepOf(({ delta }, { rule, hyper }, theta) =>
        rule === 'adamw' ? delta - n(hyper, 'weightDecay') * theta : delta,
      ),
    },
    {
      coupled: () => 0,
      direction: stepOf(({ delta }, { rule, hyper }, theta) =>
        rule === 'adamw' ? delta - n(hyper, 'weightDecay') * theta : delta,
      ),
    },
  ),
  ...variants(
    'dropped-decay',
    { update: shrinks(onlyAdamW, (hyper) => n(hyper, 'weightDecay')) },
    { update: shrinks(onlyAdamW, (hyper) => 0.5 * rate(hyper) * n(hyper, 'weightDecay')) },
    { update: shrinks(every, (hyper) => rate(hyper) * n(hyper, 'weightDecay')) },
    { update: shrinks(every, (hyper) => n(hyper, 'weightDecay')) },
    {
      update: shrinks(
        (rule) => rule !== 'adamw',
        (hyper) => rate(hyper) * n(hyper, 'weightDecay'),
      ),
    },
  ),
  ...variants('decay-decoupled', {
    coupled: () => 0,
    direction: stepOf(({ delta }, { rule, hyper }, theta) =>
      rule === 'adamw' ? delta : delta + (n(hyper, 'weightDecay') * theta) / rate(hyper),
    ),
  }),
  ...variants('decay-without-rate', {
    update: (theta, delta, keep, { hyper, rule }) => {
      const decay = rule === 'adamw' ? n(hyper, 'weightDecay') : 0;
      const whole = theta - rate(hyper) * (delta - decay * theta) - decay * theta;
      return keep ? whole : theta - decay * theta;
    },
  }),
  ...variants(
    'another-default',
    ...Object.entries(ELSEWHERE).flatMap(([name, values]) =>
      values.map((value): Partial<Behaviour> => ({ hyper: defaults(name, value) })),
    ),
  ),
  ...variants(
    'single-precision',
    {
      update: (theta, delta, keep, { hyper }) => (keep ? Math.fround(theta - Math.fround(rate(hyper) * delta)) : theta),
    },
    { gradient: Math.fround },
    {
      state: (_before, after) => Object.fromEntries(Object.entries(after).map(([name, x]) => [name, Math.fround(x)])),
    },
  ),
  ...variants(
    'seed-cut',
    { key: (seed) => [0, Number(seed >> 32n)] },
    { key: (seed) => [Number(seed >> 32n), 0] },
    { key: (seed) => [Number(seed >> 32n), word(seed)] },
    { key: (seed) => [word(seed), word(seed)] },
    { key: (seed) => [word(seed ^ (seed >> 32n)), 0] },
    // Any number of its low bits, of its high ones, and of those of its low word.
    ...Array.from({ length: 63 }, (_, i): Partial<Behaviour> => ({
      key: (seed) => keyOf(seed & ((1n << BigInt(i + 1)) - 1n)),
    })),
    ...Array.from({ length: 63 }, (_, i): Partial<Behaviour> => ({ key: (seed) => keyOf(seed >> BigInt(i + 1)) })),
    ...Array.from({ length: 31 }, (_, i): Partial<Behaviour> => ({
      key: (seed) => [Number(seed & ((1n << BigInt(i + 1)) - 1n)), Number(seed >> 32n)],
    })),
    // Through a double.
    { key: (seed) => [word(BigInt(Number(seed))), word(BigInt(Number(seed)) >> 32n)] },
    { key: () => [0, 0] },
  ),
  ...variants(
    'late-mask',
    ...OFFSETS.map((off): Partial<Behaviour> => ({ maskStep: (step) => step + off })),
    // Only where a run begins.
    ...OFFSETS.map((off): Partial<Behaviour> => ({ maskStep: (step, first) => (first > 1 ? step : step + off) })),
    ...[2, 3, 4, 10].map((times): Partial<Behaviour> => ({ maskStep: (step) => times * step })),
  ),
  ...variants(
    'mask-restarts',
    { maskStep: (step, first) => step - first },
    { maskStep: (step, first) => step - first + 2 },
  ),
  ...variants(
    'repeated-in-time',
    { maskStep: () => 0 },
    { maskStep: () => 1 },
    { maskStep: (_step, first) => first },
    ...[2, 3, 4, 5, 8, 10].flatMap((steps): Partial<Behaviour>[] => [
      { maskStep: (step) => Math.ceil(step / steps) },
      { maskStep: (step) => Math.floor(step / steps) },
      { maskStep: (step) => (step % steps) + 1 },
      { maskStep: (step) => step % steps },
    ]),
  ),
  ...variants(
    'high-half-first',
    // Words from the last to the first, halves within or not; big-endian; all low halves, then all high ones.
    { half: (index) => index ^ 6 },
    { half: (index) => index ^ 7 },
    { half: (index) => index - (index % 8) + (index % 8 < 4 ? 2 * (index % 8) : 2 * (index % 8) - 7) },
    { half: (index) => index - (index % 8) + (index % 8 < 4 ? 2 * (index % 8) + 1 : 2 * (index % 8) - 8) },
    // A word an element.
    { half: (index) => 2 * index },
    { half: (index) => 2 * index + 1 },
    { half: (index) => 8 * index },
    ...[-1, 1, 2, 3, 4, 7, 8, 16, 64].map((off): Partial<Behaviour> => ({ half: (index) => Math.max(0, index + off) })),
    // Any exchange of places within a block, and any rotation of it.
    ...[2, 3, 4, 5].map((bits): Partial<Behaviour> => ({ half: (index) => index ^ bits })),
    ...[1, 2, 3, 4, 5, 6, 7].map((off): Partial<Behaviour> => ({
      half: (index) => index - (index % 8) + ((index + off) % 8),
    })),
    // The half itself read otherwise: its bytes or its bits in the other order.
    { keeps: (half, threshold) => (((half & 0xff) << 8) | (half >> 8)) < threshold },
    { keeps: (half, threshold) => reversed(half) < threshold },
  ),
  ...variants(
    'packed-layout',
    ...ALIGNMENTS.map((alignment) => ({ bases: aligned(alignment) })),
    ...[1, 8, 64].map((gap) => ({ bases: aligned(64, gap) })),
    {
      bases: (tensors, present) => HONEST.bases(tensors.toReversed(), present.toReversed()).toReversed(),
    },
    { bases: (tensors) => tensors.map((_, k) => k) },
    { bases: (tensors) => tensors.map((_, k) => 64 * k) },
  ),
  ...variants('shared-by-tensors', { bases: (tensors) => tensors.map(() => 0) }),
  ...variants(
    'absent-lose-their-place',
    {
      bases: (tensors, present) =>
        HONEST.bases(
          tensors.map((tensor) => (tensor.excluded ? { ...tensor, size: 0 } : tensor)),
          present,
        ),
    },
    {
      bases: (tensors, present) =>
        HONEST.bases(
          tensors.map((tensor, k) => (tensor.excluded || present[k] !== true ? { ...tensor, size: 0 } : tensor)),
          present,
        ),
    },
  ),
  ...variants(
    'truncated-threshold',
    { threshold: (p) => Math.ceil(p * 65536) },
    { threshold: (p) => Math.floor(p * 65536) },
    { threshold: (p) => Math.max(1, Math.floor(p * 65535 + 0.5)) },
    { threshold: (p) => Math.ceil(p * 65535) },
    { threshold: (p) => Math.max(1, Math.floor(p * 65535)) },
    { threshold: (p) => Math.max(1, Math.floor(Math.fround(p) * 65536 + 0.5)) },
  ),
  ...variants('inverted', { threshold: (p) => Math.max(1, Math.floor((1 - p) * 65536 + 0.5)) }),
  ...variants(
    'another-generator',
    // From above, at the right rate.
    { keeps: (half, threshold) => half >= 65536 - threshold },
    { keeps: (half, threshold) => 65535 - half < threshold },
    { maskStep: (step) => step * 65536 },
  ),
  ...variants(
    'first-keep-probability',
    { keepProbability: (p, _index, all) => all.at(-1) ?? p },
    { keepProbability: (p, index, all) => all[Math.max(0, index - 1)] ?? p },
  ),
  ...variants(
    'first-hyper',
    ...['learningRate', 'weightDecay'].map((name): Partial<Behaviour> => ({
      hyper: (hyper, { first }) => (name in hyper ? { ...hyper, [name]: first[name] as number } : hyper),
    })),
  ),
  ...variants(
    'state-forgotten',
    ...ALL.map((lost): Partial<Behaviour> => ({
      restored: (state) =>
        state === undefined ? state : Object.fromEntries(Object.entries(state).filter(([name]) => name !== lost)),
    })),
    { restored: () => undefined, initialCount: () => 0 },
  ),
  ...variants(
    'correction-restarts',
    { initialCount: (example) => (example.state === undefined ? 0 : (example.firstStep ?? 1)) },
    { initialCount: (example) => (example.state === undefined ? 0 : (example.firstStep ?? 1) - 2) },
    { initialCount: (example) => (example.firstStep ?? 1) - 1 },
  ),
  ...variants(
    'absent-means-zero',
    ...([true, false] as const).flatMap((moves) =>
      [true, false].map((counts): Partial<Behaviour> => ({
        still: (theta, slots, place) => {
          const t = place.count + 1;
          const { delta, slots: next } = direction(0, slots, t, place);
          return { theta: moves ? theta - rate(place.hyper) * delta : theta, slots: next, counts };
        },
      })),
    ),
  ),
  ...variants(
    'reports-other-masks',
    { reported: (mask) => mask.map(() => true) },
    { reported: (mask) => mask.map(() => false) },
    { reported: (mask) => mask.toReversed() },
  ),
  ...variants('rate-inside-buffer', {
    direction: (g, slots, t, place) => {
      const { rule, hyper } = place;
      if (rule !== 'sgdm' || hyper['momentum'] === 0 || rate(hyper) === 0) return direction(g, slots, t, place);
      const scaled = direction(rate(hyper) * g, slots, t, place);
      return { ...scaled, delta: scaled.delta / rate(hyper) };
    },
  }),
];
