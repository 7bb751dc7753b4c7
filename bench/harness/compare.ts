/** What moved between two runs. */
import type { BenchResult } from './results.ts';
import type { Spread } from './statistics.ts';

/** A quantity that moved by more than the spread of both runs. */
export interface Change {
  readonly what: string;
  readonly before: Spread;
  readonly after: Spread;
  /** New over old. */
  readonly factor: number;
}

export interface Comparison {
  readonly changes: readonly Change[];
  /** Quantities that both runs have. */
  readonly compared: number;
  /** Differences of the machines, in words: times are not comparable across them, ratios are. */
  readonly warnings: readonly string[];
}

/** All quantities of a result, by a name that is the same in every run. */
function quantities({ suites }: BenchResult): Map<string, Spread> {
  const all = new Map<string, Spread>();
  for (const { name: suite, groups } of suites) {
    for (const { name: group, lanes, ratios, figures } of groups) {
      const at = `${suite} / ${group}`;
      for (const { name, ms } of lanes) all.set(`${at} / ${name}, ms`, ms);
      for (const { lane, over, ratio } of ratios) all.set(`${at} / ${lane} over ${over}`, ratio);
      for (const { name, unit, value } of figures) all.set(`${at} / ${name}, ${unit}`, value);
    }
  }
  return all;
}

/** The median left the other run's quartiles, on both sides, and by more than a fiftieth. */
export function moved(before: Spread, after: Spread): boolean {
  const apart = after.low > before.high || after.high < before.low;
  return apart && Math.abs(after.median / before.median - 1) > 0.02;
}

const SAME = ['processor', 'cores', 'node', 'adapter'] as const;

/** Compares the quantities that two results share, in the new one's order. */
export function compare(before: BenchResult, after: BenchResult): Comparison {
  const old = quantities(before);
  const changes: Change[] = [];
  let compared = 0;
  for (const [what, spread] of quantities(after)) {
    const known = old.get(what);
    if (known === undefined) continue;
    compared += 1;
    if (moved(known, spread)) {
      changes.push({ what, before: known, after: spread, factor: spread.median / known.median });
    }
  }
  const warnings = SAME.filter(
    (key) => JSON.stringify(before.environment[key]) !== JSON.stringify(after.environment[key]),
  ).map((key) => `${key} differs: ${String(before.environment[key])} then, ${String(after.environment[key])} now`);
  return { changes, compared, warnings };
}
