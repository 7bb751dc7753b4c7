import { permutation } from 'learning-rate-dropout/stream';
import { sizeOf } from 'learning-rate-dropout/internal';
import type { View } from '../../data/augmentation.ts';
import type { ImageSet, Split } from '../../data/dataSet.ts';
import { Draws } from '../../raster/draws.ts';
import type { Part, Rows } from '../part.ts';
import { WHOLE, rowsOf } from '../part.ts';
import { readAhead } from '../readAhead.ts';

/** One mini-batch on the host: normalised pixels and class numbers. */
export interface Batch {
  readonly count: number;
  /** `count * height * width * channels` values, row-major in that order. */
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
  /** Where these rows lie in the batch, of which several processes may have a part each. */
  readonly rows: Rows;
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
  batch: Uint32Array,
  rows: Rows,
  tables: readonly Float32Array[],
  viewOf: ViewOf,
): Promise<Batch> {
  const indices = batch.subarray(rows.first, rows.first + rows.count);
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
  return { count: indices.length, inputs: normalise(bytes, tables), labels, rows };
}

/** Batches of `order` from batch `first` on, or a process's part of each, some of them made ahead where images come from files. */
function batchesOf(
  set: ImageSet,
  split: Split,
  order: Uint32Array,
  { batchSize, first = 0, part = WHOLE, viewOf }: { batchSize: number; first?: number; part?: Part; viewOf: ViewOf },
): AsyncGenerator<Batch, void, undefined> {
  const ahead = split.images.streamed ? AHEAD : 0;
  const tables = inputTables(set);
  return readAhead({ first, end: Math.ceil(order.length / batchSize), ahead }, (batch) => {
    const indices = order.subarray(batch * batchSize, (batch + 1) * batchSize);
    return gather(set, split, indices, rowsOf(part, indices.length), tables, viewOf);
  });
}

/**
 * The training batches of an epoch (counted from 1) in the shuffling stream's order, augmented by the augmentation stream, from
 * batch `first` (counted from 0) on; the last one may be smaller. They are a function of (set, batch size, seed, epoch) alone; of each a process
 * has its part, which may be none of its rows.
 */
export function trainingBatches(
  set: ImageSet,
  batchSize: number,
  seed: bigint,
  epoch: number,
  first = 0,
  part = WHOLE,
): AsyncGenerator<Batch, void, undefined> {
  const order = permutation({ seed, stream: 'shuffling', step: epoch }, set.train.count);
  const { augmentation } = set;
  const viewOf = (example: number): View =>
    augmentation === 'none' ? 'plain' : { augmentation, draws: new Draws({ seed, epoch, example }) };
  return batchesOf(set, set.train, order, { batchSize, first, part, viewOf });
}

/** A split of the set in order, as it is; of several processes each has every so many batches. */
export function testBatches(
  set: ImageSet,
  split: Split,
  batchSize: number,
  { rank, size }: Pick<Part, 'rank' | 'size'> = WHOLE,
): AsyncGenerator<Batch, void, undefined> {
  const { count } = split;
  const mine = Array.from({ length: Math.ceil(count / batchSize) }, (_, batch) => batch).filter(
    (batch) => batch % size === rank,
  );
  const tables = inputTables(set);
  const ahead = split.images.streamed ? AHEAD : 0;
  return readAhead({ first: 0, end: mine.length, ahead }, (index) => {
    const start = (mine[index] as number) * batchSize;
    const indices = Uint32Array.from({ length: Math.min(batchSize, count - start) }, (_, i) => start + i);
    return gather(set, split, indices, rowsOf(WHOLE, indices.length), tables, () => 'plain');
  });
}
