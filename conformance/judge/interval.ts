/**
 * Acceptance intervals, after WebGPU's own conformance suite (gpuweb/cts, docs/fp_primer.md): what a number may be is the closed
 * interval that the operations' accuracies allow around the true value, not the true value plus or minus a tolerance.
 *
 * Each operation may be off by one whole ULP, where IEEE 754 allows half of one: implementations put the same factors in
 * different orders (bias corrections folded into the rate, the square before or after its factor, a fused multiply-add or
 * not), and none in use rounds more than twice as often as the textbook's order.
 */

export interface Interval {
  readonly lo: number;
  readonly hi: number;
}

/** Nothing is known: overflow on the way, or an operand that is not finite. Contains NaN. */
export const ANYTHING: Interval = { lo: -Infinity, hi: Infinity };

export const point = (x: number): Interval => (Number.isFinite(x) ? { lo: x, hi: x } : ANYTHING);

/** -0 and 0 are the same here; NaN only lies in `ANYTHING`. */
export function contains({ lo, hi }: Interval, x: number): boolean {
  return (lo === -Infinity && hi === Infinity) || (x >= lo && x <= hi);
}

export function hull(a: Interval, b: Interval): Interval {
  return { lo: Math.min(a.lo, b.lo), hi: Math.max(a.hi, b.hi) };
}

/** What distinguishes one arithmetic from another. */
export interface Accuracy {
  /** Exponent of the smallest normal number, significant bits, and the largest finite number. */
  readonly minimumExponent: number;
  readonly bits: number;
  readonly maximum: number;
  /** ULPs that an operation may be off by. */
  readonly basic: number;
  readonly division: number;
  readonly root: number;
  /** Subnormal operands and results may count as 0. */
  readonly flushes: boolean;
}

const binary64 = { minimumExponent: -1022, bits: 53, maximum: Number.MAX_VALUE } as const;
const binary32 = { minimumExponent: -126, bits: 24, maximum: 3.4028234663852886e38 } as const;

/** One ULP, and another because the ends of the interval are themselves computed in float64. */
export const FLOAT64: Accuracy = { ...binary64, basic: 2, division: 2, root: 2, flushes: false };

export const FLOAT32: Accuracy = { ...binary32, basic: 1, division: 1, root: 1, flushes: false };

/**
 * WGSL, section 15.7.4.1 "Floating Point Accuracy": addition, subtraction and multiplication are correctly rounded, x / y is within 2.5 ULP for |y| in
 * [2^-126, 2^126], sqrt(x) inherits from 1 / inverseSqrt(x) (2 ULP, then a division); subnormals may be flushed.
 */
export const WGSL: Accuracy = { ...binary32, basic: 1, division: 3, root: 5, flushes: true };

const doubles = new Float64Array(1);
const halves = new Uint32Array(doubles.buffer);
/** The half of a double with its exponent: the last one where the low byte comes first. */
const HIGH = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0;

/** floor(log2 |x|) of a normal double, exactly. */
function exponentOf(x: number): number {
  doubles[0] = x;
  return (((halves[HIGH] as number) >>> 20) & 0x7ff) - 1023;
}

/** 2^e for every exponent of an ULP. */
const LEAST_EXPONENT = -1074;
const POWERS = Float64Array.from({ length: 1023 - LEAST_EXPONENT + 1 }, (_, i) => 2 ** (LEAST_EXPONENT + i));

export interface Arithmetic {
  readonly accuracy: Accuracy;
  /** A number that the implementation holds exactly. */
  exact(x: number): Interval;
  /** A number that was rounded on its way into this precision. */
  rounded(x: Interval): Interval;
  add(a: Interval, b: Interval): Interval;
  sub(a: Interval, b: Interval): Interval;
  mul(a: Interval, b: Interval): Interval;
  div(a: Interval, b: Interval): Interval;
  sqrt(a: Interval): Interval;
  max(a: Interval, b: Interval): Interval;
  /** base^exponent for a whole exponent of at least 1: repeated multiplication at worst. */
  pow(base: Interval, exponent: number): Interval;
}

