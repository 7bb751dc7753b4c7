import { createHash } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import { FROM_0, PROBABILITY, oneOf, wholeFrom } from '../storage/form.ts';
import type { Read } from '../storage/form.ts';
import { shortName } from '../storage/modules.ts';

const PHASE = Type.Object({
  from: wholeFrom(1),
  learningRate: Type.Optional(FROM_0),
  weightDecay: Type.Optional(FROM_0),
  /** Share of elements that Sparse Gradients holds still. */
  sparsity: Type.Optional(FROM_0),
});

const REGULARIZERS = Type.Object({
  /** Standard dropout, inverted: the probability that a unit is retained. */
  retain: Type.Optional(PROBABILITY),
  /** Noisy labels: the probability that a label is replaced by one of the others. */
  labelNoise: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  /** Gradient centralization. */
  centralize: Type.Optional(Type.Boolean()),
  /** Gradient noise: eta of s^2 = eta / (1 + t)^.55. */
  gradientNoise: Type.Optional(FROM_0),
  /** Dropout on gradients: the probability that an element is kept. */
  gradientKeepProbability: Type.Optional(PROBABILITY),
  /** A share of parameters that never moves: half of the elements (one fixed mask), or every other tensor. */
  frozen: Type.Optional(oneOf(['elements', 'tensors'])),
  /** What the pattern of Sparse Gradients masks; `gradients` when left out. */
  sparseReading: Type.Optional(oneOf(['updates'])),
});

/** The settings of a cell as plans and results hold them. */
export const SETTINGS = Type.Object({
  recipe: Type.String({ minLength: 1 }),
  data: Type.String({ minLength: 1 }),
  optimizer: Type.String({ minLength: 1 }),
  keepProbability: PROBABILITY,
  /** Another kind of mask than learning rate dropout's, as `--mask` takes it. */
  mask: Type.Optional(Type.String({ minLength: 1 })),
  learningRate: FROM_0,
  batchSize: wholeFrom(1),
  epochs: wholeFrom(1),
  momentum: Type.Optional(FROM_0),
  weightDecay: Type.Optional(FROM_0),
  /** Gradients that `sgdm-avg` averages, k of eq. (10). */
  window: Type.Optional(wholeFrom(1)),
  phases: Type.Optional(Type.Array(PHASE)),
  regularizers: Type.Optional(REGULARIZERS),
  width: Type.Optional(wholeFrom(1)),
  /** Of segmentation: side of the training crops. */
  crop: Type.Optional(wholeFrom(1)),
  /** Polynomial decay of the learning rate to 0 over the run: its power. */
  polynomial: Type.Optional(FROM_0),
  /** Steps in which the learning rate rises, to fall as a cosine over the rest of the run. */
  warmup: Type.Optional(wholeFrom(1)),
  /** Patterns of the names of parameters that are never masked. */
  maskExclude: Type.Optional(Type.Array(Type.String({ minLength: 1 }))),
  /** Of gpt: blocks, bytes that are seen at once, steps of an epoch. */
  layers: Type.Optional(wholeFrom(1)),
  context: Type.Optional(wholeFrom(1)),
  epochSteps: Type.Optional(wholeFrom(1)),
  /** The first so many images of the training set and of the test set. */
  limit: Type.Optional(wholeFrom(1)),
  /** Training examples that are held out, and tested on by themselves. */
  validation: Type.Optional(wholeFrom(1)),
});

/** A change that holds from an epoch on (counted from 1) until the next phase; what is left out stays as it was. */
export type Phase = Read<typeof PHASE>;

/** What is done to labels, activations or gradients beside LRD; each with the number that the papers give it. */
export type Regularizers = Read<typeof REGULARIZERS>;

/**
 * Everything that decides what a training run computes, and nothing else: not where its data lies, which backend computes or
 * where results go. What is left out has the recipe's or the rule's default.
 */
export type Settings = Read<typeof SETTINGS>;

/** Settings that a smaller version of an experiment has instead of the paper's; undefined takes one away. */
export type Overlay = { readonly [K in keyof Settings]?: Settings[K] | undefined };

/** The settings of an overlay as plans and results hold them. */
export const OVERLAY = Type.Unsafe<Overlay>(Type.Partial(SETTINGS));

/** `settings` with an overlay's values in place of its own. */
export function overlaid(settings: Settings, overlay: Overlay): Settings {
  const merged = Object.entries({ ...settings, ...overlay }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(merged) as unknown as Settings;
}

/** JSON with sorted keys and without what is undefined: equal values give equal text. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`;
}

/**
 * The folder name of a training run: readable, and one to one with its settings and seed. Two experiments that need the same
 * run share it; a change of the program does not change it.
 */
export function cellName(settings: Settings, seed: number): string {
  const { optimizer, keepProbability } = settings;
  const [recipe, data] = [settings.recipe, settings.data].map((name) => shortName(name).replaceAll(/[^\w.-]/g, '_'));
  const hash = createHash('sha256')
    .update(canonical({ ...settings, seed }))
    .digest('hex')
    .slice(0, 12);
  return `${recipe}-${data}-${optimizer}-p${keepProbability}-s${seed}-${hash}`;
}

/** Names of the settings in which two differ. */
export function differing(a: Settings, b: Settings): (keyof Settings)[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof Settings>;
  return [...keys].filter((key) => canonical(a[key] ?? null) !== canonical(b[key] ?? null));
}
