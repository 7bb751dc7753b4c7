/**
 * Mistakes that were written after the table of signatures was frozen, of the kinds that it knows: what the diagnosis is measured on
 * beside the planted faults. They must not be used to make signatures, nor the diagnosis be fitted to them.
 */
import type { MaskSource } from '../protocol/types.ts';
import type { Behaviour } from './implementation.ts';
import { direction } from './implementation.ts';

export interface UnseenMistake {
  readonly name: string;
  readonly what: string;
  /** Names of `diagnosis/mistakes.ts` that are right for it. */
  readonly kinds: readonly string[];
  readonly changes: Partial<Behaviour>;
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
