/**
 * Integral of f over [0, b] by the tanh-sinh rule (Takahasi and Mori 1974): the change of variable crowds the points at both
 * ends, where the integrand here may have an infinite slope.
 */
function integrate(f: (x: number) => number, b: number): number {
  const h = 1 / 32;
  let sum = 0;
  for (let k = -128; k <= 128; k++) {
    const u = (Math.PI / 2) * Math.sinh(k * h);
    // The distance from the nearer end, without the cancellation of 1 - tanh.
    const fromEnd = b / (Math.exp(2 * Math.abs(u)) + 1);
    const weight = ((Math.PI / 2) * Math.cosh(k * h)) / Math.cosh(u) ** 2;
    if (weight === 0 || fromEnd === 0) continue;
    sum += weight * f(u < 0 ? fromEnd : b - fromEnd);
  }
  return (sum * h * b) / 2;
}

/**
 * P(|T| > t) for Student's t with `freedom` degrees of freedom, any real number of at least 1. With t = sqrt(freedom) tan(a) the
 * density is proportional to cos(a)^(freedom - 1), so that no gamma function is needed.
 */
export function studentTails(t: number, freedom: number): number {
  if (!(freedom >= 1)) throw new RangeError(`freedom must be at least 1, got ${freedom}`);
  // From the far end, a' = pi/2 - a, so that a small tail keeps its digits: cos(a) = sin(a').
  const tail = Math.atan2(Math.sqrt(freedom), Math.abs(t));
  const density = (x: number): number => Math.sin(x) ** (freedom - 1);
  return Math.min(1, integrate(density, tail) / integrate(density, Math.PI / 2));
}

/** The t with P(|T| > t) = `tails`, by bisection. */
export function studentQuantile(tails: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (studentTails(high, freedom) > tails) high *= 2;
  for (let k = 0; k < 100; k++) {
    const middle = (low + high) / 2;
    if (studentTails(middle, freedom) > tails) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
