/**
 * One process's part in a task that several train together: which rows of a batch are its own, and what it needs of the others. Sums are
 * collective: all processes make the same calls in the same order.
 */
export interface Part {
  /** From 0. */
  readonly rank: number;
  readonly size: number;
  /** Replaces the values by their sums over the processes. */
  sum(values: Float64Array): void;
  /** Every process's text, in the order of ranks. */
  gather(text: string): readonly string[];
  /** Says ahead of a step how much of the whole batch's mean this process's gradient is, in [0, 1]. */
  weigh(share: number): void;
}

/** The part of a process that trains alone: everything. */
export const WHOLE: Part = {
  rank: 0,
  size: 1,
  sum: () => undefined,
  gather: (text) => [text],
  weigh: () => undefined,
};

/** Where a process's rows lie in a batch. */
export interface Rows {
  readonly first: number;
  readonly count: number;
  /** Of the whole batch. */
  readonly all: number;
}

/** The rows of a batch of `all` that are a process's own: one run of neighbours, as many as of the others or one more. */
export function rowsOf({ rank, size }: Pick<Part, 'rank' | 'size'>, all: number): Rows {
  const first = Math.floor((all * rank) / size);
  return { first, count: Math.floor((all * (rank + 1)) / size) - first, all };
}

/**
 * The share of a process whose gradient is a mean over `own` things that count: their part of all of them. Collective. Where nobody has
 * any, rows decide, so that the shares sum to 1.
 */
export function shareOf(part: Part, own: number, { count, all }: Rows): number {
  if (part.size === 1) return 1;
  const total = Float64Array.of(own);
  part.sum(total);
  return total[0] === 0 ? count / all : own / (total[0] as number);
}
