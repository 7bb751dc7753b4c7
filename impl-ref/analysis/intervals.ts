/**
 * The intervals between updates that a run shows whole, eq. (3)'s lambda: the waits from the start and from each update to the next one.
 * What follows the last update is cut off by the end of the run and left out, which biases their mean low in short runs.
 *
 * @param bits - one coordinate's mask by step
 */
export function completeIntervals(bits: ArrayLike<number>): number[] {
  const intervals: number[] = [];
  let age = 0;
  for (let t = 0; t < bits.length; t++) {
    age += 1;
    if (bits[t] === 1) {
      intervals.push(age);
      age = 0;
    }
  }
  return intervals;
}

/** How often a coordinate of each age was up for an update, and how often it got one: the hazard is their quotient, p at every age. */
export interface Hazard {
  /** Index a - 1: steps at which the last update was a steps ago. */
  readonly trials: number[];
  /** Index a - 1: how many of those steps were kept. */
  readonly kept: number[];
}

/** The hazard's counts up to `maximumAge`; unlike mean intervals they are not biased by where the run ends. */
export function hazard(bits: ArrayLike<number>, maximumAge: number): Hazard {
  const trials = Array.from({ length: maximumAge }, () => 0);
  const kept = Array.from({ length: maximumAge }, () => 0);
  let age = 0;
  for (let t = 0; t < bits.length; t++) {
    age += 1;
    if (age <= maximumAge) {
      trials[age - 1] = (trials[age - 1] as number) + 1;
      if (bits[t] === 1) kept[age - 1] = (kept[age - 1] as number) + 1;
    }
    if (bits[t] === 1) age = 0;
  }
  return { trials, kept };
}

/**
 * The length of the interval between updates that contains step `t` (index from 0), or null where the run shows it cut off at
 * either end. Over a random step its mean is (2 - p)/p.
 */
export function intervalAround(bits: ArrayLike<number>, t: number): number | null {
  let before = t - 1;
  while (before >= 0 && bits[before] !== 1) before -= 1;
  let end = t;
  while (end < bits.length && bits[end] !== 1) end += 1;
  return before < 0 || end === bits.length ? null : end - before;
}
