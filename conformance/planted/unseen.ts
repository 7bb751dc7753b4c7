/**
 * Mistakes that were written after the table of signatures was frozen, of the kinds that it knows: what the diagnosis is measured on
 * beside the planted faults. They must not be used to make signatures, nor the diagnosis be fitted to them. `UNSEEN_MISTAKES` were
 * written after the first table and before `diagnosis/variants.ts`, `LATER_UNSEEN_MISTAKES` after that and before the last change to how
 * causes are weighed, `LAST_UNSEEN_MISTAKES` after it; `FINAL_UNSEEN_MISTAKES` after whole families of variants (`diagnosis/drawn.ts`) and kinds
 * of mask had come in; `FITTED_UNSEEN_MISTAKES` after numbers were fitted (`diagnosis/fit.ts`).
 */
import type { MaskSource } from '../protocol/types.ts';
import { ALL_KINDS } from '../protocol/kinds.ts';
import type { Behaviour } from './implementation.ts';
import { HONEST, direction } from './implementation.ts';

export interface UnseenMistake {
  readonly name: string;
  readonly what: string;
  /** Names of `diagnosis/mistakes.ts` that are right for it. */
  readonly kinds: readonly string[];
  readonly changes: Partial<Behaviour> | (() => Partial<Behaviour>);
}

const OWN = { masks: ['own'] as readonly MaskSource[] } as const;
const rate = (hyper: Readonly<Record<string, unknown>>): number => hyper['learningRate'] as number;

const resetIn =
  (rules: readonly string[], slots: readonly string[]): Behaviour['state'] =>
  (_before, after, keep, { rule }) =>
    keep || !rules.includes(rule)
      ? after
      : Object.fromEntries(Object.entries(after).map(([name, x]) => [name, slots.includes(name) ? 0 : x]));

