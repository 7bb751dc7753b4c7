import { createHash } from 'node:crypto';

/** A change that holds from an epoch on (counted from 1) until the next phase; what is left out stays as it was. */
export interface Phase {
  readonly from: number;
  readonly learningRate?: number;
  readonly weightDecay?: number;
  /** Share of elements that Sparse Gradients holds still. */
  readonly sparsity?: number;
}

/** What is done to labels, activations or gradients beside LRD; each with the number that the papers give it. */
export interface Regularizers {
  /** Standard dropout, inverted: the probability that a unit is retained. */
  readonly retain?: number;
  /** Noisy labels: the probability that a label is replaced by one of the others. */
  readonly labelNoise?: number;
  /** Gradient centralization. */
  readonly centralize?: boolean;
  /** Gradient noise: eta of s^2 = eta / (1 + t)^.55. */
  readonly gradientNoise?: number;
  /** Dropout on gradients: the probability that an element is kept. */
  readonly gradientKeepProbability?: number;
  /** A share of parameters that never moves: half of the elements (one fixed mask), or every other tensor. */
  readonly frozen?: 'elements' | 'tensors';
  /** What the pattern of Sparse Gradients masks; `gradients` when left out. */
  readonly sparseReading?: 'updates';
}

/**
 * Everything that decides what a training run computes, and nothing else: not where its data lies, which backend computes or
 * where results go. What is left out has the recipe's or the rule's default.
 */
export interface Settings {
  readonly recipe: string;
  readonly data: string;
  readonly optimizer: string;
  readonly keepProbability: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly momentum?: number;
  readonly weightDecay?: number;
  /** Gradients that `sgdm-avg` averages, k of eq. (10). */
  readonly window?: number;
  readonly phases?: readonly Phase[];
  readonly regularizers?: Regularizers;
  readonly width?: number;
  /** Of segmentation: side of the training crops. */
  readonly crop?: number;
  /** Polynomial decay of the learning rate to 0 over the run: its power. */
  readonly polynomial?: number;
  /** The first so many images of the training set and of the test set. */
  readonly limit?: number;
}

/** Settings that a smaller version of an experiment has instead of the paper's; undefined takes one away. */
export type Overlay = { readonly [K in keyof Settings]?: Settings[K] | undefined };

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
  const { recipe, data, optimizer, keepProbability } = settings;
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
