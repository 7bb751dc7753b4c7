/**
 * Planted wrong implementations: the honest one with one decision replaced. Where a public implementation makes the mistake,
 * it is named. The kit sees nothing of this but the behaviour.
 */
import type { MaskSource } from '../protocol/types.ts';
import type { Behaviour } from './implementation.ts';
import { HONEST, direction, refuseHyper, refuseKeepProbability } from './implementation.ts';
import { sizeFault } from '../protocol/expand.ts';
import { ALL_KINDS } from '../protocol/kinds.ts';

export interface PlantedFault {
  readonly name: string;
  /** What is wrong, in a sentence. */
  readonly what: string;
  /** The requirement that names the fault, and must be among those that fail. */
  readonly caughtBy: string;
  /** Fresh for every implementation: some faults remember. */
  readonly changes: () => Partial<Behaviour>;
}

/** What most programs are: masks of their own, nothing of them told, no state shown. */
const OPAQUE = {
  masks: ['own'] as readonly MaskSource[],
  features: [],
  reportsMasks: false,
} as const;
/** Masks of its own, reported. */
const OWN = { masks: ['own'] as readonly MaskSource[] } as const;

const rate = (hyper: Readonly<Record<string, unknown>>): number => hyper['learningRate'] as number;

const resetMomentum: Behaviour['state'] = (_before, after, keep) => {
  if (keep) return after;
  return Object.fromEntries(Object.entries(after).map(([name, x]) => [name, name === 'buf' || name === 'm' ? 0 : x]));
};

const fault = (
  name: string,
  caughtBy: string,
  what: string,
  changes: Partial<Behaviour> | (() => Partial<Behaviour>),
): PlantedFault => ({ name, caughtBy, what, changes: typeof changes === 'function' ? changes : () => changes });

const swap =
  (name: string, from: string, to: string): Behaviour['hyper'] =>
  (hyper) =>
    hyper[name] === from ? { ...hyper, [name]: to } : hyper;

const semantics: readonly PlantedFault[] = [
  fault('gradient-dropout', 'LRD-ALG-002', 'masks the gradient, not the update (HyperGAN)', {
    gradient: (g, keep) => (keep ? g : 0),
    update: (theta, delta, _keep, { hyper }) => theta - rate(hyper) * delta,
  }),
  fault(
    'momentum-reset',
    'LRD-MASK-004',
    'zeroes the momentum of dropped coordinates (pytorch-lr-dropout, AdaS, jolibrain/caffe)',
    {
      state: resetMomentum,
    },
  ),
  fault('momentum-reset-opaque', 'LRD-EQ-008', 'the same, with masks of its own, neither masks nor state reported', {
    ...OPAQUE,
    reportsMasks: true,
    state: resetMomentum,
  }),
  fault('momentum-reset-silent', 'LRD-MASK-010', 'the same, seen from parameters alone', {
    ...OPAQUE,
    state: resetMomentum,
  }),
  fault('rescaled', 'LRD-ALG-007', 'divides the step by p, as standard dropout does', {
    update: (theta, delta, keep, { hyper, p }) => (keep ? theta - (rate(hyper) * delta) / p : theta),
  }),
  fault('frozen-first-moment', 'LRD-ALG-002', 'the first moment does not advance on dropped steps', {
    state: (before, after, keep) =>
      keep
        ? after
        : {
            ...after,
            ...Object.fromEntries(
              ['m', 'buf', 'gavg'].filter((name) => name in after).map((name) => [name, before[name] ?? 0]),
            ),
          },
  }),
  fault('frozen-second-moment', 'LRD-ALG-003', 'the second moment does not advance on dropped steps', {
    state: (before, after, keep) => (keep || !('v' in after) ? after : { ...after, v: before['v'] ?? 0 }),
  }),
  fault(
    'second-moment-of-masked-gradients',
    'LRD-ALG-003',
    'the second moment decays on dropped steps without the gradient',
    {
      state: (before, after, keep, { hyper }) =>
        keep || !('v' in after)
          ? after
          : { ...after, v: ((hyper['beta2'] ?? hyper['rho']) as number) * (before['v'] ?? 0) },
    },
  ),
  fault('multiplied-mask', 'LRD-MASK-003', 'multiplies by the mask instead of selecting: NaN leaks (the authors)', {
    update: (theta, delta, keep, { hyper }) => theta - rate(hyper) * Number(keep) * delta,
  }),
  fault(
    'flushed-dropped',
    'LRD-MASK-003',
    'passes dropped coordinates through arithmetic that loses -0 and subnormals',
    {
      update: (theta, delta, keep, { hyper }) => {
        if (keep) return theta - rate(hyper) * delta;
        return Math.abs(theta) < 2 ** -126 ? 0 : theta;
      },
    },
  ),
  fault('updates-counted', 'LRD-ALG-008', "bias correction counts a coordinate's updates instead of its gradients", {
    correction: ({ kept }) => kept + 1,
  }),
  fault('first-coordinate-kept', 'LRD-MASK-008', 'never drops the first coordinate of a tensor', {
    effective: (mask) => mask.map((bit, i) => bit || i === 0),
  }),
  fault('radam-warm-up-unmasked', 'LRD-DEC-003', 'RAdam without a mask before rectification (DemonRanger)', {
    update: (theta, delta, keep, { hyper, rule, count }) =>
      keep || (rule === 'radam' && count <= 5) ? theta - rate(hyper) * delta : theta,
  }),
  fault('p-one-rounded-apart', 'LRD-MASK-002', 'p = 1 runs through other roundings than the base rule', {
    update: (theta, delta, keep, { hyper, base }) => {
      if (!keep) return theta;
      return base ? theta - rate(hyper) * delta : theta - (rate(hyper) / 3) * (delta * 3);
    },
  }),
  fault('bits-inverted', 'LRD-MASK-003', 'takes a 1 in a given mask for dropped', {
    masks: ['given'],
    effective: (mask) => mask.map((bit) => !bit),
    reported: (mask) => mask.map((bit) => !bit),
  }),
  fault('excluded-masked', 'LRD-MASK-007', 'masks parameters that the caller excluded', { excluded: () => false }),
];