export const UNSEEN_MISTAKES: readonly UnseenMistake[] = [
  {
    name: 'momentum-reset-in-sgd',
    what: 'SGD alone zeroes the momentum of dropped coordinates',
    kinds: ['momentum-reset'],
    changes: { state: resetIn(['sgdm'], ['buf']) },
  },
  {
    name: 'momentum-reset-in-adam',
    what: 'Adam and AdamW zero the first moment of dropped coordinates',
    kinds: ['momentum-reset'],
    changes: { state: resetIn(['adam', 'adamw'], ['m']) },
  },
  {
    name: 'state-reset-own-masks',
    what: 'zeroes momentum and first moment of dropped coordinates, with masks of its own and nothing but parameters told',
    kinds: ['momentum-reset'],
    changes: {
      ...OWN,
      features: [],
      reportsMasks: false,
      state: resetIn(['sgdm', 'adam', 'adamw', 'rmsprop'], ['buf', 'm']),
    },
  },
  {
    name: 'gradient-and-update-masked',
    what: 'masks the gradient before the moments, and the update too',
    kinds: ['masked-gradient', 'frozen-first-moment'],
    changes: { gradient: (g, keep) => (keep ? g : 0) },
  },
  {
    name: 'rescaled-in-adam',
    what: 'divides the step of Adam by p',
    kinds: ['rescaled'],
    changes: {
      update: (theta, delta, keep, { hyper, p, rule }) =>
        keep ? theta - (rate(hyper) * delta) / (rule === 'adam' ? p : 1) : theta,
    },
  },
  {
    name: 'rescaled-both',
    what: 'divides the gradient by p, and by it the step of SGD',
    kinds: ['rescaled'],
    changes: { gradient: (g, _keep, { p, rule }) => (rule === 'sgdm' ? g / p : g) },
  },
  {
    name: 'blended',
    what: 'blends old and new parameters by products with the mask',
    kinds: ['multiplied-mask'],
    changes: {
      update: (theta, delta, keep, { hyper }) => Number(keep) * (theta - rate(hyper) * delta) + Number(!keep) * theta,
    },
  },
  {
    name: 'both-moments-frozen',
    what: 'neither moment advances on dropped steps',
    kinds: ['frozen-first-moment', 'frozen-second-moment'],
    changes: { state: (before, after, keep) => (keep ? after : { ...after, ...before }) },
  },
  {
    name: 'adam-uncorrected',
    what: 'corrects neither moment in Adam',
    kinds: ['no-bias-correction'],
    changes: { correction: ({ count, rule }) => (rule === 'adam' || rule === 'adamw' ? 1e7 : count) },
  },
  {
    name: 'aligned-to-32',
    what: 'starts tensors at multiples of 32',
    kinds: ['packed-layout'],
    changes: {
      bases: (tensors) => {
        let next = 0;
        return tensors.map(({ size }) => {
          const base = next;
          next += Math.ceil(size / 32) * 32;
          return base;
        });
      },
    },
  },
  {
    name: 'early-mask',
    what: 'counts steps from 2',
    kinds: ['late-mask'],
    changes: { maskStep: (step) => step + 1 },
  },
  {
    name: 'low-word-lost',
    what: "ignores the seed's low word",
    kinds: ['seed-cut'],
    changes: { key: (seed) => [0, Number(seed >> 32n)] },
  },
  {
    name: 'clipped-at-a-half',
    what: 'clips gradients at .5',
    kinds: ['clipped'],
    changes: { gradient: (g) => Math.max(-0.5, Math.min(0.5, g)) },
  },
  {
    name: 'inverted-counts-down',
    what: 'drops with probability p: compares with 1 - p from above',
    kinds: ['inverted'],
    changes: { ...OWN, own: ({ p, size }, random) => Array.from({ length: size }, () => !(1 - random() > 1 - p)) },
  },
  {
    name: 'threes-share-a-draw',
    what: 'three neighbours share a draw',
    kinds: ['paired-neighbours', 'one-draw-a-tensor'],
    changes: {
      ...OWN,
      own: ({ p, size }, random) => {
        const draws = Array.from({ length: Math.ceil(size / 3) }, () => random() < p);
        return Array.from({ length: size }, (_, i) => draws[Math.floor(i / 3)] as boolean);
      },
    },
  },
  {
    name: 'every-third-step',
    what: 'draws a mask every third step',
    kinds: ['repeated-in-time', 'sticky'],
    changes: {
      ...OWN,
      effective: (mask, _place, history) =>
        history.length % 3 === 0 ? mask : (history[history.length - (history.length % 3)] ?? mask),
    },
  },
  {
    name: 'decay-of-dropped-in-part',
    what: 'dropped coordinates of AdamW decay half as much',
    kinds: ['dropped-decay'],
    changes: {
      update: (theta, delta, keep, { hyper, rule }) => {
        if (keep) return theta - rate(hyper) * delta;
        return rule === 'adamw' ? theta * (1 - 0.5 * rate(hyper) * (hyper['weightDecay'] as number)) : theta;
      },
    },
  },
  {
    name: 'default-of-1e-6',
    what: 'an epsilon of 1e-6 where none is given',
    kinds: ['another-default'],
    changes: { hyper: (hyper) => (hyper['epsilon'] === 1e-8 ? { ...hyper, epsilon: 1e-6 } : hyper) },
  },
  {
    name: 'nesterov-always',
    what: 'steps by Nesterov momentum whatever is asked for',
    kinds: ['nesterov-ignored'],
    changes: {
      direction: (g, slots, t, place) =>
        direction(g, slots, t, place.rule === 'sgdm' ? { ...place, hyper: { ...place.hyper, nesterov: true } } : place),
    },
  },
];

const among = (rules: string, rule: string): boolean => rules.split(' ').includes(rule);

