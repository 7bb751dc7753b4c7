import type { Augmentation, View } from './augmentation.ts';

/** Height, width and channels of what the network sees. */
export type ImageShape = readonly [number, number, number];

/** The pixels of one split: bytes, row-major `height x width x channels` of the set's shape. */
export interface Images {
  /** Whether pixels come from files: then batches are made ahead, while the training step runs. */
  readonly streamed: boolean;
  /**
   * Writes image `index` (from 0) into `out`, `height * width * channels` bytes. A pure function of its arguments. What comes from
   * files is there when the promise resolves; it rejects with a `JobError` that names the file.
   */
  read(index: number, view: View, out: Uint8Array): Promise<void> | void;
}

/** Images and labels of one split. */
export interface Split {
  readonly count: number;
  /** `count` class numbers. */
  readonly labels: Int32Array;
  readonly images: Images;
}

/** A labelled set of images, in memory or read from files as training goes. */
export interface ImageSet {
  readonly name: string;
  /** [height, width, channels] of what the network sees. */
  readonly shape: ImageShape;
  readonly classes: readonly string[];
  /** The byte that stands for full intensity. Inputs are `(byte / maximum - mean) / std`, channel by channel. */
  readonly maximum: number;
  /** Of intensities in [0, 1], a value a channel. 0 where inputs are taken as they are. */
  readonly mean: readonly number[];
  /** As `mean`; 1 where inputs are taken as they are. */
  readonly std: readonly number[];
  /** What training does to an image; tests never do any of it. */
  readonly augmentation: Augmentation;
  readonly train: Split;
  readonly test: Split;
  /** Where it came from, for the run's record. */
  readonly source: string;
}

/** The first `train` and `test` images of a set, or all there are: for quick trials (`--limit`). */
export function limitSet(set: ImageSet, train: number, test: number): ImageSet {
  const cut = (split: Split, limit: number): Split => {
    const count = Math.min(split.count, limit);
    return { ...split, count, labels: split.labels.subarray(0, count) };
  };
  return { ...set, train: cut(set.train, train), test: cut(set.test, test) };
}