const arithmetic: readonly PlantedFault[] = [
  fault('nesterov-ignored', 'LRD-RULE-001', 'accepts nesterov and does not use it (the authors)', {
    hyper: (hyper) => ('nesterov' in hyper ? { ...hyper, nesterov: false } : hyper),
  }),
  fault('dampened-first-step', 'LRD-RULE-001', 'dampens the first gradient too', {
    direction: (g, slots, t, place) => {
      const { rule, hyper } = place;
      if (rule !== 'sgdm' || t !== 1 || hyper['momentum'] === 0) return direction(g, slots, t, place);
      const buf = (1 - (hyper['dampening'] as number)) * g;
      return {
        delta: hyper['nesterov'] === true ? g + (hyper['momentum'] as number) * buf : buf,
        slots: { ...slots, buf },
      };
    },
  }),
  fault(
    'mean-of-what-there-is',
    'LRD-RULE-002',
    'divides the mean of the first gradients by their number, not by the window',
    {
      direction: (g, slots, t, place) => {
        const result = direction(g, slots, t, place);
        if (place.rule !== 'sgdm-avg') return result;
        const window = place.hyper['window'] as number;
        return { ...result, delta: (result.delta * window) / Math.min(t, window) };
      },
    },
  ),
  fault('epsilon-inside', 'LRD-RULE-003', "RMSprop's epsilon always inside the root (Keras, tfjs)", {
    hyper: swap('epsilonPlacement', 'outside', 'inside'),
  }),
  fault('centered-unclamped', 'LRD-RULE-003', 'centered RMSprop divides by the uncentered root', {
    direction: (g, slots, t, place) => {
      const result = direction(g, slots, t, place);
      if (place.rule !== 'rmsprop' || place.hyper['centered'] !== true) return result;
      const { delta, slots: plain } = direction(g, slots, t, { ...place, hyper: { ...place.hyper, centered: false } });
      return { delta, slots: { ...result.slots, ...plain } };
    },
  }),
  fault('epsilon-hat', 'LRD-RULE-004', 'Adam with epsilon beside the uncorrected root (the authors, Keras)', {
    hyper: swap('epsilonMode', 'corrected', 'hat'),
  }),
  fault('epsilon-corrected', 'LRD-RULE-005', 'epsilonMode hat is ignored', {
    hyper: swap('epsilonMode', 'hat', 'corrected'),
  }),
  fault('no-bias-correction', 'LRD-RULE-004', 'Adam without bias correction (DeepFaceLab)', { correction: () => 1e7 }),
  fault('amsgrad-of-corrected', 'LRD-RULE-006', "AMSGrad's maximum over corrected moments by default (optax)", {
    hyper: swap('maxOf', 'raw', 'corrected'),
  }),
  fault('radam-from-four', 'LRD-RULE-007', 'RAdam rectifies from rho_t > 4 in every variant', {
    direction: (g, slots, t, place) => {
      const { rule, hyper } = place;
      const early = rule === 'radam' && hyper['beta2'] === 0.999 && t === 5;
      return direction(g, slots, t, early ? { ...place, hyper: { ...hyper, variant: 'paper' } } : place);
    },
  }),
  fault('decay-without-rate', 'LRD-RULE-008', 'AdamW decays by weightDecay theta, without the learning rate', {
    update: (theta, delta, keep, { hyper, rule }) => {
      if (!keep) return theta;
      const decay = rule === 'adamw' ? (hyper['weightDecay'] as number) : 0;
      return theta - rate(hyper) * (delta - decay * theta) - decay * theta;
    },
  }),
  fault('decay-coupled', 'LRD-RULE-008', "AdamW's decay enters the gradient, as L2 does (Adam with weight_decay)", {
    direction: (g, slots, t, place, theta) => {
      if (place.rule !== 'adamw') return direction(g, slots, t, place);
      const decay = (place.hyper['weightDecay'] as number) * theta;
      const result = direction(g + decay, slots, t, place);
      return { ...result, delta: result.delta - decay };
    },
  }),
  fault('decay-decoupled', 'LRD-RULE-010', 'L2 shrinks the parameter beside the step, as in AdamW', {
    coupled: () => 0,
    direction: (g, slots, t, place, theta) => {
      const result = direction(g, slots, t, place);
      if (place.rule === 'adamw') return result;
      return { ...result, delta: result.delta + (place.hyper['weightDecay'] as number) * theta };
    },
  }),
  fault('clipped', 'LRD-RULE-009', 'clips gradients at 1 without being asked', {
    gradient: (g) => Math.max(-1, Math.min(1, g)),
  }),
  fault('decay-lost', 'LRD-RULE-010', 'takes weightDecay and ignores it', { coupled: () => 0 }),
  fault('decay-on-kept-only', 'LRD-RULE-010', 'adds L2 only where the coordinate is kept', {
    coupled: (decay, theta, keep) => (keep ? decay * theta : 0),
  }),
  fault('rmsprop-numerator-without-decay', 'LRD-RULE-010', 'RMSprop with L2 in the second moment only (the authors)', {
    direction: (g, slots, t, place, theta) => {
      const result = direction(g, slots, t, place);
      const { rule, hyper } = place;
      if (rule !== 'rmsprop' || hyper['momentum'] !== 0) return result;
      return { ...result, delta: (result.delta * (g - (hyper['weightDecay'] as number) * theta)) / g };
    },
  }),
  fault('decoupled-decay-unmasked', 'LRD-RULE-011', 'dropped coordinates decay (DemonRanger)', {
    update: (theta, delta, keep, { hyper, rule }) => {
      if (keep) return theta - rate(hyper) * delta;
      return rule === 'adamw' ? theta - rate(hyper) * (hyper['weightDecay'] as number) * theta : theta;
    },
  }),
  fault('another-default', 'LRD-RULE-012', "tfjs's epsilon of 1e-7 where none is given", {
    hyper: (hyper) => (hyper['epsilon'] === 1e-8 ? { ...hyper, epsilon: 1e-7 } : hyper),
  }),
  fault('single-precision', 'LRD-RULE-001', 'computes in float32 and says float64', {
    update: (theta, delta, keep, { hyper }) => (keep ? Math.fround(theta - rate(hyper) * delta) : theta),
  }),
  fault('drifting', 'LRD-NUM-001', 'rounds parameters to float32 after fifty steps', {
    update: (theta, delta, keep, { hyper, count }) =>
      keep ? (count > 40 ? Math.fround(theta - rate(hyper) * delta) : theta - rate(hyper) * delta) : theta,
  }),
];

