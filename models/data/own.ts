import { Type } from '@sinclair/typebox';
import { JobError } from '../errors.ts';
import { form, oneOf, wholeFrom } from '../storage/form.ts';
import { loadFromModule, ofModule, ofModuleLater } from '../storage/modules.ts';
import { AUGMENTATIONS } from './augmentation.ts';
import type { Images, ImageSet, ImageShape, Split } from './dataSet.ts';
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

function splitOf(side: 'train' | 'test', { shape, classes, [side]: split }: OwnSet): Split {
  const { images, labels } = split ?? {};
  const size = shape[0] * shape[1] * shape[2];
  if (!(images instanceof Uint8Array)) throw new JobError(`${side}.images must be a Uint8Array`);
  if (typeof labels?.length !== 'number') throw new JobError(`${side}.labels must be a list of numbers`);
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
    train: splitOf('train', own),
    test: splitOf('test', own),
    source: 'memory',
  };
}

/** What a module's function gets: what makes a set of bytes. */
const KIT = { imageSet, memorySplit };

/** The kit of a data set's module. */
export type DataKit = typeof KIT;

const SHAPE = Type.Tuple([wholeFrom(1), wholeFrom(1), wholeFrom(1)]);
const augmentation = oneOf(AUGMENTATIONS);

/** What a set says, beside its images. */
const SAID = form(
  'a data set, such as imageSet({...}) makes',
  Type.Object({
    name: Type.String({ minLength: 1, maxLength: 200 }),
    shape: SHAPE,
    classes: Type.Array(Type.String({ maxLength: 1000 }), { minItems: 2 }),
    maximum: Type.Number({ exclusiveMinimum: 0, maximum: 65_535 }),
    mean: Type.Array(Type.Number()),
    std: Type.Array(Type.Number({ exclusiveMinimum: 0 })),
    augmentation,
    augmentations: Type.Array(augmentation, { minItems: 1 }),
    remark: Type.Optional(Type.String({ maxLength: 10_000 })),
    oddities: Type.Optional(Type.Array(Type.String({ maxLength: 10_000 }))),
  }),
);

/** A split as batches take it; reading an image names the module where it fails. Throws a `JobError`. */
function checkedSplit(path: string, side: string, split: Partial<Split> | null | undefined, classes: number): Split {
  const wrong = (rule: string): JobError => new JobError(`${path}: ${side} must have ${rule}`);
  const { count, labels, images } = split ?? {};
  if (!Number.isSafeInteger(count) || (count as number) < 1) throw wrong('count, a whole number of at least 1');
  if (!(labels instanceof Int32Array) || labels.length !== count) throw wrong(`labels, an Int32Array of ${count}`);
  const bad = labels.findIndex((label) => label < 0 || label >= classes);
  if (bad >= 0) throw wrong(`labels from 0 to ${classes - 1}, got ${labels[bad]} at ${bad}`);
  if (typeof images?.read !== 'function') throw wrong('images with read, a function');
  const guarded: Images = {
    streamed: images.streamed,
    read: (index, view, out) => {
      const read = ofModule(path, () => images.read(index, view, out));
      return read instanceof Promise ? ofModuleLater(path, () => read) : read;
    },
  };
  return { count, labels, images: guarded };
}

/** Loads a set from a module that exports `data`. Throws a `JobError` that names the file. */
export async function loadOwnSet(path: string): Promise<ImageSet> {
  const set = (await loadFromModule(path, 'data', KIT)) as Partial<ImageSet>;
  const { shape, classes, mean, std } = SAID.read(set, path);
  for (const [field, values] of Object.entries({ mean, std })) {
    if (values.length === shape[2]) continue;
    throw new JobError(
      `${path}: ${field} must have a value for each of its ${shape[2]} channels, got ${values.length}`,
    );
  }
  const [train, test] = (['train', 'test'] as const).map((side) => checkedSplit(path, side, set[side], classes.length));
  return { ...(set as ImageSet), train: train as Split, test: test as Split, source: path };
}
