/** Images and labels of one split, as bytes; rows are row-major `height x width x channels`. */
export interface Split {
  readonly count: number;
  /** `count * height * width * channels` bytes. */
  readonly images: Uint8Array;
  /** `count` class numbers. */
  readonly labels: Uint8Array;
}

/** A labelled set of images that fits in memory. */
export interface ImageSet {
  readonly name: string;
  /** [height, width, channels]. */
  readonly shape: readonly [number, number, number];
  readonly classes: readonly string[];
  /** The byte that stands for full intensity: inputs are `byte / maximum`, in [0, 1]. */
  readonly maximum: number;
  readonly train: Split;
  readonly test: Split;
  /** Where it came from, for the run's record. */
  readonly source: string;
}

/** The first `train` and `test` images of a set, or all there are: for quick trials (`--limit`). */
export function limitSet(set: ImageSet, train: number, test: number): ImageSet {
  const pixels = set.shape[0] * set.shape[1] * set.shape[2];
  const cut = (split: Split, limit: number): Split => {
    const count = Math.min(split.count, limit);
    return { count, images: split.images.subarray(0, count * pixels), labels: split.labels.subarray(0, count) };
  };
  return { ...set, train: cut(set.train, train), test: cut(set.test, test) };
}