const streamFaults: readonly PlantedFault[] = [
  fault('seed-cut', 'LRD-STREAM-001', "ignores the seed's high word", {
    key: (seed) => [Number(seed & 0xffffffffn), 0],
  }),
  fault('another-generator', 'LRD-STREAM-001', 'masks are a function of seed, step and index, but not the stream', {
    key: (seed) => [Number((seed * 0x9e3779b97f4a7c15n) & 0xffffffffn), 0x5bd1e995],
  }),
  fault('inverted-stream', 'LRD-STREAM-004', 'drops where the half is below the threshold', {
    keeps: (half, threshold) => half >= threshold,
  }),
  fault('late-mask', 'LRD-STREAM-001', 'counts steps from 0', { maskStep: (step) => step - 1 }),
  fault('high-half-first', 'LRD-STREAM-002', 'reads the high half of a word first', { half: (index) => index ^ 1 }),
  fault('packed-layout', 'LRD-STREAM-003', 'lays tensors out without gaps', {
    bases: (tensors) => tensors.map((_, k) => tensors.slice(0, k).reduce((sum, { size }) => sum + size, 0)),
  }),
  fault('absent-lose-their-place', 'LRD-STREAM-003', 'tensors without a gradient take no place in the stream', {
    bases: (tensors, present) =>
      HONEST.bases(
        tensors.map((tensor, k) => (present[k] === true ? tensor : { ...tensor, size: 0 })),
        present,
      ),
  }),
  fault('off-by-one-threshold', 'LRD-STREAM-004', 'keeps a half that equals T', {
    keeps: (half, threshold) => half <= threshold,
  }),
  fault('truncated-threshold', 'LRD-STREAM-004', 'truncates 2^16 p instead of rounding it', {
    threshold: (p) => Math.max(1, Math.floor(p * 65536)),
  }),
  fault('own-counter', 'LRD-STREAM-005', 'draws another mask each time it is asked', () => {
    let calls = 0;
    return { key: (seed) => [Number((seed + BigInt(++calls)) & 0xffffffffn), Number(seed >> 32n)] };
  }),
  fault('window-of-halves', 'LRD-STREAM-006', 'keeps a window of halves that moves with p', {
    keeps: (half, threshold) => ((half + 7 * threshold) & 0xffff) < threshold,
  }),
];

