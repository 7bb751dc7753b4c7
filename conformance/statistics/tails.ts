/**
 * Tail probabilities, in float64, good in the far tails where the kit's error rates lie (1e-8 and below): log-gamma by
 * Lanczos, incomplete gamma and beta functions by series and continued fractions (Press et al., Numerical Recipes, 6.1, 6.2, 6.4).
 */

const LANCZOS = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
] as const;

export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  let sum = 0.99999999999980993;
  for (const [i, coefficient] of LANCZOS.entries()) sum += coefficient / (x + i);
  const t = x + LANCZOS.length - 1.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum);
}

const TINY = 1e-300;
const EPSILON = 1e-15;

/** The larger an argument, the more terms; a thousand standard deviations are never asked for. */
const MAXIMUM_TERMS = 100_000;

/** I_x(a, b), the regularized incomplete beta function. */
export function betaRegularized(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - betaRegularized(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  let c = 1;
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  for (let m = 1; m < MAXIMUM_TERMS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    fraction *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < EPSILON) break;
  }
  return front * fraction;
}

const guard = (x: number): number => (Math.abs(x) < TINY ? TINY : x);

/** Q(a, x), the upper regularized incomplete gamma function. */
function gammaUpper(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(-x + a * Math.log(x) - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < MAXIMUM_TERMS && term > sum * EPSILON; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - sum * front;
  }
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / b;
  let fraction = d;
  for (let i = 1; i < MAXIMUM_TERMS; i++) {
    const an = -i * (i - a);
    b += 2;
    d = 1 / guard(an * d + b);
    c = guard(b + an / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) < EPSILON) break;
  }
  return fraction * front;
}

/** P(a, x), the lower one, without cancellation in its own tail. */
function gammaLower(a: number, x: number): number {
  if (x <= 0) return 0;
  if (x >= a + 1) return 1 - gammaUpper(a, x);
  const front = Math.exp(-x + a * Math.log(x) - logGamma(a));
  let term = 1 / a;
  let sum = term;
  for (let n = 1; n < MAXIMUM_TERMS && term > sum * EPSILON; n++) {
    term *= x / (a + n);
    sum += term;
  }
  return sum * front;
}

/** Twice the smaller tail of a binomial count, at most 1. Exact. */
export function binomialPValue(count: number, trials: number, p: number): number {
  if (trials === 0) return 1;
  const atLeast = count === 0 ? 1 : betaRegularized(p, count, trials - count + 1);
  const atMost = count === trials ? 1 : betaRegularized(1 - p, trials - count, count + 1);
  return Math.min(1, 2 * Math.min(atLeast, atMost));
}

/** Twice the smaller tail of a chi-square statistic, at most 1. */
export function chiSquarePValue(statistic: number, degrees: number): number {
  const upper = gammaUpper(degrees / 2, statistic / 2);
  const lower = gammaLower(degrees / 2, statistic / 2);
  return Math.min(1, 2 * Math.min(upper, lower));
}

/** Two-sided tail of a standard normal statistic. */
export function normalPValue(z: number): number {
  return gammaUpper(0.5, (z * z) / 2);
}

/** z with P(Z > z) = `tail`, for tails down to 1e-300, by bisection. */
export function normalUpperQuantile(tail: number): number {
  let [low, high] = [-40, 40];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    const above = middle >= 0 ? normalPValue(middle) / 2 : 1 - normalPValue(middle) / 2;
    if (above > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
