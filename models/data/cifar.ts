import { join } from 'node:path';
import { JobError } from '../errors.ts';
import { readInput } from '../storage/inputs.ts';
import { CIFAR10_CLASSES, CIFAR100_CLASSES } from './cifarClasses.ts';
import type { ImageSet, ImageShape, Split } from './dataSet.ts';
import { partRemark } from './dataSet.ts';
import { Oddities, listFolder } from './listing.ts';
import { findPlace, isNamed, notFound, places, within } from './locate.ts';
import { isArchiveName, readMembers } from './members.ts';
import { MEMORY_AUGMENTATIONS, memorySplit } from './memoryImages.ts';

/** One of the two sets in its binary version (https://www.cs.toronto.edu/~kriz/cifar.html). */
interface Cifar {
  readonly name: 'cifar10' | 'cifar100';
  readonly classes: readonly string[];
  readonly train: readonly string[];
  readonly test: string;
  /** Records of each training file as published, and of the test file. */
  readonly records: readonly [train: number, test: number];
  /** Bytes ahead of a record's pixels; the last of them is the label. */
  readonly labelBytes: number;
  /** The archive as published, and the folder that it unpacks to. */
  readonly archive: string;
  readonly folder: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const CIFAR10: Cifar = {
  name: 'cifar10',
  classes: CIFAR10_CLASSES,
  train: [1, 2, 3, 4, 5].map((k) => `data_batch_${k}.bin`),
  test: 'test_batch.bin',
  records: [10_000, 10_000],
  labelBytes: 1,
  archive: 'cifar-10-binary.tar.gz',
  folder: 'cifar-10-batches-bin',
  // The authors' main.py.
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
};

const CIFAR100: Cifar = {
  name: 'cifar100',
  classes: CIFAR100_CLASSES,
  train: ['train.bin'],
  test: 'test.bin',
  records: [50_000, 10_000],
  // A coarse label, then the fine one.
  labelBytes: 2,
  archive: 'cifar-100-binary.tar.gz',
  folder: 'cifar-100-binary',
  // Of the 50,000 training images (weiaicunzai/pytorch-cifar100, conf/global_settings.py, rounded).
  mean: [0.5071, 0.4865, 0.4409],
  std: [0.2673, 0.2564, 0.2762],
};

const SHAPE: ImageShape = [32, 32, 3];
const PLANE = 32 * 32;
const PIXELS = 3 * PLANE;

/** A file of the set is never larger than CIFAR-100's training file; the archives have 184 MB. */
const LIMITS = { bytes: 50_000 * (PIXELS + 2), total: 2 ** 28 };

/** Archives to try in the first place that has any: the published one, else whatever lies in the set's own folder. */
function findArchives(set: Cifar, folders: readonly string[]): string[] {
  const published = findPlace(folders, set.name, [], [set.archive]);
  if (published !== undefined) return [within(published, set.archive) as string];
  const own = places(folders, set.name, []).filter((place) => !folders.includes(place) || isNamed(place, set.name));
  return own.flatMap((folder) =>
    listFolder(folder, new Oddities())
      .files.filter(isArchiveName)
      .map((name) => join(folder, name)),
  );
}

interface Found {
  readonly source: string;
  /** Bytes of each file, by name; `where` is how errors call it. */
  readonly file: (name: string) => Promise<{ readonly bytes: Buffer; readonly where: string }>;
}

async function find(set: Cifar, folders: readonly string[]): Promise<Found> {
  const first = set.train[0] as string;
  const folder = findPlace(folders, set.name, [set.folder], [first]);
  if (folder !== undefined) {
    return {
      source: folder,
      file: async (name) => {
        const where = within(folder, name) ?? join(folder, name);
        return { bytes: readInput(where, LIMITS.bytes), where };
      },
    };
  }
  for (const archive of findArchives(set, folders)) {
    const files = await readMembers(archive, (name) => [...set.train, set.test].includes(name), LIMITS);
    if (!files.has(first)) continue;
    return {
      source: places(folders, set.name, []).find((place) => archive.startsWith(join(place, '/'))) ?? archive,
      file: async (name) => {
        const bytes = files.get(name);
        if (bytes === undefined) throw new JobError(`${archive}: no ${name} in it`);
        files.delete(name);
        return { bytes, where: `${archive}: ${name}` };
      },
    };
  }
  throw notFound(set.name, `${first} or ${set.archive}`, folders);
}

/** Records of `labelBytes` bytes and three planes of 1,024 bytes, red, green, blue. */
function readRecords(
  set: Cifar,
  bytes: Buffer,
  where: string,
  limit: number,
): { pixels: Uint8Array; labels: Uint8Array } {
  const record = set.labelBytes + PIXELS;
  const count = bytes.length / record;
  if (!Number.isInteger(count) || count < 1 || count > limit) {
    throw new JobError(
      `${where}: ${bytes.length} bytes; expected ${limit.toLocaleString('en')} records of ${record} bytes, or whole records of a part of them`,
    );
  }
  const pixels = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const start = i * record + set.labelBytes;
    const label = bytes[start - 1] as number;
    if (label >= set.classes.length) {
      throw new JobError(`${where}: label ${label} at record ${i}; 0 to ${set.classes.length - 1} expected`);
    }
    labels[i] = label;
    for (let c = 0; c < 3; c++) {
      const plane = start + c * PLANE;
      const to = i * PIXELS + c;
      for (let at = 0; at < PLANE; at++) pixels[to + 3 * at] = bytes[plane + at] as number;
    }
  }
  return { pixels, labels };
}

async function load(set: Cifar, folders: readonly string[]): Promise<ImageSet> {
  const { source, file } = await find(set, folders);
  const split = async (names: readonly string[], limit: number): Promise<Split> => {
    const parts: { pixels: Uint8Array; labels: Uint8Array }[] = [];
    for (const name of names) {
      const { bytes, where } = await file(name);
      parts.push(readRecords(set, bytes, where, limit));
    }
    const join_ = (arrays: readonly Uint8Array[]): Uint8Array =>
      arrays.length === 1 ? (arrays[0] as Uint8Array) : Buffer.concat(arrays);
    return memorySplit(SHAPE, join_(parts.map(({ pixels }) => pixels)), join_(parts.map(({ labels }) => labels)));
  };
  const train = await split(set.train, set.records[0]);
  const test = await split([set.test], set.records[1]);
  const remark = partRemark([train.count, test.count], [set.train.length * set.records[0], set.records[1]]);
  return {
    name: set.name,
    shape: SHAPE,
    classes: set.classes,
    maximum: 255,
    mean: set.mean,
    std: set.std,
    augmentation: 'crop-flip',
    augmentations: MEMORY_AUGMENTATIONS,
    train,
    test,
    source,
    ...(remark === undefined ? {} : { remark }),
  };
}

/**
 * CIFAR-10 in its binary version, unpacked or as the published .tar.gz, whole or cut at a record. In memory: a byte a value.
 * Throws a `JobError` that names the file and what was expected.
 */
export function loadCifar10(folders: readonly string[]): Promise<ImageSet> {
  return load(CIFAR10, folders);
}

/** CIFAR-100 with its fine labels, likewise. */
export function loadCifar100(folders: readonly string[]): Promise<ImageSet> {
  return load(CIFAR100, folders);
}
