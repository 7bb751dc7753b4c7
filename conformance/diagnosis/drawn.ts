/**
 * Other ways in which masks of one's own are drawn wrongly: whole families of them, for signatures alone. Such a mask cannot be made again
 * on the failing case, so that a mistake is known by what statistics say of it; one planted fault a mistake is too few to tell what is
 * the mistake's and what is that fault's.
 */
import type { Behaviour, Random } from '../planted/implementation.ts';
import type { MaskSource } from '../protocol/types.ts';

/** One way to draw masks wrongly. */
export interface DrawnVariant {
  readonly name: string;
  /** A name of `mistakes.ts`. */
  readonly mistake: string;
  /** Fresh for every implementation: some remember. */
  readonly changes: () => Partial<Behaviour>;
}

const OWN = { masks: ['own'] as readonly MaskSource[] } as const;

type History = readonly (readonly boolean[])[];

/** A step's mask from those that were drawn before it, and its own. */
const chosen = (choose: (history: History, mask: readonly boolean[]) => readonly boolean[]): Partial<Behaviour> => ({
  ...OWN,
  effective: (mask, _place, history) => choose(history, mask),
});

/** One draw for each group of elements. */
const grouped = (group: (i: number, shape: readonly number[], size: number) => number): Partial<Behaviour> => ({
  ...OWN,
  own: ({ p, size, shape }, random) => {
    const draws = new Map<number, boolean>();
    return Array.from({ length: size }, (_, i) => {
      const key = group(i, shape, size);
      const known = draws.get(key);
      if (known !== undefined) return known;
      const bit = random() < p;
      draws.set(key, bit);
      return bit;
    });
  },
});

const drawnBy = (keep: (p: number, random: Random) => boolean): Partial<Behaviour> => ({
  ...OWN,
  own: ({ p, size }, random) => Array.from({ length: size }, () => keep(p, random)),
});

/** Exactly the rounded share of each run of `length` elements is kept. */
const counted = (length: (shape: readonly number[], size: number) => number): Partial<Behaviour> => ({
  ...OWN,
  own: ({ p, size, shape }, random) => {
    const mask: boolean[] = [];
    while (mask.length < size) {
      const count = Math.min(Math.max(1, length(shape, size)), size - mask.length);
      const part = Array.from({ length: count }, (_, i) => i < Math.round(p * count));
      for (let i = count - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [part[i], part[j]] = [part[j] as boolean, part[i] as boolean];
      }
      mask.push(...part);
    }
    return mask;
  },
});

/** A share of the bits is that of the step before. */
const sticky = (share: number) => (): Partial<Behaviour> => {
  const last = new Map<number, readonly boolean[]>();
  return {
    ...OWN,
    own: ({ p, size, tensor }, random, step) => {
      const before = step === 1 || last.get(tensor)?.length !== size ? undefined : last.get(tensor);
      const mask = Array.from({ length: size }, (_, i) => {
        const fresh = random() < p;
        return before !== undefined && random() < share ? (before[i] as boolean) : fresh;
      });
      last.set(tensor, mask);
      return mask;
    },
  };
};

/** Tensor k takes the numbers of tensor `from(k)`. */
const shared = (from: (tensor: number) => number) => (): Partial<Behaviour> => {
  let draws = new Map<number, number[]>();
  return {
    ...OWN,
    own: ({ p, size, tensor }, random) => {
      if (tensor === 0) draws = new Map();
      const fresh = Array.from({ length: size }, random);
      draws.set(tensor, fresh);
      const taken = draws.get(from(tensor)) ?? fresh;
      return fresh.map((u, i) => (taken[i] ?? u) < p);
    },
  };
};

/** Each step's mask is the first one, moved along. */
const rolled = (by: number): Partial<Behaviour> =>
  chosen((history, mask) => {
    const first = history[0];
    const size = mask.length;
    if (first === undefined) return mask;
    return mask.map((_, i) => first[(((i - by * history.length) % size) + size) % size] as boolean);
  });

/** The probability depends on the gradient. */
const looking = (shift: (g: number) => number): Partial<Behaviour> => ({
  ...OWN,
  own: ({ p, gradient }, random) => gradient.map((g) => random() < p + shift(g)),
});

const family = (
  mistake: string,
  ...ways: readonly (readonly [string, Partial<Behaviour> | (() => Partial<Behaviour>)])[]
): DrawnVariant[] =>
  ways.map(([name, changes]) => ({
    name: `${mistake}: ${name}`,
    mistake,
    changes: typeof changes === 'function' ? changes : () => changes,
  }));

