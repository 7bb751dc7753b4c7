import { permutation } from '../../impl-gpu/random.ts';
import type { ImageSet, Split } from '../data/dataSet.ts';

/** One mini-batch on the host: pixels in [0, 1] and class numbers. */
export interface Batch {
  readonly count: number;
  /** `count * pixels` values. */
  readonly inputs: Float32Array;
  readonly labels: Uint8Array;
}

function gather(set: ImageSet, split: Split, indices: Uint32Array): Batch {
  const pixels = set.shape[0] * set.shape[1] * set.shape[2];
  const inputs = new Float32Array(indices.length * pixels);
  const labels = new Uint8Array(indices.length);
  for (let row = 0; row < indices.length; row++) {
    const index = indices[row] as number;
    const from = index * pixels;
    const to = row * pixels;
    for (let i = 0; i < pixels; i++) inputs[to + i] = (split.images[from + i] as number) / set.maximum;
    labels[row] = split.labels[index] as number;
  }
  return { count: indices.length, inputs, labels };
}

/**
 * The training batches of an epoch (counted from 1) in the shuffling stream's order, from batch `first` (counted from 0) on; the
 * last one may be smaller.
 */
export function* trainingBatches(
  set: ImageSet,
  batchSize: number,
  seed: bigint,
  epoch: number,
  first = 0,
): Generator<Batch> {
  const order = permutation({ seed, stream: 'shuffling', step: epoch }, set.train.count);
  for (let start = first * batchSize; start < order.length; start += batchSize) {
    yield gather(set, set.train, order.subarray(start, start + batchSize));
  }
}

/** The test set in order. */
export function* testBatches(set: ImageSet, batchSize: number): Generator<Batch> {
  const order = Uint32Array.from({ length: set.test.count }, (_, i) => i);
  for (let start = 0; start < order.length; start += batchSize) {
    yield gather(set, set.test, order.subarray(start, start + batchSize));
  }
}
