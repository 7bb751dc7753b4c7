/** Fewer epochs of a long run, so that a page stays small: extremes stay, so no peak is lost. */
import type { Column } from './model.ts';

/** Rows of a table that are kept, in order. */
export function keptRows(length: number, columns: readonly Column[], most: number): readonly number[] | undefined {
  if (length <= most) return undefined;
  // A bucket gives its first row and the rows of the lowest and the highest value of every column.
  const buckets = Math.max(1, Math.floor((most - 2) / (1 + 2 * columns.length)));
  const kept = new Set([0, length - 1]);
  for (let b = 0; b < buckets; b++) {
    const [from, to] = [Math.floor((b * length) / buckets), Math.floor(((b + 1) * length) / buckets)];
    kept.add(from);
    for (const column of columns) {
      let [lowest, highest] = [-1, -1];
      for (let k = from; k < to; k++) {
        const value = column[k];
        if (typeof value !== 'number') continue;
        if (lowest < 0 || value < (column[lowest] as number)) lowest = k;
        if (highest < 0 || value > (column[highest] as number)) highest = k;
      }
      if (lowest >= 0) kept.add(lowest).add(highest);
    }
  }
  return [...kept].sort((a, b) => a - b);
}

/** A number with so few digits that nobody sees the difference in a curve; null where it is not finite. */
export function short(value: unknown, digits = 6): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? Number(value.toPrecision(digits)) : null;
}
