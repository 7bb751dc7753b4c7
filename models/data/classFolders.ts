import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ImageSet, Split } from './dataSet.ts';
import { partRemark } from './dataSet.ts';
import { prepareDecoder } from './decode.ts';
import type { ImageFiles } from './fileImages.ts';
import { FILE_AUGMENTATIONS, fileImages } from './fileImages.ts';
import type { Oddities } from './listing.ts';
import { imagesOf, listFolder } from './listing.ts';

/** Mean and deviation of ImageNet's channels as everyone uses them (pytorch/examples, imagenet/main.py). */
const IMAGENET_MEAN: readonly number[] = [0.485, 0.456, 0.406];
const IMAGENET_STD: readonly number[] = [0.229, 0.224, 0.225];

/** The files of one class, by name within `folder`. */
export interface ClassFiles {
  readonly folder: string;
  readonly files: readonly string[];
}

/** The id of WordNet's that a folder is called by: `n02085620`, `N02085620`, or with the class's name as in `n02085620-Chihuahua`. */
export function wnidOf(name: string): string | undefined {
  return /^(n\d{8})(?![\da-z])/i.exec(name)?.[1]?.toLowerCase();
}

/**
 * Folders whose names are WordNet's ids, by these: the classes of ImageNet and its relatives, sorted, which is the order of published weights. Of two
 * that have an id, the shorter name is the class's.
 */
export function listClasses(folder: string, oddities: Oddities): ReadonlyMap<string, string> {
  const { files, folders } = listFolder(folder, oddities);
  for (const name of files) oddities.add('files beside the class folders, left out', join(folder, name));
  const found = new Map<string, string>();
  for (const name of [...folders].sort((a, b) => a.length - b.length)) {
    const wnid = wnidOf(name);
    const path = join(folder, name);
    if (wnid === undefined) oddities.add("folders that no id of WordNet's names, left out", path);
    else if (found.has(wnid)) oddities.add('further folders of a class, left out', path);
    else found.set(wnid, path);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The image files of each class, in the folder that has its name; none of a class that has no folder. */
export function filesOfClasses(
  classes: readonly string[],
  folderOf: (wnid: string) => string | undefined,
  oddities: Oddities,
): readonly ClassFiles[] {
  return classes.map((wnid): ClassFiles => {
    const folder = folderOf(wnid);
    if (folder === undefined) return { folder: '', files: [] };
    return { folder, files: imagesOf(folder, listFolder(folder, oddities), oddities) };
  });
}

/**
 * Classes dealt out in turn: the first image of each, then the second of each. So the first N images, which `--limit N` takes, are
 * of all classes alike.
 */
export function deal(classes: readonly ClassFiles[]): { readonly classOf: Int32Array; readonly fileOf: Int32Array } {
  const count = classes.reduce((sum, { files }) => sum + files.length, 0);
  const [classOf, fileOf] = [new Int32Array(count), new Int32Array(count)];
  const turns = classes.reduce((most, { files }) => Math.max(most, files.length), 0);
  let at = 0;
  for (let turn = 0; turn < turns; turn++) {
    for (const [k, { files }] of classes.entries()) {
      if (turn >= files.length) continue;
      classOf[at] = k;
      fileOf[at] = turn;
      at += 1;
    }
  }
  return { classOf, fileOf };
}

/** A split of classes' files; class k is label k. */
export function classSplit(classes: readonly ClassFiles[], files: Pick<ImageFiles, 'shape' | 'sizes'>): Split {
  const { classOf, fileOf } = deal(classes);
  const path = (index: number): string => {
    const { folder, files: names } = classes[classOf[index] as number] as ClassFiles;
    return join(folder, names[fileOf[index] as number] as string);
  };
  return { count: classOf.length, labels: classOf, images: fileImages({ ...files, path }) };
}

/** What ImageNet and its relatives differ in. */
interface ClassFolders {
  readonly name: string;
  readonly root: string;
  /** In label order. */
  readonly classes: readonly string[];
  readonly train: readonly ClassFiles[];
  readonly test: readonly ClassFiles[];
  readonly files: Pick<ImageFiles, 'shape' | 'sizes'>;
  /** Images of the whole set. */
  readonly whole: readonly [number, number];
  /** Met while the files were listed. */
  readonly oddities: Oddities;
}

/** A streamed set of images in class folders. Throws a `JobError` when a split is empty. */
export async function classFolderSet({
  name,
  root,
  classes,
  files,
  whole,
  oddities,
  ...splits
}: ClassFolders): Promise<ImageSet> {
  await prepareDecoder();
  const train = classSplit(splits.train, files);
  const test = classSplit(splits.test, files);
  const counts = [train.count, test.count] as const;
  if (counts.includes(0))
    throw new JobError(
      [`${root}: ${counts[0]} training images and ${counts[1]} validation images`, ...oddities.said].join('; '),
    );
  for (const [k, { files: found }] of splits.train.entries()) {
    if (found.length === 0) oddities.add('classes without a training image', classes[k] as string);
  }
  const remark = partRemark(counts, whole);
  return {
    name,
    shape: files.shape,
    classes,
    maximum: 255,
    mean: IMAGENET_MEAN,
    std: IMAGENET_STD,
    augmentation: 'resized-crop-flip',
    augmentations: FILE_AUGMENTATIONS,
    train,
    test,
    source: root,
    ...(remark === undefined ? {} : { remark }),
    oddities: oddities.said,
  };
}
