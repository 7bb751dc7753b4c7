import { permutation } from 'learning-rate-dropout/stream';
import { UsageError } from '../errors.ts';
import type { ImageSet, Split } from './dataSet.ts';

/** Of the shuffle that decides which examples are held out: the same for every run, whatever its own seed. */
const SEED = 0n;

/** Numbers of a training set's examples, in ascending order. */
export interface HeldOut {
  /** What is trained on. */
  readonly train: Uint32Array;
  /** What is held out. */
  readonly validation: Uint32Array;
}

/**
 * Which of `count` training examples are held out for validation: the last `validation` of one fixed shuffle, so that the choice depends on no
 * run's seed, and a smaller part lies within a larger one. Throws a `UsageError` unless some are left to train on.
 */
export function heldOut(count: number, validation: number): HeldOut {
  if (validation >= count) {
    throw new UsageError(
      `--validation must be less than the ${count} training examples, of which it holds some out, got ${validation}`,
    );
  }
  const order = permutation({ seed: SEED, stream: 'shuffling', step: 0 }, count);
  return { train: order.slice(0, count - validation).sort(), validation: order.slice(count - validation).sort() };
}

/** The splits of a set whose training examples are read by their numbers. */
interface Splits<E> {
  readonly train: E;
  readonly validation?: E;
}

/** A set with a part of its training examples as `validation`; `pick` makes a split of some numbers of another. */
export function holdOut<E extends { readonly count: number }, S extends Splits<E>>(
  set: S,
  validation: number | undefined,
  pick: (split: E, numbers: Uint32Array) => E,
): S {
  if (validation === undefined) return set;
  const numbers = heldOut(set.train.count, validation);
  return { ...set, train: pick(set.train, numbers.train), validation: pick(set.train, numbers.validation) };
}

function pickImages({ labels, images }: Split, numbers: Uint32Array): Split {
  return {
    count: numbers.length,
    labels: Int32Array.from(numbers, (number) => labels[number] as number),
    images: { streamed: images.streamed, read: (index, view, out) => images.read(numbers[index] as number, view, out) },
  };
}

/** A set of images with `validation` of its training images held out; as it is where that is undefined. Throws as `heldOut` does. */
export function holdOutImages(set: ImageSet, validation: number | undefined): ImageSet {
  return holdOut(set, validation, pickImages);
}
