import type { GradientOptions, TrainedKeepProbability } from 'learning-rate-dropout';
import { readDecimal } from '../decimal.ts';
import { UsageError } from '../errors.ts';

/** What a run may have beside LRD itself: the papers' comparators and their combinations. What is left out does nothing. */
export interface Regularizers extends Omit<GradientOptions, 'accumulate'> {
  /** NL: the probability r that a training label is one of the others, drawn anew for each mini-batch. In [0, 1]. */
  readonly noisyLabels?: number;
  /** SD: the probability that a unit is retained, where the papers' networks have dropout. In [2^-16, 1]. */
  readonly standardDropout?: number;
  /** Half of the parameters, by whole tensors, keep their first values (TNNLS 2022, Fig. 1). */
  readonly frozenTensors?: boolean;
  /** p trained beside the parameters. Experimental. */
  readonly trained?: TrainedKeepProbability;
}

interface Entry {
  /** The papers' abbreviation. */
  readonly short?: string;
  /** The word for the value in messages; undefined: it takes none. */
  readonly value?: string;
  /** Undefined: it must be given. */
  readonly default?: number;
  readonly rule?: string;
  readonly holds?: (value: number) => boolean;
  readonly set: (value: number) => Regularizers;
}

const probability = {
  rule: 'must be in [2^-16, 1]',
  holds: (x: number): boolean => x >= 2 ** -16 && x <= 1,
};
const share = { rule: 'must be in [0, 1 - 2^-16]', holds: (x: number): boolean => x >= 0 && x <= 1 - 2 ** -16 };
const above0 = { rule: 'must be a number above 0', holds: (x: number): boolean => x > 0 };

/** By the names that the command line takes, with the papers' values as defaults. */
const REGULARIZERS: Readonly<Record<string, Entry>> = {
  'gradient-dropout': {
    short: 'DG',
    value: 'KEEP',
    default: 0.5,
    ...probability,
    set: (gradientKeepProbability) => ({ gradientKeepProbability }),
  },
  'gradient-noise': {
    short: 'NG',
    value: 'ETA',
    default: 0.1,
    rule: 'must be a number of at least 0',
    holds: (x) => x >= 0,
    set: (noiseEta) => ({ noiseEta }),
  },
  'gradient-centralization': { short: 'GC', set: () => ({ centralize: true }) },
  'noisy-labels': {
    short: 'NL',
    value: 'RATE',
    default: 0.1,
    rule: 'must be in [0, 1]',
    holds: (x) => x >= 0 && x <= 1,
    set: (noisyLabels) => ({ noisyLabels }),
  },
  'standard-dropout': {
    short: 'SD',
    value: 'RETAIN',
    default: 0.9,
    ...probability,
    set: (standardDropout) => ({ standardDropout }),
  },
  // Sparse Gradients in its two readings. The share may come from a schedule instead, so it starts at 0 without a value.
  'sparse-gradients': {
    short: 'SG',
    value: 'SHARE',
    default: 0,
    ...share,
    set: (sparsity) => ({ sparsity, sparseReading: 'gradients' }),
  },
  'sparse-updates': {
    value: 'SHARE',
    default: 0,
    ...share,
    set: (sparsity) => ({ sparsity, sparseReading: 'updates' }),
  },
  'clip-value': { value: 'LIMIT', ...above0, set: (clipValue) => ({ clipValue }) },
  'clip-norm': { value: 'LIMIT', ...above0, set: (clipGlobalNorm) => ({ clipGlobalNorm }) },
  'trained-keep': { value: 'RATE', ...above0, set: (rate) => ({ trained: { rate } }) },
};

function describe([name, { short, value, default: preset }]: [string, Entry]): string {
  const tail = value === undefined ? '' : preset === undefined ? `:${value}` : `[:${value}]`;
  return `${name}${tail}${short === undefined ? '' : ` (${short})`}`;
}

function parseOne(text: string): [string, Regularizers] {
  const [given = '', ...values] = text.split(':');
  const name = given.toLowerCase();
  const found = Object.entries(REGULARIZERS).find(
    ([long, { short }]) => long === name || short?.toLowerCase() === name,
  );
  if (found === undefined) {
    const known = Object.entries(REGULARIZERS).map(describe).join(', ');
    throw new UsageError(`--regularizer must be one of ${known}; got ${JSON.stringify(text)}`);
  }
  const [long, { value: word, default: preset, rule, holds, set }] = found;
  const [valueText] = values;
  if (word === undefined) {
    if (valueText !== undefined)
      throw new UsageError(`--regularizer ${long} takes no value, got ${JSON.stringify(text)}`);
    return [long, set(NaN)];
  }
  if (valueText === undefined && preset !== undefined) return [long, set(preset)];
  const value = valueText === undefined ? NaN : readDecimal(valueText);
  if (values.length !== 1 || !Number.isFinite(value) || holds?.(value) !== true) {
    throw new UsageError(`--regularizer ${long}: ${word} ${rule}, got ${JSON.stringify(values.join(':'))}`);
  }
  return [long, set(value)];
}

/** Reads the values of `--regularizer`, as in `gradient-dropout:0.5` or `DG`. Throws a `UsageError` that names value and rule. */
export function parseRegularizers(texts: readonly string[]): Regularizers {
  const parsed = texts.map(parseOne);
  const names = parsed.map(([name]) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new UsageError(`--regularizer must be given once for each name, got ${twice} twice`);
  if (names.includes('sparse-gradients') && names.includes('sparse-updates')) {
    throw new UsageError('--regularizer must have one of sparse-gradients and sparse-updates, got both');
  }
  return Object.assign({}, ...parsed.map(([, options]) => options)) as Regularizers;
}