const randomness: readonly PlantedFault[] = [
  fault('inverted', 'LRD-MASK-001', 'takes p for the probability of dropping (litenn, DemonRanger, torchzero)', {
    ...OWN,
    own: ({ p, size }, random) => Array.from({ length: size }, () => random() >= p),
  }),
  fault('inverted-silent', 'LRD-MASK-001', 'the same, seen from parameters alone', {
    ...OPAQUE,
    own: ({ p, size }, random) => Array.from({ length: size }, () => random() >= p),
  }),
  fault('off-by-two-percent', 'LRD-MASK-001', 'keeps with probability p + .02', {
    ...OWN,
    own: ({ p, size }, random) => Array.from({ length: size }, () => random() < p + 0.02),
  }),
  fault('exact-count', 'LRD-ALG-006', 'keeps exactly p n of the n coordinates of a tensor', {
    ...OWN,
    own: ({ p, size }, random) => {
      const mask = Array.from({ length: size }, (_, i) => i < Math.round(p * size));
      for (let i = size - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [mask[i], mask[j]] = [mask[j] as boolean, mask[i] as boolean];
      }
      return mask;
    },
  }),
  fault('looks-at-the-gradient', 'LRD-ALG-006', 'keeps large gradients more often than small ones', {
    ...OWN,
    own: ({ p, gradient }, random) => gradient.map((g) => random() < (Math.abs(g) > 0.5 ? p + 0.05 : p - 0.05)),
  }),
  fault('stuck', 'LRD-MASK-005', 'draws one mask and keeps it', {
    ...OWN,
    effective: (mask, _place, history) => history[0] ?? mask,
  }),
  fault('every-other-step', 'LRD-MASK-005', 'draws a mask every second step only', {
    ...OWN,
    effective: (mask, _place, history) => (history.length % 2 === 1 ? (history.at(-1) as boolean[]) : mask),
  }),
  fault('shared-by-tensors', 'LRD-MASK-005', 'all tensors of a step start from the same numbers', () => {
    let draws: number[] = [];
    return {
      ...OWN,
      own: ({ p, size, tensor }, random) => {
        if (tensor === 0) draws = [];
        while (draws.length < size) draws.push(random());
        return draws.slice(0, size).map((u) => u < p);
      },
    };
  }),
  fault('shared-by-rows', 'LRD-MASK-005', 'draws one row and repeats it', {
    ...OWN,
    own: ({ p, size, shape }, random) => {
      const width = shape.at(-1) ?? 1;
      const row = Array.from({ length: width }, () => random() < p);
      return Array.from({ length: size }, (_, i) => row[i % width] as boolean);
    },
  }),
  fault('one-bit-a-tensor', 'LRD-MASK-005', 'one draw decides a whole tensor (block-wise, as SkipUpdate)', {
    ...OWN,
    own: ({ p, size }, random) => new Array<boolean>(size).fill(random() < p),
  }),
  fault('paired-neighbours', 'LRD-MASK-005', 'two neighbours share a draw', {
    ...OWN,
    own: ({ p, size }, random) => {
      const draws = Array.from({ length: Math.ceil(size / 2) }, () => random() < p);
      return Array.from({ length: size }, (_, i) => draws[i >> 1] as boolean);
    },
  }),
  fault('rolled', 'LRD-MASK-005', "each step's mask is the last one moved by an element", {
    ...OWN,
    effective: (mask, _place, history) => {
      const first = history[0];
      return first === undefined
        ? mask
        : mask.map((_, i) => first[(i - history.length + 64 * mask.length) % mask.length] as boolean);
    },
  }),
  fault('seedless', 'LRD-MASK-005', 'every run draws the same masks, whatever the seed', {
    ...OWN,
    ownSeed: () => 12345,
  }),
  fault('sticky', 'LRD-EQ-003', 'one bit in ten repeats that of the step before', () => {
    const last = new Map<number, readonly boolean[]>();
    return {
      ...OWN,
      own: ({ p, size, tensor }, random, step) => {
        const before = step === 1 || last.get(tensor)?.length !== size ? undefined : last.get(tensor);
        const mask = Array.from({ length: size }, (_, i) => {
          const fresh = random() < p;
          return before !== undefined && random() < 0.1 ? (before[i] as boolean) : fresh;
        });
        last.set(tensor, mask);
        return mask;
      },
    };
  }),
];

