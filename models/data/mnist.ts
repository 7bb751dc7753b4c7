import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ImageSet, ImageShape, Split } from './dataSet.ts';
import type { IdxExpectation } from './idx.ts';
import { parseIdx, readIdx } from './idx.ts';
import { Oddities, listIfThere } from './listing.ts';
import { isNamed, notFound, places } from './locate.ts';
import { isArchiveName, readMembers } from './members.ts';
import { MEMORY_AUGMENTATIONS, memorySplit } from './memoryImages.ts';

const SHAPE: ImageShape = [28, 28, 1];

interface MnistLike {
  readonly name: 'mnist' | 'fashion-mnist';
  readonly classes: readonly string[];
  /** Folders that the four files lie in where other programs keep them, below the set's own. */
  readonly tops: readonly string[];
}

const MNIST: MnistLike = {
  name: 'mnist',
  tops: ['raw', 'MNIST', 'MNIST/raw'],
  classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
};
const FASHION: MnistLike = {
  name: 'fashion-mnist',
  // torchvision's, and the publisher's own repository.
  tops: ['raw', 'FashionMNIST', 'FashionMNIST/raw', 'data/fashion', 'fashion'],
  classes: ['T-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'],
};

/** The files as published, without `.gz`. */
const STEMS = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

/** Names under which the files are found: dots for hyphens, capitals, copies by browsers, wget, macOS and Windows, `test` for `t10k`, packed or not. */
const FOUND =
  /^(?:copy of )?(train|t10k|test)[-_. ]?(images|labels)[-_. ]?idx([13])[-_. ]?ubyte(?: ?\(\d+\)| copy(?: \d+)?| - copy(?: \(\d+\))?)?(?:\.gz)?(?:\.\d+| ?\(\d+\))?$/i;

/** Which of the four files a name is that of. */
export function idxStem(name: string): (typeof STEMS)[number] | undefined {
  const parts = FOUND.exec(name);
  if (parts === null) return undefined;
  const [split, kind, rank] = [parts[1], parts[2], parts[3]].map((part) => (part as string).toLowerCase());
  return STEMS.find((stem) => stem === `${split === 'test' ? 't10k' : split}-${kind}-idx${rank}-ubyte`);
}

/** One of the four files: where it is, by its name for messages, and its content. */
interface IdxFile {
  readonly name: string;
  read(expected: IdxExpectation): Promise<Uint8Array>;
}

/** The four files, or those of them that there are. */
type Found = ReadonlyMap<string, IdxFile>;

/** The published name first, unpacked before packed, then by code units. */
function byPreference(a: string, b: string): number {
  const rank = (name: string): number => {
    const at = ['', '.gz'].findIndex((ending) => name === `${idxStem(name)}${ending}`);
    return at >= 0 ? at : /\.gz$/i.test(name) ? 3 : 2;
  };
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}

/** The files in a folder by stem; Kaggle's archive has each in a folder of its own name. */
export function findIdxFiles(folder: string, oddities: Oddities): ReadonlyMap<string, string> {
  const { files, folders } = listIfThere(folder, oddities);
  const found = new Map<string, string>();
  for (const name of files.filter((file) => idxStem(file) !== undefined).sort(byPreference)) {
    const stem = idxStem(name) as string;
    if (!found.has(stem)) found.set(stem, join(folder, name));
    else oddities.add('further copies of a file of the set, passed over', join(folder, name));
  }
  for (const name of folders.filter((inner) => idxStem(inner) !== undefined)) {
    const stem = idxStem(name) as string;
    const [file] = listIfThere(join(folder, name), oddities)
      .files.filter((inner) => idxStem(inner) === stem)
      .sort(byPreference);
    if (file !== undefined && !found.has(stem)) found.set(stem, join(folder, name, file));
  }
  return found;
}

/** The largest of the files, and all of them. */
const LIMITS = { bytes: 60_000 * 784 + 2 ** 16, total: 2 ** 28 };

/** The first archive in a folder that has the files. */
async function findInArchives(folder: string): Promise<{ archive: string; files: Found } | undefined> {
  for (const name of listIfThere(folder, new Oddities()).files.filter(isArchiveName)) {
    const archive = join(folder, name);
    const members = await readMembers(archive, (member) => idxStem(member) !== undefined, LIMITS);
    const files = new Map<string, IdxFile>();
    for (const member of [...members.keys()].sort(byPreference)) {
      const where = `${archive}: ${member}`;
      const stem = idxStem(member) as string;
      if (!files.has(stem)) files.set(stem, { name: where, read: (expected) => parseIdx(members.get(member) as Buffer, where, expected) }); // prettier-ignore
    }
    if (files.has(STEMS[0])) return { archive, files };
  }
  return undefined;
}

async function find(
  { name, tops }: MnistLike,
  folders: readonly string[],
  oddities: Oddities,
): Promise<{ source: string; files: Found }> {
  // prettier-ignore
  const all = places(folders, name, tops);
  for (const place of all) {
    const files = findIdxFiles(place, new Oddities());
    if (!files.has(STEMS[0])) continue;
    findIdxFiles(place, oddities);
    const read = (path: string): IdxFile => ({ name: path, read: (expected) => readIdx(path, expected) });
    return { source: place, files: new Map([...files].map(([stem, path]) => [stem, read(path)])) };
  }
  // An archive in a folder of many sets may be anybody's: only the set's own folders are looked through.
  const own = all.filter((place) => !folders.includes(place) || isNamed(place, name));
  for (const place of own) {
    const found = await findInArchives(place);
    if (found !== undefined) return { source: place, files: found.files };
  }
  throw notFound(name, `${STEMS[0]}[.gz]`, folders);
}

async function load(set: MnistLike, folders: readonly string[]): Promise<ImageSet> {
  const { name, classes } = set;
  const oddities = new Oddities();
  const { source, files } = await find(set, folders, oddities);
  const file = (stem: string): IdxFile => {
    const found = files.get(stem);
    if (found === undefined) throw new JobError(`data set ${name}: no ${stem}[.gz] in ${source}`);
    return found;
  };
  const split = async (prefix: string, count: number): Promise<Split> => {
    const labelFile = file(`${prefix}-labels-idx1-ubyte`);
    const [images, labels] = await Promise.all([
      file(`${prefix}-images-idx3-ubyte`).read({ count, extents: [28, 28] }),
      labelFile.read({ count, extents: [] }),
    ]);
    const wrong = labels.findIndex((label) => label >= classes.length);
    if (wrong >= 0) throw new JobError(`${labelFile.name}: label ${labels[wrong]} at ${wrong}; 0 to 9 expected`);
    return memorySplit(SHAPE, images, labels);
  };
  const [train, test] = await Promise.all([split('train', 60000), split('t10k', 10000)]);
  return {
    name,
    shape: SHAPE,
    classes,
    maximum: 255,
    // The paper says nothing of normalisation for MNIST: inputs are intensities in [0, 1].
    mean: [0],
    std: [1],
    augmentation: 'none',
    augmentations: MEMORY_AUGMENTATIONS,
    train,
    test,
    source,
    oddities: oddities.said,
  };
}

/**
 * The MNIST digits from the four idx files in the first of `folders` (or a subfolder: `mnist`, torchvision's `MNIST/raw`) that has them, under
 * any of the names that they go by, packed or not, each by itself or in an archive.
 */
export function loadMnist(folders: readonly string[]): Promise<ImageSet> {
  return load(MNIST, folders);
}

/** Fashion-MNIST, the same files with other pictures. */
export function loadFashionMnist(folders: readonly string[]): Promise<ImageSet> {
  return load(FASHION, folders);
}
