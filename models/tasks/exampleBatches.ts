import { permutation } from 'learning-rate-dropout/stream';
import { Draws } from '../raster/draws.ts';
import type { Part, Rows } from './part.ts';
import { WHOLE, rowsOf } from './part.ts';
import { readAhead } from './readAhead.ts';
import type { BatchRequest } from './task.ts';

/** Examples of a split, read one by one. */
export interface Examples<E> {
  readonly count: number;
  read(index: number): Promise<E>;
}

/** A process's rows of a batch, and where they lie in it. */
export interface ExampleBatch<E> {
  readonly examples: readonly E[];
  readonly rows: Rows;
}

/**
 * Batches of examples in a given order, from batch `first` (counted from 0) on; the last one may be smaller. The batch behind the one in use is read ahead.
 */
export function exampleBatches<E>(
  order: ArrayLike<number>,
  { batchSize, first = 0 }: { readonly batchSize: number; readonly first?: number },
  read: (index: number) => Promise<E>,
): AsyncGenerator<E[], void, undefined> {
  const indices = Array.from(order);
  return readAhead({ first, end: Math.ceil(indices.length / batchSize), ahead: 1 }, (batch) =>
    Promise.all(indices.slice(batch * batchSize, (batch + 1) * batchSize).map(read)),
  );
}

/** The training batches of an epoch in the shuffling stream's order, or a process's part of each; `prepare` has the numbers that augment an example. */
export function trainingExamples<E>(
  train: Examples<E>,
  { batchSize, seed, epoch, first }: BatchRequest,
  prepare: (example: E, draws: Draws) => E,
  part: Pick<Part, 'rank' | 'size'> = WHOLE,
): AsyncGenerator<ExampleBatch<E>, void, undefined> {
  const order = Array.from(permutation({ seed, stream: 'shuffling', step: epoch }, train.count));
  const read = async (example: number): Promise<E> =>
    prepare(await train.read(example), new Draws({ seed, epoch, example }));
  return readAhead({ first, end: Math.ceil(order.length / batchSize), ahead: 1 }, async (batch) => {
    const indices = order.slice(batch * batchSize, (batch + 1) * batchSize);
    const rows = rowsOf(part, indices.length);
    return { examples: await Promise.all(indices.slice(rows.first, rows.first + rows.count).map(read)), rows };
  });
}