export const LATER_UNSEEN_MISTAKES: readonly UnseenMistake[] = [
  {
    name: 'reset-before-the-next-step',
    what: 'zeroes the momentum of coordinates that were dropped in the step before',
    kinds: ['momentum-reset'],
    changes: {
      state: (_before, after, keep) => ({ ...after, dropped: Number(!keep) }),
      direction: (g, slots, t, place) =>
        direction(g, slots['dropped'] === 1 ? { ...slots, buf: 0, m: 0 } : slots, t, place),
    },
  },
  {
    name: 'gradient-masked-in-adaptive-rules',
    what: 'masks the gradient instead of the update in RMSprop and Adam; replays given masks, tells nothing else',
    kinds: ['masked-gradient'],
    changes: {
      masks: ['given'],
      features: [],
      gradient: (g, keep, { rule }) => (keep || !among('rmsprop adam', rule) ? g : 0),
      update: (theta, delta, keep, { hyper, rule }) =>
        keep || among('rmsprop adam', rule) ? theta - rate(hyper) * delta : theta,
    },
  },
  {
    name: 'rescaled-where-most-is-dropped',
    what: 'divides the step by p where p is below a half',
    kinds: ['rescaled'],
    changes: {
      update: (theta, delta, keep, { hyper, p }) => (keep ? theta - (rate(hyper) * delta) / (p < 0.5 ? p : 1) : theta),
    },
  },
  {
    name: 'adds-a-masked-step',
    what: 'adds the step times the mask, in rules with a second moment',
    kinds: ['multiplied-mask'],
    changes: {
      update: (theta, delta, keep, { hyper, rule }) =>
        among('sgdm sgdm-avg', rule) && !keep ? theta : theta + Number(keep) * (-rate(hyper) * delta),
    },
  },
  {
    name: 'vectors-kept-in-adam',
    what: 'Adam never drops anything in tensors of one axis',
    kinds: ['always-kept'],
    changes: {
      effective: (mask, { rule, shape }) => mask.map((bit) => bit || (rule === 'adam' && shape.length === 1)),
    },
  },
  {
    name: 'second-moment-decays-in-rmsprop',
    what: "RMSprop's second moment decays on dropped steps without the gradient",
    kinds: ['frozen-second-moment'],
    changes: {
      state: (before, after, keep, { rule, hyper }) =>
        keep || rule !== 'rmsprop' ? after : { ...after, v: (hyper['rho'] as number) * (before['v'] ?? 0) },
    },
  },
  {
    name: 'epsilon-hat-in-adamw',
    what: 'AdamW alone puts epsilon beside the uncorrected root',
    kinds: ['epsilon-hat'],
    changes: {
      direction: (g, slots, t, place) =>
        direction(
          g,
          slots,
          t,
          place.rule === 'adamw' ? { ...place, hyper: { ...place.hyper, epsilonMode: 'hat' } } : place,
        ),
    },
  },
  {
    name: 'decay-lost-in-adam',
    what: 'Adam and AMSGrad ignore weightDecay',
    kinds: ['decay-lost'],
    changes: { coupled: (decay, theta, _keep, { rule }) => (among('adam amsgrad', rule) ? 0 : decay * theta) },
  },
  {
    name: 'seed-of-24-bits',
    what: 'takes 24 bits of the seed',
    kinds: ['seed-cut'],
    changes: { key: (seed) => [Number(seed & 0xffffffn), 0] },
  },
  {
    name: 'first-run-from-zero',
    what: 'counts steps from 0, and rightly where it is resumed',
    kinds: ['late-mask', 'mask-restarts'],
    changes: { maskStep: (step, first) => (first > 1 ? step : step - 1) },
  },
  {
    name: 'aligned-to-24',
    what: 'starts tensors at multiples of 24',
    kinds: ['packed-layout'],
    changes: {
      bases: (tensors) => {
        let next = 0;
        return tensors.map(({ size }) => {
          const base = next;
          next += Math.ceil(size / 24) * 24;
          return base;
        });
      },
    },
  },
  {
    name: 'bytes-of-a-half-swapped',
    what: 'reads each half with its bytes in the other order',
    kinds: ['high-half-first', 'another-generator'],
    changes: { keeps: (half, threshold) => (((half & 0xff) << 8) | (half >> 8)) < threshold },
  },
  {
    name: 'one-draw-a-row',
    what: 'one draw decides a whole row',
    kinds: ['one-draw-a-tensor', 'paired-neighbours'],
    changes: {
      ...OWN,
      own: ({ p, size, shape }, random) => {
        const width = shape.at(-1) ?? 1;
        const rows = Array.from({ length: Math.ceil(size / Math.max(1, width)) }, () => random() < p);
        return Array.from({ length: size }, (_, i) => rows[Math.floor(i / width)] as boolean);
      },
    },
  },
  {
    name: 'five-steps-a-mask',
    what: 'holds a mask for five steps, tells nothing',
    kinds: ['repeated-in-time', 'sticky'],
    changes: {
      ...OWN,
      features: [],
      reportsMasks: false,
      effective: (mask, _place, history) => history[history.length - (history.length % 5)] ?? mask,
    },
  },
  {
    name: 'stuck-after-twenty-steps',
    what: 'draws no mask after step 20',
    kinds: ['repeated-in-time', 'sticky'],
    changes: { ...OWN, effective: (mask, _place, history) => history[20] ?? mask },
  },
  {
    name: 'thirty-two-levels',
    what: 'compares p with numbers of 32 levels, so that it keeps more',
    kinds: ['wrong-rate'],
    changes: {
      ...OWN,
      own: ({ p, size }, random) => Array.from({ length: size }, () => Math.floor(random() * 32) / 32 < p),
    },
  },
  {
    name: 'rolled-by-eight',
    what: "each step's mask is the last one moved by eight elements",
    kinds: ['rolled'],
    changes: {
      ...OWN,
      effective: (mask, _place, history) => {
        const first = history[0];
        return first === undefined
          ? mask
          : mask.map(
              (_, i) => first[(((i - 8 * history.length) % mask.length) + mask.length) % mask.length] as boolean,
            );
      },
    },
  },
  {
    name: 'second-as-the-first',
    what: 'the second tensor takes the numbers of the first, the others their own',
    kinds: ['shared-by-tensors'],
    changes: () => {
      let draws: number[] = [];
      return {
        ...OWN,
        own: ({ p, size, tensor }, random) => {
          const fresh = Array.from({ length: size }, random);
          if (tensor === 0) draws = fresh;
          return fresh.map((u, i) => (tensor === 1 ? (draws[i] ?? u) : u) < p);
        },
      };
    },
  },
  {
    name: 'absent-decays-in-adam',
    what: "Adam's moments decay where a gradient is missing, and the parameter stays",
    kinds: ['absent-means-zero'],
    changes: {
      still: (theta, slots, place) =>
        place.rule !== 'adam'
          ? HONEST.still(theta, slots, place)
          : { theta, slots: direction(0, slots, place.count + 1, place).slots, counts: false },
    },
  },
  {
    name: 'adam-rounds-its-moments',
    what: 'Adam keeps its moments in float32 and says float64',
    kinds: ['single-precision'],
    changes: {
      state: (_before, after, _keep, { rule }) =>
        rule === 'adam' ? Object.fromEntries(Object.entries(after).map(([name, x]) => [name, Math.fround(x)])) : after,
    },
  },
];

