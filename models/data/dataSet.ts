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
  /** Images. */
  readonly count: number;
  /** `count` class numbers. */
  readonly labels: Int32Array;
  /** Their bytes, as they are asked for. */
  readonly images: Images;
}

/**
 * A labelled set of images. Sets that are published as a few binary files (MNIST, CIFAR: 184 MB at most) are held in memory as bytes;
 * sets of image files (Tiny ImageNet, ImageNet) are decoded as training goes, three batches at a time and never more.
 */
export interface ImageSet {
  /** As the command line takes it. */
  readonly name: string;
  /** [height, width, channels] of what the network sees. */
  readonly shape: ImageShape;
  /** Their names, by class number. */
  readonly classes: readonly string[];
  /** The byte that stands for full intensity. Inputs are `(byte / maximum - mean) / std`, channel by channel. */
  readonly maximum: number;
  /** Of intensities in [0, 1], a value a channel. 0 where inputs are taken as they are. */
  readonly mean: readonly number[];
  /** As `mean`; 1 where inputs are taken as they are. */
  readonly std: readonly number[];
  /** What training does to an image; tests never do any of it. */
  readonly augmentation: Augmentation;
  /** What it could do to them. */
  readonly augmentations: readonly Augmentation[];
  /** What is trained on. */
  readonly train: Split;
  /** Of the training images, what is held out to choose settings by. Default: none. */
  readonly validation?: Split;
  /** What is never trained on. */
  readonly test: Split;
  /** The folder that it came from, for the run's record. */
  readonly source: string;
  /** What a reader of results must know: that the files hold a part of the published set. */
  readonly remark?: string;
  /** What is odd about the files, a sentence a kind with its count; nothing of the set is missing for it. */
  readonly oddities?: readonly string[];
}

/** What a run's record says of its data: all that its reader must know, in one line; undefined where there is nothing. */
export function saidOf({ remark, oddities = [] }: Pick<ImageSet, 'remark' | 'oddities'>): string | undefined {
  const said = [...(remark === undefined ? [] : [remark]), ...oddities];
  return said.length === 0 ? undefined : said.join('; ');
}

/** What differs between a part of a published set and the whole, in words; undefined for the whole. */
export function partRemark(
  found: readonly [train: number, test: number],
  published: readonly [train: number, test: number],
): string | undefined {
  if (found[0] === published[0] && found[1] === published[1]) return undefined;
  const of = (side: 0 | 1): string => `${found[side].toLocaleString('en')} of ${published[side].toLocaleString('en')}`;
  return `a part of the set: ${of(0)} training images and ${of(1)} test images`;
}

/** The first `train` and `test` images of a set, or all there are: for quick trials (`--limit`). */
export function limitSet(set: ImageSet, train: number, test: number): ImageSet {
  const cut = (split: Split, limit: number): Split => {
    const count = Math.min(split.count, limit);
    return { ...split, count, labels: split.labels.subarray(0, count) };
  };
  return { ...set, train: cut(set.train, train), test: cut(set.test, test) };
}
