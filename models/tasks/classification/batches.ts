import { permutation } from 'learning-rate-dropout/stream';
import { sizeOf } from 'learning-rate-dropout/internal';
import type { View } from '../../data/augmentation.ts';
import type { ImageSet, Split } from '../../data/dataSet.ts';
import { Draws } from '../../raster/draws.ts';
import { readAhead } from '../readAhead.ts';

/** One mini-batch on the host: normalised pixels and class numbers. */
export interface Batch {
  readonly count: number;
  /** `count * height * width * channels` values, row-major in that order. */
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
}

/** Batches that are made ahead of the one in use where images come from files. */
const AHEAD = 2;

/** A byte's input value, channel by channel: `(byte / maximum - mean) / std` in float64, rounded once. */
function inputTables(set: ImageSet): Float32Array[] {
  return set.mean.map((mean, c) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte / set.maximum - mean) / (set.std[c] as number)),
  );
}

function normalise(bytes: Uint8Array, tables: readonly Float32Array[]): Float32Array {
  const inputs = new Float32Array(bytes.length);
  const channels = tables.length;
  tables.forEach((table, c) => {
    for (let i = c; i < bytes.length; i += channels) inputs[i] = table[bytes[i] as number] as number;
  });
  return inputs;
}

type ViewOf = (index: number) => View;

async function gather(
  set: ImageSet,
  split: Split,
  indices: Uint32Array,
  tables: readonly Float32Array[],
  viewOf: ViewOf,
): Promise<Batch> {
  const size = sizeOf(set.shape);
  const bytes = new Uint8Array(indices.length * size);
  const labels = new Int32Array(indices.length);
  const reading: Promise<void>[] = [];
  indices.forEach((index, row) => {
    labels[row] = split.labels[index] as number;
    const read = split.images.read(index, viewOf(index), bytes.subarray(row * size, (row + 1) * size));
    if (read !== undefined) reading.push(read);
  });
  if (reading.length > 0) await Promise.all(reading);
  return { count: indices.length, inputs: normalise(bytes, tables), labels };
}

/** Batches of `order` from batch `first` on, some of them made ahead where images come from files. */
function batchesOf(
  set: ImageSet,
  split: Split,
  order: Uint32Array,
  { batchSize, first = 0, viewOf }: { batchSize: number; first?: number; viewOf: ViewOf },
): AsyncGenerator<Batch, void, undefined> {
  const ahead = split.images.streamed ? AHEAD : 0;
  const tables = inputTables(set);
  return readAhead({ first, end: Math.ceil(order.length / batchSize), ahead }, (batch) =>
    gather(set, split, order.subarray(batch * batchSize, (batch + 1) * batchSize), tables, viewOf),
  );
}

/**
 * The training batches of an epoch (counted from 1) in the shuffling stream's order, augmented by the augmentation stream, from
 * batch `first` (counted from 0) on; the last one may be smaller. They are a function of (set, batch size, seed, epoch) alone.
 */
export function trainingBatches(
  set: ImageSet,
  batchSize: number,
  seed: bigint,
  epoch: number,
  first = 0,
): AsyncGenerator<Batch, void, undefined> {
  const order = permutation({ seed, stream: 'shuffling', step: epoch }, set.train.count);
  const { augmentation } = set;
  const viewOf = (example: number): View =>
    augmentation === 'none' ? 'plain' : { augmentation, draws: new Draws({ seed, epoch, example }) };
  return batchesOf(set, set.train, order, { batchSize, first, viewOf });
}

/** The test set in order, as it is. */
export function testBatches(set: ImageSet, batchSize: number): AsyncGenerator<Batch, void, undefined> {
  const order = Uint32Array.from({ length: set.test.count }, (_, i) => i);
  return batchesOf(set, set.test, order, { batchSize, viewOf: () => 'plain' });
}
