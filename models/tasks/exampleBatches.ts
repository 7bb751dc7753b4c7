import { permutation } from 'learning-rate-dropout/stream';
import { Draws } from '../raster/draws.ts';
import { readAhead } from './readAhead.ts';
import type { BatchRequest } from './task.ts';

/** Examples of a split, read one by one. */
export interface Examples<E> {
  readonly count: number;
  read(index: number): Promise<E>;
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

/** The training batches of an epoch in the shuffling stream's order; `prepare` has the numbers that augment an example. */
export function trainingExamples<E>(
  train: Examples<E>,
  { batchSize, seed, epoch, first }: BatchRequest,
  prepare: (example: E, draws: Draws) => E,
): AsyncGenerator<E[], void, undefined> {
  const order = permutation({ seed, stream: 'shuffling', step: epoch }, train.count);
  return exampleBatches(order, { batchSize, first }, async (example) =>
    prepare(await train.read(example), new Draws({ seed, epoch, example })),
  );
}