const lifecycle: readonly PlantedFault[] = [
  fault('state-forgotten', 'LRD-STATE-001', 'resumes without its state', { restored: () => undefined }),
  fault('mask-restarts', 'LRD-STATE-001', 'a resumed run draws the masks of step 1 again', {
    maskStep: (step, firstStep) => step - firstStep + 1,
  }),
  fault('correction-restarts', 'LRD-STATE-005', 'bias correction starts anew when a run is resumed', {
    initialCount: () => 0,
  }),
  fault('absent-means-zero', 'LRD-STATE-002', 'takes a missing gradient for zero: moments decay', {
    still: (theta, slots, { hyper }) => ({
      theta,
      slots: Object.fromEntries(
        Object.entries(slots).map(([name, x]) => [
          name,
          name === 'm' ? (hyper['beta1'] as number) * x : name === 'buf' ? (hyper['momentum'] as number) * x : x,
        ]),
      ),
      counts: false,
    }),
  }),
  fault('absent-counts', 'LRD-STATE-002', "bias correction counts steps without a gradient (the optimizer's step)", {
    still: (theta, slots) => ({ theta, slots, counts: true }),
  }),
  fault('first-keep-probability', 'LRD-STATE-003', 'the keep probability never changes', {
    keepProbability: (p, _index, all) => all[0] ?? p,
  }),
  fault('first-hyper', 'LRD-STATE-003', 'learning rate and decay never change', {
    hyper: (_hyper, { first }) => first,
  }),
  fault('rate-inside-buffer', 'LRD-STATE-003', 'the learning rate stands inside the momentum buffer (Keras)', {
    features: HONEST.features.filter((feature) => feature !== 'state' && feature !== 'resume'),
    direction: (g, slots, t, place) => {
      const { rule, hyper } = place;
      if (rule !== 'sgdm' || hyper['momentum'] === 0 || rate(hyper) === 0) return direction(g, slots, t, place);
      const scaled = direction(rate(hyper) * g, slots, t, place);
      return { ...scaled, delta: scaled.delta / rate(hyper) };
    },
  }),
  fault('groups-ignored', 'LRD-STATE-004', "a group's hyper-parameters are ignored", {
    hyper: (_hyper, { shared }) => shared,
  }),
  fault('takes-any-keep-probability', 'LRD-ERROR-001', 'a keep probability of 1.5 or 0 is taken', {
    refuses: (example) => refuseHyper(example) ?? sizeFault(example),
  }),
  fault('takes-any-hyper', 'LRD-ERROR-002', 'a negative learning rate is taken', {
    refuses: (example) => refuseKeepProbability(example) ?? sizeFault(example),
  }),
  fault('mute', 'LRD-ERROR-003', 'an error that does not say what was wrong', { message: () => 'invalid value' }),
  fault('takes-any-size', 'LRD-ERROR-004', 'gradients and masks of the wrong size are taken', {
    refuses: (example) => refuseHyper(example) ?? refuseKeepProbability(example),
  }),
  fault('reports-the-next-mask', 'LRD-PROTO-002', 'reports masks that it did not use', {
    reported: (mask) => mask.map((bit) => !bit),
  }),
];