export const LAST_UNSEEN_MISTAKES: readonly UnseenMistake[] = [
  {
    name: 'all-reset-in-rmsprop',
    what: 'RMSprop zeroes all of its state where a coordinate is dropped',
    kinds: ['momentum-reset', 'frozen-second-moment'],
    changes: { state: resetIn(['rmsprop'], ['buf', 'v', 'gavg']) },
  },
  {
    name: 'gradient-and-decay-masked-with-own-masks',
    what: 'masks gradient, decay and update by masks of its own',
    kinds: ['masked-gradient'],
    changes: {
      ...OWN,
      features: ['state'],
      gradient: (g, keep) => (keep ? g : 0),
      coupled: (decay, theta, keep) => (keep ? decay * theta : 0),
    },
  },
  {
    name: 'rescaled-by-own-masks',
    what: 'divides the step by p, with masks of its own that it does not tell',
    kinds: ['rescaled'],
    changes: {
      ...OWN,
      features: [],
      reportsMasks: false,
      update: (theta, delta, keep, { hyper, p }) => (keep ? theta - (rate(hyper) * delta) / p : theta),
    },
  },
  {
    name: 'rate-times-mask',
    what: 'multiplies the learning rate by the mask',
    kinds: ['multiplied-mask'],
    changes: {
      masks: ['given', 'own'],
      features: [],
      update: (theta, delta, keep, { hyper }) => theta - rate(hyper) * Number(keep) * delta,
    },
  },
  {
    name: 'single-columns-kept',
    what: 'never drops in tensors whose last axis has one element',
    kinds: ['always-kept'],
    changes: { effective: (mask, { shape }) => mask.map((bit) => bit || shape.at(-1) === 1) },
  },
  {
    name: 'first-moment-frozen-in-adam',
    what: "Adam's first moment stands still on dropped steps",
    kinds: ['frozen-first-moment'],
    changes: {
      state: (before, after, keep, { rule }) => (keep || rule !== 'adam' ? after : { ...after, m: before['m'] ?? 0 }),
    },
  },
  {
    name: 'default-of-1e-2',
    what: 'an epsilon of 1e-2 where none is given',
    kinds: ['another-default'],
    changes: { hyper: (hyper) => (hyper['epsilon'] === 1e-8 ? { ...hyper, epsilon: 1e-2 } : hyper) },
  },
  {
    name: 'three-steps-early',
    what: 'counts steps from 4',
    kinds: ['late-mask'],
    changes: { maskStep: (step) => step + 3 },
  },
  {
    name: 'aligned-to-40',
    what: 'starts tensors at multiples of 40',
    kinds: ['packed-layout'],
    changes: {
      bases: (tensors) => {
        let next = 0;
        return tensors.map(({ size }) => {
          const base = next;
          next += Math.ceil(size / 40) * 40;
          return base;
        });
      },
    },
  },
  {
    name: 'dropped-decay-twice',
    what: 'dropped coordinates of AdamW decay twice as much as kept ones',
    kinds: ['dropped-decay'],
    changes: {
      update: (theta, delta, keep, { hyper, rule }) => {
        if (keep) return theta - rate(hyper) * delta;
        return rule === 'adamw' ? theta * (1 - 2 * rate(hyper) * (hyper['weightDecay'] as number)) : theta;
      },
    },
  },
  {
    name: 'inverted-where-small',
    what: 'takes a p below a half for the probability of dropping',
    kinds: ['inverted'],
    changes: {
      ...OWN,
      own: ({ p, size }, random) => Array.from({ length: size }, () => random() < Math.max(p, 1 - p)),
    },
  },
  {
    name: 'two-masks-in-turn',
    what: 'draws two masks and takes them in turn',
    kinds: ['repeated-in-time'],
    changes: { ...OWN, effective: (mask, _place, history) => history[history.length % 2] ?? mask },
  },
];

