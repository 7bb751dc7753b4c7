import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ImageFiles } from './fileImages.ts';
import { fileImages } from './fileImages.ts';
import type { Split } from './dataSet.ts';

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
