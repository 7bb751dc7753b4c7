/**
 * Tests of frequencies with both error rates bounded, for independent draws of any distribution on [0, 1] (Hoeffding 1963, theorem 2):
 * P(|mean - expected| >= d) <= 2 exp(-2 n d^2). The bound is rigorous at every n, so the budget needs no approximation.
 */

/** The false alarms that all statistical tests of the reference may raise together, and in how many shares. */
const budget = { total: 1e-6, shares: 128 };

/** The deviation of a mean of n draws that the test lets pass: false alarms at most one share of the budget. */
function allowed(n: number): number {
  return Math.sqrt(Math.log((2 * budget.shares) / budget.total) / (2 * n));
}

/** The smallest true deviation that n draws show with probability above 1 - 1e-6. */
export function detectable(n: number): number {
  return allowed(n) + Math.sqrt(Math.log(1e6) / (2 * n));
}

/** What a check of a mean says. */
export interface Verdict {
  readonly ok: boolean;
  readonly text: string;
}

/**
 * Whether the mean of n independent draws in [0, range] agrees with what is expected.
 *
 * @throws RangeError when n draws could miss `mustCatch`: the design of the experiment is itself checked
 */
export function checkMean(sum: number, n: number, expected: number, mustCatch: number, range = 1): Verdict {
  if (detectable(n) * range > mustCatch) {
    throw new RangeError(`n must show a deviation of ${mustCatch}, got ${n}, which shows ${detectable(n) * range}`);
  }
  const deviation = Math.abs(sum / n - expected);
  return { ok: deviation < allowed(n) * range, text: `${sum / n} over ${n} draws, expected ${expected}` };
}
