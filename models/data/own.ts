import { JobError } from '../errors.ts';
import { loadFromModule } from '../storage/modules.ts';
import type { ImageSet, ImageShape, Split } from './dataSet.ts';
import { MEMORY_AUGMENTATIONS, memorySplit } from './memoryImages.ts';

/** A split of a set of one's own: `count` images of the set's shape, a byte a value, and their classes by number. */
export interface OwnSplit {
  readonly images: Uint8Array;
  readonly labels: ArrayLike<number>;
}

/** A set of labelled images of one's own, in memory. */
export interface OwnSet {
  /** As reports call it. */
  readonly name: string;
  /** [height, width, channels]. */
  readonly shape: ImageShape;
  /** Their names, by class number. */
  readonly classes: readonly string[];
  /** What is trained on. */
  readonly train: OwnSplit;
  /** What is never trained on. */
  readonly test: OwnSplit;
  /** The byte that stands for full intensity. Default 255. Inputs are `(byte / maximum - mean) / std`, channel by channel. */
  readonly maximum?: number;
  /** Of intensities in [0, 1], a value a channel. Default 0 and 1: as they are. */
  readonly mean?: readonly number[];
  /** See `mean`. */
  readonly std?: readonly number[];
}

function splitOf(side: 'train' | 'test', { shape, classes }: OwnSet, { images, labels }: OwnSplit): Split {
  const size = shape[0] * shape[1] * shape[2];
  if (!(images instanceof Uint8Array)) throw new JobError(`${side}.images must be a Uint8Array`);
  if (labels.length === 0 || images.length !== labels.length * size) {
    throw new JobError(
      `${side}.images must have ${size} bytes for each of its ${labels.length} labels, got ${images.length}`,
    );
  }
  const wrong = Array.from(labels).find((label) => !Number.isInteger(label) || label < 0 || label >= classes.length);
  if (wrong !== undefined) throw new JobError(`${side}.labels must be from 0 to ${classes.length - 1}, got ${wrong}`);
  return memorySplit(shape, images, labels);
}

/** Makes a set that recipes take of images in memory. Throws a `JobError` that names the field and the rule. */
export function imageSet(own: OwnSet): ImageSet {
  const { name, shape, classes, maximum = 255 } = own;
  const whole = (n: unknown): boolean => Number.isInteger(n) && (n as number) > 0;
  if (!Array.isArray(shape) || shape.length !== 3 || !shape.every(whole)) {
    throw new JobError(`shape must be [height, width, channels], got ${JSON.stringify(shape)}`);
  }
  if (!Array.isArray(classes) || classes.length < 2) throw new JobError('classes must be a list of two names or more');
  const channels = shape[2];
  return {
    name,
    shape,
    classes: classes.map(String),
    maximum,
    mean: own.mean ?? Array.from({ length: channels }, () => 0),
    std: own.std ?? Array.from({ length: channels }, () => 1),
    augmentation: 'none',
    augmentations: MEMORY_AUGMENTATIONS,
    train: splitOf('train', own, own.train),
    test: splitOf('test', own, own.test),
    source: 'memory',
  };
}

/** What a module's function gets: what makes a set of bytes. */
const KIT = { imageSet, memorySplit };

/** The kit of a data set's module. */
export type DataKit = typeof KIT;

/** Loads a set from a module that exports `data`. Throws a `JobError` that names the file. */
export async function loadOwnSet(path: string): Promise<ImageSet> {
  const set = (await loadFromModule(path, 'data', KIT)) as Partial<ImageSet>;
  const fields = ['name', 'shape', 'classes', 'maximum', 'mean', 'std', 'augmentations', 'train', 'test'] as const;
  const missing = fields.find((field) => set[field] === undefined);
  if (missing !== undefined) throw new JobError(`${path}: data must have ${missing}; imageSet({...}) makes a set`);
  return { ...(set as ImageSet), source: path };
}
