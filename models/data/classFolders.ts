import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ImageSet, Split } from './dataSet.ts';
import { partRemark } from './dataSet.ts';
import { prepareDecoder } from './decode.ts';
import type { ImageFiles } from './fileImages.ts';
import { FILE_AUGMENTATIONS, fileImages } from './fileImages.ts';

/** Mean and deviation of ImageNet's channels as everyone uses them (pytorch/examples, imagenet/main.py). */
const IMAGENET_MEAN: readonly number[] = [0.485, 0.456, 0.406];
const IMAGENET_STD: readonly number[] = [0.229, 0.224, 0.225];

/** The files of one class, by name within `folder`. */
export interface ClassFiles {
  readonly folder: string;
  readonly files: readonly string[];
}

const IMAGE = /\.(jpe?g|png)$/i;

/** Names in a folder, sorted by code units (as `ls` in the C locale and torchvision's ImageFolder sort). Throws a `JobError`. */
export async function listFolder(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    throw new JobError(`${folder}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Image files in a folder, sorted. */
export async function listImages(folder: string): Promise<string[]> {
  return (await listFolder(folder)).filter((name) => IMAGE.test(name));
}

/** Folders whose names are WordNet's ids, sorted: the classes of ImageNet and its relatives, in the order of published weights. */
export async function listClasses(folder: string): Promise<string[]> {
  const names = await listFolder(folder);
  return names.filter((name) => /^n\d{8}$/.test(name));
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
  return { count: classOf.length, labels: classOf, images: fileImages({ ...files, count: classOf.length, path }) };
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
}

/** The training files of each class, where `folderOf` says. */
export function trainingFiles(
  classes: readonly string[],
  folderOf: (wnid: string) => string,
): Promise<readonly ClassFiles[]> {
  return Promise.all(
    classes.map(async (wnid): Promise<ClassFiles> => {
      const folder = folderOf(wnid);
      return { folder, files: await listImages(folder) };
    }),
  );
}

/** A streamed set of images in class folders. Throws a `JobError` when a split is empty. */
export async function classFolderSet({
  name,
  root,
  classes,
  files,
  whole,
  ...splits
}: ClassFolders): Promise<ImageSet> {
  await prepareDecoder();
  const train = classSplit(splits.train, files);
  const test = classSplit(splits.test, files);
  const counts = [train.count, test.count] as const;
  if (counts.includes(0))
    throw new JobError(`${root}: ${counts[0]} training images and ${counts[1]} validation images`);
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
  };
}
