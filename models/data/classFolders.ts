import { existsSync } from 'node:fs';
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

/** Folders whose names are WordNet's ids, sorted: the classes of ImageNet and its relatives, in the order of published weights. */
export function listClasses(folder: string, oddities: Oddities): string[] {
  const { files, folders } = listFolder(folder, oddities);
  for (const name of files) oddities.add('files beside the class folders, left out', join(folder, name));
  const classes = folders.filter((name) => /^n\d{8}$/.test(name));
  for (const name of folders) {
    if (!classes.includes(name)) oddities.add("folders that no id of WordNet's names, left out", join(folder, name));
  }
  return classes;
}

/** The image files of each class, in the folder that has its name; none of a class that has no folder. */
export function filesOfClasses(
  classes: readonly string[],
  folderOf: (wnid: string) => string,
  oddities: Oddities,
): readonly ClassFiles[] {
  return classes.map((wnid): ClassFiles => {
    const folder = folderOf(wnid);
    return { folder, files: existsSync(folder) ? imagesOf(folder, listFolder(folder, oddities), oddities) : [] };
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
