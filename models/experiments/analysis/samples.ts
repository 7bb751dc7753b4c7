import { studentQuantile, studentTails } from './studentT.ts';

/** Mean and standard deviation with n - 1; undefined from a single value. */
export interface Sample {
  readonly count: number;
  readonly mean: number;
  readonly deviation: number | undefined;
}

export function describeSample(values: readonly number[]): Sample {
  const { length: count } = values;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { count, mean, deviation: undefined };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, deviation: Math.sqrt(squares / (count - 1)) };
}

/** A difference of means with its test. `low` and `high` bound the 95 % interval; `p` is of both tails. */
export interface Comparison {
  readonly difference: number;
  readonly t: number;
  readonly freedom: number;
  readonly p: number;
  readonly low: number;
  readonly high: number;
}

function compare(difference: number, error: number, freedom: number): Comparison | undefined {
  if (!(error > 0)) return undefined;
  const half = studentQuantile(0.05, freedom) * error;
  const t = difference / error;
  return { difference, t, freedom, p: studentTails(t, freedom), low: difference - half, high: difference + half };
}

/**
 * Welch's test of mean(a) - mean(b), unequal variances, with the degrees of freedom of Welch and Satterthwaite. Undefined where a
 * sample has fewer than two values or neither varies.
 */
export function welch(a: Sample, b: Sample): Comparison | undefined {
  if (a.deviation === undefined || b.deviation === undefined) return undefined;
  const [u, v] = [a.deviation ** 2 / a.count, b.deviation ** 2 / b.count];
  const freedom = (u + v) ** 2 / (u ** 2 / (a.count - 1) + v ** 2 / (b.count - 1));
  return compare(a.mean - b.mean, Math.sqrt(u + v), freedom);
}

/** The test of paired values: the mean of a[i] - b[i] against zero. Undefined for fewer than two pairs, or without spread. */
export function paired(a: readonly number[], b: readonly number[]): Comparison | undefined {
  const { count, mean, deviation } = describeSample(a.map((value, k) => value - (b[k] as number)));
  if (deviation === undefined) return undefined;
  return compare(mean, deviation / Math.sqrt(count), count - 1);
}