const FAMILY = { kinds: ALL_KINDS } as const;
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export const FINAL_UNSEEN_MISTAKES: readonly UnseenMistake[] = [
  {
    name: 'momentum-halved',
    what: 'halves the momentum of dropped coordinates',
    kinds: ['momentum-reset', 'frozen-first-moment'],
    changes: {
      state: (_before, after, keep) =>
        keep
          ? after
          : Object.fromEntries(
              Object.entries(after).map(([name, x]) => [name, name === 'buf' || name === 'm' ? x / 2 : x]),
            ),
    },
  },
  {
    name: 'gradient-masked-in-amsgrad-and-radam',
    what: 'masks the gradient instead of the update in AMSGrad and RAdam',
    kinds: ['masked-gradient'],
    changes: {
      gradient: (g, keep, { rule }) => (keep || !among('amsgrad radam', rule) ? g : 0),
      update: (theta, delta, keep, { hyper, rule }) =>
        keep || among('amsgrad radam', rule) ? theta - rate(hyper) * delta : theta,
    },
  },
  {
    name: 'rescaled-by-the-root',
    what: 'divides the step by the root of p',
    kinds: ['rescaled'],
    changes: {
      update: (theta, delta, keep, { hyper, p }) => (keep ? theta - (rate(hyper) * delta) / Math.sqrt(p) : theta),
    },
  },
  {
    name: 'small-tensors-kept',
    what: 'never drops in tensors of fewer than three elements',
    kinds: ['always-kept'],
    changes: { effective: (mask) => mask.map((bit) => bit || mask.length < 3) },
  },
  {
    name: 'l2-of-dropped-halved',
    what: 'adds half of the L2 term to the gradients of dropped coordinates',
    kinds: ['decay-on-kept-only'],
    changes: { coupled: (decay, theta, keep) => (keep ? 1 : 0.5) * decay * theta },
  },
  {
    name: 'seed-through-a-float',
    what: 'rounds the low word of the seed to float32',
    kinds: ['seed-cut'],
    changes: { key: (seed) => [Math.fround(Number(seed & 0xffffffffn)) >>> 0, Number(seed >> 32n)] },
  },
  {
    name: 'twenty-steps-early',
    what: 'counts steps from 21',
    kinds: ['late-mask'],
    changes: { maskStep: (step) => step + 20 },
  },
  {
    name: 'aligned-to-192',
    what: 'starts tensors at multiples of 192',
    kinds: ['packed-layout'],
    changes: {
      bases: (tensors) => {
        let next = 0;
        return tensors.map(({ size }) => {
          const base = next;
          next += Math.ceil(size / 192) * 192;
          return base;
        });
      },
    },
  },
  {
    name: 'nine-tenths-of-p',
    what: 'keeps with nine tenths of p',
    kinds: ['wrong-rate'],
    changes: { ...OWN, own: ({ p, size }, random) => Array.from({ length: size }, () => random() < 0.9 * p) },
  },
  {
    name: 'redrawn-by-a-coin',
    what: 'draws a new mask in half of the steps, by a coin',
    kinds: ['repeated-in-time', 'sticky'],
    changes: () => {
      const last = new Map<number, boolean[]>();
      return {
        ...OWN,
        own: ({ p, size, tensor }, random, step) => {
          const fresh = Array.from({ length: size }, () => random() < p);
          const before = step === 1 ? undefined : last.get(tensor);
          const mask = before?.length === size && random() < 0.5 ? before : fresh;
          last.set(tensor, mask);
          return mask;
        },
      };
    },
  },
  {
    name: 'antithetic-neighbours',
    what: 'every second element takes 1 - u of the one before it',
    kinds: ['paired-neighbours'],
    changes: {
      ...OWN,
      own: ({ p, size }, random) => {
        let u = 0;
        return Array.from({ length: size }, (_, i) => (i % 2 === 0 ? (u = random()) : 1 - u) < p);
      },
    },
  },
  {
    name: 'default-of-3e-8',
    what: 'an epsilon of 3e-8 where none is given',
    kinds: ['another-default'],
    changes: { hyper: (hyper) => (hyper['epsilon'] === 1e-8 ? { ...hyper, epsilon: 3e-8 } : hyper) },
  },
  {
    name: 'clipped-at-one-and-a-half',
    what: 'clips gradients at 1.5',
    kinds: ['clipped'],
    changes: { gradient: (g) => Math.max(-1.5, Math.min(1.5, g)) },
  },
  {
    name: 'second-moment-frozen-in-adamw',
    what: "AdamW's second moment stands still on dropped steps",
    kinds: ['frozen-second-moment'],
    changes: {
      state: (before, after, keep, { rule }) => (keep || rule !== 'adamw' ? after : { ...after, v: before['v'] ?? 0 }),
    },
  },
  {
    name: 'absent-counts-in-adam',
    what: "Adam's bias correction counts steps without a gradient",
    kinds: ['absent-counts'],
    changes: { still: (theta, slots, { rule }) => ({ theta, slots, counts: rule === 'adam' }) },
  },
  {
    name: 'inverse-of-the-root',
    what: 'SkipUpdate multiplies by the inverse of the root of p',
    kinds: ['another-inverse'],
    changes: { ...FAMILY, inverse: (p) => 1 / Math.sqrt(p) },
  },
  {
    name: 'cosine-with-the-update-in-adamw',
    what: 'takes the cosine of momentum and update, in AdamW',
    kinds: ['cosine-of-the-update'],
    changes: { ...FAMILY, vectors: ({ deltas, g, rule }, moment) => [moment, rule === 'adamw' ? deltas : g] },
  },
  {
    name: 'temperature-squared',
    what: 'divides the cosine by the square of the temperature',
    kinds: ['another-sigmoid'],
    changes: { ...FAMILY, measured: (cosine, { temperature }) => sigmoid(cosine / temperature ** 2) },
  },
  {
    name: 'unsmoothed-in-sgd',
    what: 'does not smooth the alignment in SGD',
    kinds: ['alignment-not-smoothed'],
    changes: {
      ...FAMILY,
      alignment: (previous, measured, step) =>
        step.rule === 'sgdm' ? { factor: measured, stored: measured } : HONEST.alignment(previous, measured, step),
    },
  },
  {
    name: 'alignment-frozen-in-the-adam-family',
    what: 'the alignment of dropped tensors stands still in Adam and its relatives',
    kinds: ['alignment-frozen'],
    changes: {
      ...FAMILY,
      alignment: (previous, measured, step) => {
        const next = HONEST.alignment(previous, measured, step);
        const frozen = previous !== undefined && !step.keep.some(Boolean) && !among('sgdm rmsprop', step.rule);
        return frozen ? { factor: next.factor, stored: previous } : next;
      },
    },
  },
  {
    name: 'agreement-with-the-moment',
    what: 'Cautious compares the gradient with the first moment instead of the step',
    kinds: ['agreement-of-others'],
    changes: {
      ...FAMILY,
      agrees: (u, g, step, i) => {
        const slots = step.after[i] ?? {};
        return HONEST.agrees(slots['m'] ?? slots['gavg'] ?? slots['buf'] ?? u, g, step, i);
      },
    },
  },
  {
    name: 'mean-with-one-more',
    what: 'Cautious divides by kept / (size + 1)',
    kinds: ['another-mean'],
    changes: {
      ...FAMILY,
      mean: (keep, mask) =>
        mask.normalization === 'count'
          ? HONEST.mean(keep, mask)
          : 1 / Math.max(keep.filter(Boolean).length / (keep.length + 1), mask.meanFloor),
    },
  },
  {
    name: 'plain-decay-masked',
    what: 'masks decoupled decay where it is to be plain',
    kinds: ['decay-in-one-way'],
    changes: { ...FAMILY, decay: ({ decay }) => (decay === 'plain' ? 'masked' : decay) },
  },
  {
    name: 'tensors-a-block-later',
    what: "reads a tensor's half in the block after its first element's",
    kinds: ['another-tensor-draw'],
    changes: { ...FAMILY, tensorStream: (base) => ({ stream: 'tensorMask', index: base + 8 }) },
  },
  {
    name: 'moments-skipped-in-adam',
    what: 'the moments of dropped coordinates stand still in Adam, whatever the mask is',
    kinds: ['moments-skipped', 'frozen-first-moment', 'frozen-second-moment'],
    changes: { ...FAMILY, state: (before, after, keep, { rule }) => (keep || rule !== 'adam' ? after : before) },
  },
];