export function arithmeticOf(accuracy: Accuracy): Arithmetic {
  const { minimumExponent, bits, maximum, flushes } = accuracy;
  const smallestNormal = 2 ** minimumExponent;

  const ulp = (x: number): number =>
    POWERS[Math.max(exponentOf(x), minimumExponent) - bits + 1 - LEAST_EXPONENT] as number;

  /** Widens by `ulps` at both ends; an exact zero stays one. */
  const widen = (lo: number, hi: number, ulps: number): Interval => {
    if (lo === 0 && hi === 0) return { lo: 0, hi: 0 };
    if (!(lo >= -maximum && hi <= maximum)) return ANYTHING;
    let low = lo - ulps * ulp(lo);
    let high = hi + ulps * ulp(hi);
    // The sign of a product, quotient or root of nonzero numbers is certain, however it is rounded.
    if (lo >= 0 && low < 0) low = 0;
    if (hi <= 0 && high > 0) high = 0;
    if (flushes) {
      if (low > 0 && low < smallestNormal) low = 0;
      if (high < 0 && high > -smallestNormal) high = 0;
    }
    return low < -maximum || high > maximum ? ANYTHING : { lo: low, hi: high };
  };

  const isZero = (a: Interval): boolean => a.lo === 0 && a.hi === 0;
  const corners = (a: number, b: number, c: number, d: number, ulps: number): Interval => {
    const least = Math.min(a, b, c, d);
    // 0 * Infinity at a corner: an operand is unbounded, so is the result.
    return Number.isNaN(least) ? ANYTHING : widen(least, Math.max(a, b, c, d), ulps);
  };

  const self: Arithmetic = {
    accuracy,
    exact: (x) => {
      if (!Number.isFinite(x)) return ANYTHING;
      if (flushes && Math.abs(x) < smallestNormal) return { lo: Math.min(x, 0), hi: Math.max(x, 0) };
      return { lo: x, hi: x };
    },
    rounded: ({ lo, hi }) => widen(lo, hi, accuracy.basic),
    // Adding zero changes nothing, in every rounding.
    add: (a, b) => {
      if (isZero(a)) return b;
      if (isZero(b)) return a;
      return widenSum(a.lo + b.lo, a.hi + b.hi);
    },
    sub: (a, b) => self.add(a, { lo: -b.hi, hi: -b.lo }),
    mul: (a, b) =>
      a === ANYTHING || b === ANYTHING
        ? ANYTHING
        : corners(a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi, accuracy.basic),
    div: (a, b) => {
      if (a === ANYTHING || b === ANYTHING || (b.lo <= 0 && b.hi >= 0)) return ANYTHING;
      const size = Math.min(Math.abs(b.lo), Math.abs(b.hi));
      const top = Math.max(Math.abs(b.lo), Math.abs(b.hi));
      if (flushes && (size < smallestNormal || top > 2 ** 126)) return ANYTHING;
      return corners(a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi, accuracy.division);
    },
    sqrt: (a) => {
      if (a === ANYTHING) return ANYTHING;
      const lo = Math.max(a.lo, 0);
      return a.hi < 0 ? ANYTHING : widen(Math.sqrt(lo), Math.sqrt(a.hi), accuracy.root);
    },
    max: (a, b) =>
      a === ANYTHING || b === ANYTHING ? ANYTHING : { lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi) },
    pow: (base, exponent) => {
      if (base === ANYTHING) return ANYTHING;
      return widen(base.lo ** exponent, base.hi ** exponent, accuracy.basic * (exponent + 1));
    },
  };
  // A sum may cancel, so its sign is not certain.
  const widenSum = (lo: number, hi: number): Interval => {
    if (!(lo >= -maximum && hi <= maximum)) return ANYTHING;
    const low = lo === 0 ? 0 : lo - accuracy.basic * ulp(lo);
    const high = hi === 0 ? 0 : hi + accuracy.basic * ulp(hi);
    if (low < -maximum || high > maximum) return ANYTHING;
    if (!flushes) return { lo: low, hi: high };
    return {
      lo: low > 0 && low < smallestNormal ? 0 : low,
      hi: high < 0 && high > -smallestNormal ? 0 : high,
    };
  };
  return self;
}