/** What a program of protocol version 2 can do. */
const FAMILY = { kinds: ALL_KINDS } as const;
/** As most are: SkipUpdate and Magma with masks of its own, nothing told. */
const OPAQUE_FAMILY = { ...OPAQUE, kinds: { 'skip-update': {}, magma: {} } } as const;

const familyFault = (
  name: string,
  caughtBy: string,
  what: string,
  changes: Partial<Behaviour> | (() => Partial<Behaviour>),
): PlantedFault =>
  fault(name, caughtBy, what, () => ({ ...FAMILY, ...(typeof changes === 'function' ? changes() : changes) }));

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

const family: readonly PlantedFault[] = [
  familyFault('inverse-forgotten', 'LRD-FAM-004', 'SkipUpdate without 1/p', { inverse: () => 1 }),
  familyFault('inverse-of-dropping', 'LRD-FAM-004', 'SkipUpdate multiplies by 1/(1 - p)', {
    inverse: (p) => 1 / (1 - p),
  }),
  familyFault('inverse-squared', 'LRD-FAM-004', 'SkipUpdate multiplies by 1/p twice', { inverse: (p) => 1 / p / p }),
  familyFault(
    'masked-moments-of-tensors',
    'LRD-FAM-002',
    'the gradient of a dropped tensor is masked before the moments, not the update',
    {
      gradient: (g, keep) => (keep ? g : 0),
    },
  ),
  familyFault(
    'momentum-of-dropped-tensors-reset',
    'LRD-FAM-002',
    'the momentum of dropped coordinates is set to zero',
    {
      state: resetMomentum,
    },
  ),
  familyFault('moments-skipped', 'LRD-FAM-002', 'a dropped tensor is left out of the step: its moments stand still', {
    state: (before, after, keep) => (keep ? after : before),
  }),
  familyFault('masks-per-element', 'LRD-FAM-003', 'draws for every element where one draw decides about a tensor', {
    granularity: () => 'element',
  }),
  familyFault('masks-per-element-silent', 'LRD-FAM-001', 'the same, with masks of its own, nothing told', {
    ...OPAQUE_FAMILY,
    granularity: () => 'element',
  }),
  familyFault('tensors-on-the-mask-stream', 'LRD-FAM-003', "takes a tensor's draw from the stream of the elements", {
    tensorStream: (base) => ({ stream: 'mask', index: base }),
  }),
  familyFault('tensors-share-a-draw', 'LRD-FAM-003', 'one draw decides about all tensors of a step', {
    tensorStream: () => ({ stream: 'tensorMask', index: 0 }),
  }),
  familyFault('tensors-by-number', 'LRD-FAM-003', "reads a tensor's half at its number, not at its first element", {
    tensorStream: (base) => ({ stream: 'tensorMask', index: base / 64 }),
  }),
  familyFault(
    'tensors-shared-by-own-draws',
    'LRD-FAM-016',
    'one draw of its own decides about all tensors of a step',
    () => {
      const draws = new Map<number, boolean>();
      return {
        ...OPAQUE_FAMILY,
        own: ({ p, tensor }, random, step) => {
          if (tensor === 0) draws.set(step, random() < p);
          return [draws.get(step) ?? true];
        },
      };
    },
  ),
  familyFault('tensors-drawn-every-other-step', 'LRD-FAM-016', 'a draw of its own holds for two steps', () => {
    const draws = new Map<number, boolean>();
    return {
      ...OPAQUE_FAMILY,
      own: ({ p, tensor }, random, step) => {
        if (step % 2 === 1) draws.set(tensor, random() < p);
        return [draws.get(tensor) ?? true];
      },
    };
  }),
  familyFault('tensors-dropped-with-p', 'LRD-FAM-016', 'takes p for the probability of dropping a tensor', {
    ...OPAQUE_FAMILY,
    own: ({ p }, random) => [random() >= p],
  }),
  familyFault('selected-by-product', 'LRD-FAM-001', 'multiplies by the mask instead of selecting: NaN leaks', {
    update: (theta, delta, keep, { hyper }) => theta - rate(hyper) * Number(keep) * delta,
  }),
  familyFault('selected-by-product-silent', 'LRD-FAM-001', 'the same, with masks of its own, nothing told', {
    ...OPAQUE_FAMILY,
    update: (theta, delta, keep, { hyper }) => theta - rate(hyper) * Number(keep) * delta,
  }),
  familyFault(
    'cosine-with-the-update',
    'LRD-FAM-007',
    'takes the cosine of momentum and update in place of momentum and gradient',
    { vectors: ({ deltas }, moment) => [moment, deltas] },
  ),
  familyFault('cosine-of-update-and-gradient', 'LRD-FAM-007', 'takes the cosine of update and gradient', {
    vectors: ({ deltas, g }) => [deltas, g],
  }),
  familyFault('cosine-by-sign', 'LRD-FAM-007', 'takes the mean agreement in sign in place of the cosine', {
    cosine: (m, g) => m.reduce((sum, x, i) => sum + Math.sign(x * (g[i] as number)), 0) / Math.max(1, m.length),
  }),
  familyFault('cosine-not-normalized', 'LRD-FAM-007', 'takes the inner product in place of the cosine', {
    cosine: (m, g) => m.reduce((sum, x, i) => sum + x * (g[i] as number), 0),
  }),
  familyFault('temperature-multiplied', 'LRD-FAM-007', 'multiplies by the temperature instead of dividing', {
    measured: (cosine, { temperature }) => sigmoid(cosine * temperature),
  }),
  familyFault('temperature-ignored', 'LRD-FAM-007', 'takes the sigmoid of the cosine itself', {
    measured: (cosine) => sigmoid(cosine),
  }),
  familyFault('sigmoid-forgotten', 'LRD-FAM-007', 'takes the cosine itself, brought to [0, 1]', {
    measured: (cosine) => (1 + cosine) / 2,
  }),
  familyFault('alignment-not-smoothed', 'LRD-FAM-007', 'multiplies by the alignment that is measured, unsmoothed', {
    alignment: (_previous, measured) => ({ factor: measured, stored: measured }),
  }),
  familyFault(
    'smoothing-reversed',
    'LRD-FAM-007',
    'weighs the new alignment by the smoothing, the old one by the rest',
    {
      alignment: (previous, measured, step) => {
        const { smoothing } = step.mask;
        return HONEST.alignment(previous, measured, { ...step, mask: { ...step.mask, smoothing: 1 - smoothing } });
      },
    },
  ),
  familyFault('alignment-one-late', 'LRD-FAM-007', 'multiplies by the alignment of the step before', {
    alignment: (previous, measured, step) => {
      const { stored } = HONEST.alignment(previous, measured, step);
      return { factor: previous ?? stored, stored };
    },
  }),
  familyFault('alignment-divided-by-p', 'LRD-FAM-007', 'Magma multiplies by 1/p too', {
    factor: (factor, { mask, p }) => (mask.factor === 'alignment' ? factor / p : factor),
  }),
  familyFault('alignment-dropped', 'LRD-FAM-007', 'multiplies nothing by the alignment that it keeps', {
    factor: (factor, { mask }) => (mask.factor === 'alignment' ? 1 : factor),
  }),
  familyFault('alignment-frozen', 'LRD-FAM-008', 'the alignment of a dropped tensor stands still', {
    alignment: (previous, measured, step) => {
      const next = HONEST.alignment(previous, measured, step);
      const kept = step.keep.some(Boolean);
      return kept || previous === undefined ? next : { ...next, stored: previous };
    },
  }),
  familyFault('alignment-restarts', 'LRD-STATE-001', 'a resumed run begins with a first alignment', {
    restored: (state) => {
      const { alignment: _, ...rest } = state ?? {};
      return state === undefined ? undefined : rest;
    },
  }),
  familyFault('first-alignment-of-one', 'LRD-FAM-007', 'begins with an alignment of 1, whatever is asked for', {
    alignment: (previous, measured, step) => HONEST.alignment(previous ?? 1, measured, step),
  }),
  familyFault('moment-borrowed', 'LRD-FAM-009', "takes RMSprop's buffer of steps for a moment of gradients", {
    vectors: ({ rule, g, after }, moment) => [
      rule === 'rmsprop' && after.every((slots) => 'buf' in slots) ? after.map(({ buf = 0 }) => buf) : moment,
      g,
    ],
  }),
  familyFault('moment-undamped', 'LRD-FAM-009', "the mask's own moment adds the whole gradient", {
    moment: (mu, g, { momentDecay }) => momentDecay * mu + g,
  }),
  familyFault('agreement-inverted', 'LRD-FAM-010', 'keeps where step and gradient disagree', {
    agrees: (u, g) => (u > 0 && g < 0) || (u < 0 && g > 0),
  }),
  familyFault('agreement-with-zero', 'LRD-FAM-010', 'keeps where step or gradient is zero', {
    agrees: (u, g) => u * g >= 0,
  }),
  familyFault('agreement-of-raw-gradients', 'LRD-FAM-010', 'compares with the gradient before L2', {
    agrees: (u, _g, { raw }, i) => HONEST.agrees(u, raw[i] as number, {} as never, i),
  }),
  familyFault('agreement-of-parameters', 'LRD-FAM-010', 'compares the signs of step and parameter', {
    agrees: (u, _g, { theta }, i) => HONEST.agrees(u, theta[i] as number, {} as never, i),
  }),
  familyFault('mean-forgotten', 'LRD-FAM-011', 'Cautious without 1/mean', { mean: () => 1 }),
  familyFault('mean-multiplied', 'LRD-FAM-011', 'multiplies by the mean of the mask', {
    mean: (keep, mask) => 1 / HONEST.mean(keep, mask),
  }),
  familyFault('mean-of-dropped', 'LRD-FAM-011', 'divides by the share that is dropped', {
    mean: (keep, mask) =>
      HONEST.mean(
        keep.map((bit) => !bit),
        mask,
      ),
  }),
  familyFault('mean-without-floor', 'LRD-FAM-011', 'divides by the mean however small it is', {
    mean: (keep, mask) => HONEST.mean(keep, { ...mask, meanFloor: 1e-12 }),
  }),
  familyFault('excluded-multiplied', 'LRD-FAM-013', 'masks and multiplies the tensors that the caller excluded', {
    plain: (plain, excluded) => plain && !excluded,
    excluded: () => false,
  }),
  familyFault('decay-unmasked', 'LRD-FAM-014', 'decoupled decay reaches dropped tensors, whatever is asked for', {
    decay: () => 'plain',
  }),
  familyFault(
    'decay-always-scaled',
    'LRD-FAM-014',
    'decoupled decay is multiplied with the step, whatever is asked for',
    {
      decay: () => 'scaled',
    },
  ),
  familyFault('decay-always-masked', 'LRD-FAM-014', 'decoupled decay is masked and never multiplied', {
    decay: () => 'masked',
  }),
  familyFault(
    'p-one-multiplied',
    'LRD-FAM-012',
    'SkipUpdate with p = 1 runs through other roundings than the base rule',
    {
      update: (theta, delta, keep, { hyper, base }) => {
        if (!keep) return theta;
        return base ? theta - rate(hyper) * delta : theta - (rate(hyper) / 3) * (delta * 3);
      },
    },
  ),
  familyFault('takes-any-mask', 'LRD-FAM-015', 'takes any option of a mask, and p where signs decide', {
    refuses: (example) => refuseHyper(example) ?? refuseKeepProbability(example) ?? sizeFault(example),
  }),
];

export const PLANTED_FAULTS: readonly PlantedFault[] = [
  ...semantics,
  ...arithmetic,
  ...streamFaults,
  ...randomness,
  ...lifecycle,
  ...family,
];

/** Correct implementations of different abilities: they must pass all that they can be judged on. */
export const HONEST_VARIANTS: readonly { readonly name: string; readonly changes: Partial<Behaviour> }[] = [
  { name: 'honest', changes: {} },
  { name: 'honest, own masks reported', changes: { ...OWN } },
  { name: 'honest, own masks, nothing told', changes: { ...OPAQUE } },
  { name: 'honest, given masks only', changes: { masks: ['given'] } },
  { name: 'honest, stream without features', changes: { masks: ['stream'], features: [] } },
  { name: 'honest, every kind of mask', changes: { ...FAMILY } },
  { name: 'honest, SkipUpdate and Magma with own masks, nothing told', changes: { ...OPAQUE_FAMILY } },
  {
    name: 'honest, Magma as wrappers have it, given masks only',
    changes: { masks: ['given'], kinds: { magma: { firstAlignment: 'one', moment: 'own', momentDecay: 0.9 } } },
  },
];
