/** Median of a non-empty list. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Median and the quartiles around it: what a noisy machine allows one to say. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Quartiles by the nearest rank. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (fraction: number): number => sorted[Math.round(fraction * (sorted.length - 1))] as number;
  return { median: median(values), low: at(0.25), high: at(0.75) };
}

/** Spread of a[i] / b[i]: what both sides met in turn i, such as a neighbour's load, cancels. */
export function pairedRatio(a: readonly number[], b: readonly number[]): Spread {
  return spread(a.map((value, i) => value / (b[i] as number)));
}

/** A spread in another unit. */
export function scale({ median: middle, low, high }: Spread, factor: number): Spread {
  return { median: middle * factor, low: low * factor, high: high * factor };
}
