/** What a tensor's factor may be, as intervals: the alignment of Magma and the mean of Cautious. */
import type { Factored, Machine } from './expected.ts';
import { ANYTHING, point } from './interval.ts';
import type { Arithmetic, Interval } from './interval.ts';

/** A mask with its cell and all options, by the names of `spec/family.ts`. */
export interface MaskOptions {
  readonly granularity: 'element' | 'tensor';
  readonly draw: 'bernoulli' | 'agreement';
  readonly factor: 'one' | 'inverse' | 'alignment' | 'mean';
  readonly temperature: number;
  readonly smoothing: number;
  readonly firstAlignment: 'half' | 'one' | 'measured';
  readonly moment: 'rule' | 'own';
  readonly momentDecay: number;
  readonly momentTime: 'after' | 'before';
  readonly cosineEpsilon: number;
  readonly meanFloor: number;
  readonly normalization: 'mean' | 'count';
  readonly decay: Factored['decay'];
}

const ZERO: Interval = { lo: 0, hi: 0 };

/**
 * A sum of products, taken in any order: within gamma_n of the sum of absolute terms, n + 1 roundings of one ULP each.
 */
function dot(a: Arithmetic, x: readonly Interval[], y: readonly Interval[]): Interval {
  let [lo, hi, size] = [0, 0, 0];
  for (const [i, left] of x.entries()) {
    const right = y[i] as Interval;
    const product = left === right ? squareOf(left) : a.mul(left, right);
    if (product === ANYTHING) return ANYTHING;
    lo += product.lo;
    hi += product.hi;
    size += Math.max(Math.abs(product.lo), Math.abs(product.hi));
  }
  if (size === 0) return ZERO;
  const { accuracy } = a;
  const flushed = accuracy.flushes ? 2 ** accuracy.minimumExponent : 0;
  const slack = (x.length + 2) * (2 ** (1 - accuracy.bits) * size + flushed);
  return { lo: lo - slack, hi: hi + slack };
}

function squareOf({ lo, hi }: Interval): Interval {
  if (!Number.isFinite(lo) || !Number.isFinite(hi)) return ANYTHING;
  const [a, b] = [lo * lo, hi * hi];
  return { lo: lo <= 0 && hi >= 0 ? 0 : Math.min(a, b), hi: Math.max(a, b) };
}

/** The cosine of two vectors; anything in [-1, 1] where a norm may be 0. */
function cosine(a: Arithmetic, m: readonly Interval[], g: readonly Interval[], epsilon: number): Interval {
  const [mg, mm, gg] = [dot(a, m, g), dot(a, m, m), dot(a, g, g)];
  if (mg === ANYTHING || mm === ANYTHING || gg === ANYTHING) return ANYTHING;
  // Cauchy and Schwarz, as far as rounding keeps to it.
  const limit = 1 + (m.length + 8) * 2 ** (3 - a.accuracy.bits);
  if ((mm.lo === 0 && mm.hi === 0) || (gg.lo === 0 && gg.hi === 0)) return ZERO;
  if (mm.lo <= 0 || gg.lo <= 0) return { lo: -limit, hi: limit };
  const norms = a.max(a.mul(a.sqrt(mm), a.sqrt(gg)), point(epsilon));
  const { lo, hi } = a.div(mg, norms);
  return { lo: Math.max(lo, -limit), hi: Math.min(hi, limit) };
}

/** ULPs that exp, the quotient and the sums of a sigmoid and its smoothing may be off by together. */
const SIGMOID_ULPS = 32;

/**
 * A tensor's alignment after a step.
 *
 * @param previous - the one before; undefined at the tensor's first gradient
 * @param m - the moment that the cosine takes, by element
 * @param g - the gradient that the moments saw
 */
export function expectedAlignment(
  { tensor: a }: Machine,
  { temperature, smoothing, firstAlignment, cosineEpsilon }: MaskOptions,
  previous: Interval | undefined,
  m: readonly Interval[],
  g: readonly Interval[],
): Interval {
  const angle = cosine(a, m, g, cosineEpsilon);
  if (angle === ANYTHING) return ANYTHING;
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x / temperature));
  const [low, high] = [sigmoid(angle.lo), sigmoid(angle.hi)];
  const first = firstAlignment === 'one' ? 1 : 0.5;
  const before = previous ?? point(first);
  const slack = SIGMOID_ULPS * 2 ** (1 - a.accuracy.bits);
  if (previous === undefined && firstAlignment === 'measured') return { lo: low - slack, hi: high + slack };
  return {
    lo: smoothing * before.lo + (1 - smoothing) * low - slack,
    hi: smoothing * before.hi + (1 - smoothing) * high + slack,
  };
}

/** The inverse of the share that is kept. @param kept - the least and the greatest number of kept elements that signs allow */
export function expectedMeanFactor(
  { tensor: a }: Machine,
  { normalization, meanFloor }: MaskOptions,
  kept: Interval,
  size: number,
): Interval {
  if (size === 0) return point(1);
  const of = (count: number): number =>
    normalization === 'count' ? size / (count + 1) : 1 / Math.max(count / size, meanFloor);
  return a.rounded(a.rounded({ lo: of(kept.hi), hi: of(kept.lo) }));
}

/** Whether an element agrees: certainly, certainly not, or undefined where rounding can turn a sign. */
export function agrees(direction: Interval, gradient: Interval): boolean | undefined {
  const sign = ({ lo, hi }: Interval): number | undefined => {
    if (lo > 0) return 1;
    if (hi < 0) return -1;
    return lo === 0 && hi === 0 ? 0 : undefined;
  };
  const [u, g] = [sign(direction), sign(gradient)];
  if (u === 0 || g === 0) return false;
  return u === undefined || g === undefined ? undefined : u === g;
}

/** mu = momentDecay mu + (1 - momentDecay) g for one element: by factors that were rounded from float64. */
export function expectedMoment({ tensor: a }: Machine, momentDecay: number, mu: Interval, g: Interval): Interval {
  const factor = (x: number): Interval => (a.accuracy.bits === 53 ? point(x) : a.rounded(point(x)));
  return a.add(a.mul(factor(momentDecay), mu), a.mul(factor(1 - momentDecay), g));
}