export const FITTED_UNSEEN_MISTAKES: readonly UnseenMistake[] = [
  {
    name: 'second-correction-without-its-root',
    what: 'divides the root of v by 1 - beta2^t in Adam, where the root of that belongs',
    kinds: ['no-bias-correction'],
    changes: {
      direction: (g, slots, t, place) => {
        const result = direction(g, slots, t, place);
        const { rule, hyper } = place;
        if (rule !== 'adam' || hyper['epsilonMode'] === 'hat') return result;
        const [beta1, beta2] = [hyper['beta1'] as number, hyper['beta2'] as number];
        const root = Math.sqrt(result.slots['v'] ?? 0) / (1 - beta2 ** t);
        return {
          ...result,
          delta: (result.slots['m'] ?? 0) / (1 - beta1 ** t) / (root + (hyper['epsilon'] as number)),
        };
      },
    },
  },
  {
    name: 'corrected-one-step-ahead',
    what: 'corrects the bias of Adam and AdamW with t + 1',
    kinds: ['no-bias-correction'],
    changes: { correction: ({ count, rule }) => (among('adam adamw', rule) ? count + 1 : count) },
  },
  {
    name: 'epsilon-squared-inside',
    what: 'RMSprop divides by the root of v + epsilon^2',
    kinds: ['epsilon-inside'],
    changes: {
      direction: (g, slots, t, place) => {
        const { rule, hyper } = place;
        if (rule !== 'rmsprop' || hyper['epsilonPlacement'] === 'inside') return direction(g, slots, t, place);
        const epsilon = (hyper['epsilon'] as number) ** 2;
        return direction(g, slots, t, { ...place, hyper: { ...hyper, epsilonPlacement: 'inside', epsilon } });
      },
    },
  },
  {
    name: 'decay-of-l2-and-beside-it',
    what: 'adds L2 to the gradient of Adam, and shrinks the parameter by learningRate weightDecay besides',
    kinds: ['decay-decoupled', 'decay-lost'],
    changes: {
      direction: (g, slots, t, place, theta) => {
        const result = direction(g, slots, t, place);
        return place.rule === 'adam'
          ? { ...result, delta: result.delta + (place.hyper['weightDecay'] as number) * theta }
          : result;
      },
    },
  },
  {
    name: 'rescaled-by-the-square',
    what: 'divides the step by p twice',
    kinds: ['rescaled'],
    changes: {
      update: (theta, delta, keep, { hyper, p }) => (keep ? theta - (rate(hyper) * delta) / p / p : theta),
    },
  },
  {
    name: 'buffer-times-mask-in-rmsprop',
    what: "RMSprop's buffer is multiplied by the mask",
    kinds: ['momentum-reset'],
    changes: { state: resetIn(['rmsprop'], ['buf']) },
  },
  {
    name: 'second-moment-times-mask',
    what: 'the second moment is multiplied by the mask in Adam and RMSprop',
    kinds: ['frozen-second-moment'],
    changes: { state: resetIn(['adam', 'rmsprop'], ['v']) },
  },
  {
    name: 'stale-mask',
    what: 'takes the mask of the step before, and none in the first step',
    kinds: ['late-mask'],
    changes: {
      masks: ['given'],
      effective: (mask, _place, history) => history.at(-1) ?? mask.map(() => true),
    },
  },
  {
    name: 'masks-of-the-noise-stream',
    what: 'draws masks from stream 3',
    kinds: ['another-generator'],
    changes: { maskStream: 'gradientNoise' },
  },
  {
    name: 'twelve-halves-later',
    what: "reads the stream's halves from the thirteenth on",
    kinds: ['high-half-first', 'packed-layout'],
    changes: { half: (index) => index + 12 },
  },
  {
    name: 'nesterov-of-the-old-buffer',
    what: 'steps by g + momentum times the buffer of the step before',
    kinds: ['nesterov-ignored'],
    changes: {
      direction: (g, slots, t, place) => {
        const result = direction(g, slots, t, place);
        const { rule, hyper } = place;
        if (rule !== 'sgdm' || hyper['nesterov'] !== true || hyper['momentum'] === 0) return result;
        return { ...result, delta: g + (hyper['momentum'] as number) * (slots['buf'] ?? 0) };
      },
    },
  },
  {
    name: 'p-of-nine-bits',
    what: 'rounds p to 512 levels',
    kinds: ['truncated-threshold'],
    changes: { threshold: (p) => Math.max(1, Math.round(p * 512) * 128) },
  },
  {
    name: 'p-through-a-half',
    what: 'rounds p to the eleven bits of a float16 before it makes the threshold',
    kinds: ['truncated-threshold'],
    changes: {
      threshold: (p) => {
        const unit = 2 ** (Math.floor(Math.log2(p)) - 10);
        return Math.max(1, Math.floor(Math.round(p / unit) * unit * 65536 + 0.5));
      },
    },
  },
  {
    name: 'inverse-in-first-order',
    what: 'SkipUpdate multiplies by 2 - p',
    kinds: ['another-inverse'],
    changes: { ...FAMILY, inverse: (p) => 2 - p },
  },
  {
    name: 'mean-squared',
    what: 'Cautious divides by the square of the mean',
    kinds: ['another-mean'],
    changes: { ...FAMILY, mean: (keep, mask) => HONEST.mean(keep, mask) ** 2 },
  },
  {
    name: 'cosine-halved',
    what: 'takes the sigmoid of half the cosine over the temperature',
    kinds: ['another-sigmoid'],
    changes: { ...FAMILY, measured: (cosine, { temperature }) => sigmoid(cosine / 2 / temperature) },
  },
  {
    name: 'clipped-at-three-tenths-in-sgd',
    what: 'clips gradients at .3 in SGD',
    kinds: ['clipped'],
    changes: { gradient: (g, _keep, { rule }) => (rule === 'sgdm' ? Math.max(-0.3, Math.min(0.3, g)) : g) },
  },
  {
    name: 'frozen-and-rescaled',
    what: 'leaves the momentum of dropped coordinates, and divides the step by p',
    kinds: ['frozen-first-moment', 'rescaled'],
    changes: {
      state: (before, after, keep) =>
        keep
          ? after
          : {
              ...after,
              ...('m' in after ? { m: before['m'] ?? 0 } : {}),
              ...('buf' in after ? { buf: before['buf'] ?? 0 } : {}),
            },
      update: (theta, delta, keep, { hyper, p }) => (keep ? theta - (rate(hyper) * delta) / p : theta),
    },
  },
  {
    name: 'beta2-of-985',
    what: 'a beta2 of .985 where none is given',
    kinds: ['another-default'],
    changes: { hyper: (hyper) => (hyper['beta2'] === 0.999 ? { ...hyper, beta2: 0.985 } : hyper) },
  },
  {
    name: 'seed-plus-seven',
    what: 'adds 7 to the seed',
    kinds: ['seed-cut'],
    changes: { key: (seed) => HONEST.key(BigInt.asUintN(64, seed + 7n)) },
  },
  {
    name: 'a-hundred-steps-a-step',
    what: "the stream's step is a hundred times the optimizer's",
    kinds: ['late-mask'],
    changes: { maskStep: (step) => 100 * step },
  },
  {
    name: 'absent-halves',
    what: 'halves the moments of a tensor without a gradient',
    kinds: ['absent-means-zero'],
    changes: {
      still: (theta, slots) => ({
        theta,
        slots: Object.fromEntries(Object.entries(slots).map(([name, x]) => [name, among('m v buf', name) ? x / 2 : x])),
        counts: false,
      }),
    },
  },
  {
    name: 'resumed-two-steps-ahead',
    what: 'bias correction is two steps ahead in a resumed run',
    kinds: ['correction-restarts'],
    changes: {
      initialCount: (example) => (example.state === undefined ? 0 : (example.firstStep ?? 1) + 1),
    },
  },
  {
    name: 'the-mask-before-the-last',
    what: 'every second step takes the mask of two steps before',
    kinds: ['repeated-in-time', 'sticky'],
    changes: {
      ...OWN,
      effective: (mask, _place, history) => (history.length % 2 === 1 ? (history.at(-2) ?? mask) : mask),
    },
  },
];