const widthOf = (shape: readonly number[]): number => Math.max(1, shape.at(-1) ?? 1);

export const DRAWN_VARIANTS: readonly DrawnVariant[] = [
  ...family(
    'repeated-in-time',
    ...[3, 4, 6, 10].map((steps): [string, Partial<Behaviour>] => [
      `held for ${steps} steps`,
      chosen((history, mask) => history[history.length - (history.length % steps)] ?? mask),
    ]),
    ...[2, 3, 4].map((masks): [string, Partial<Behaviour>] => [
      `${masks} in turn`,
      chosen((history, mask) => history[history.length % masks] ?? mask),
    ]),
    ...[2, 8, 40].map((steps): [string, Partial<Behaviour>] => [
      `stuck after ${steps} steps`,
      chosen((history, mask) => history[steps] ?? mask),
    ]),
  ),
  ...family(
    'sticky',
    ...[0.05, 0.3, 0.6].map((share): [string, () => Partial<Behaviour>] => [`${share}`, sticky(share)]),
  ),
  ...family(
    'wrong-rate',
    ...[-0.05, -0.02, 0.05].map((off): [string, Partial<Behaviour>] => [
      `p ${off}`,
      drawnBy((p, random) => random() < p + off),
    ]),
    ...[10, 16, 50].map((levels): [string, Partial<Behaviour>] => [
      `${levels} levels`,
      drawnBy((p, random) => Math.floor(random() * levels) / levels < p),
    ]),
    ['20 levels, the last too', drawnBy((p, random) => Math.floor(random() * 20) / 20 <= p)],
    ['squared', drawnBy((p, random) => random() < p && random() < p)],
    ['root', drawnBy((p, random) => random() < Math.sqrt(p))],
  ),
  ...family(
    'inverted',
    ['where p is large', drawnBy((p, random) => random() < Math.min(p, 1 - p))],
    ['where p is small', drawnBy((p, random) => random() < Math.max(p, 1 - p))],
  ),
  ...family('rolled', ...[-1, 2, 3, 5, 7, 16].map((by): [string, Partial<Behaviour>] => [`by ${by}`, rolled(by)])),
  ...family(
    'paired-neighbours',
    ...[3, 4, 8].map((count): [string, Partial<Behaviour>] => [
      `${count} of them`,
      grouped((i) => Math.floor(i / count)),
    ]),
    ['mirrored', grouped((i, _shape, size) => Math.min(i, size - 1 - i))],
    ['a period of 64', grouped((i) => i % 64)],
  ),
  ...family(
    'one-draw-a-tensor',
    ['a row', grouped((i, shape) => Math.floor(i / widthOf(shape)))],
    ['a block of 128', grouped((i) => Math.floor(i / 128))],
    ['a half', grouped((i, _shape, size) => Number(2 * i < size))],
  ),
  ...family('shared-by-rows', ['every 80', grouped((i, shape) => (shape.length > 1 ? i % 80 : i))]),
  ...family('exact-count', ['of a row', counted(widthOf)], ['of 64', counted(() => 64)], ['of 10', counted(() => 10)]),
  ...family(
    'looks-at-the-gradient',
    ['the small ones', looking((g) => (Math.abs(g) > 0.5 ? -0.05 : 0.05))],
    ['in proportion', looking((g) => 0.1 * (Math.abs(g) - 0.5))],
    ['a little', looking((g) => (Math.abs(g) > 0.5 ? 0.02 : -0.02))],
    [
      'a matrix more than a vector',
      {
        ...OWN,
        own: ({ p, size, shape }, random) =>
          Array.from({ length: size }, () => random() < (shape.length > 1 ? p + 0.05 : p - 0.05)),
      },
    ],
  ),
  ...family(
    'shared-by-tensors',
    ['the second of the first', shared((tensor) => (tensor === 1 ? 0 : tensor))],
    ['the third of the first', shared((tensor) => (tensor === 2 ? 0 : tensor))],
    ['of the one before', shared((tensor) => Math.max(0, tensor - 1))],
  ),
  ...family(
    'seedless',
    ['a byte of it', { ...OWN, ownSeed: (seed) => Number(seed & 0n) }],
    ['seeds that follow each other overlap', { ...OWN, ownSeed: (seed) => Number((seed >> 8n) & 0xffffffffn) }],
  ),
];
