import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ClassFiles } from './classFolders.ts';
import { classFolderSet, listClasses, listImages, trainingFiles } from './classFolders.ts';
import type { ImageSet } from './dataSet.ts';
import { findPlace, notFound } from './locate.ts';

const FILES = { shape: [64, 64, 3], sizes: 'fixed' } as const;

/** The labels of the validation images: `val/val_annotations.txt` has the file and its class in the first two of its columns. */
async function readAnnotations(path: string, classes: readonly string[]): Promise<Map<string, string[]>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const files = new Map(classes.map((name): [string, string[]] => [name, []]));
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const [file, name] = line.split('\t');
    const list = files.get(name ?? '');
    if (file === undefined || list === undefined || !/^\w[\w.-]*$/.test(file)) {
      throw new JobError(
        `${path}: line ${index + 1} must be FILE<tab>CLASS with a class of train/, got ${JSON.stringify(line)}`,
      );
    }
    list.push(file);
  });
  return files;
}

/**
 * Tiny ImageNet (Stanford CS231n) in its own layout: `train/<wnid>/images/*.JPEG`, `val/images/*.JPEG` with
 * `val/val_annotations.txt`. 200 classes in the order of their WordNet ids. Its validation images are what is tested on: the test
 * images have no published labels. Streamed.
 */
export async function loadTinyImageNet(folders: readonly string[]): Promise<ImageSet> {
  const name = 'tiny-imagenet';
  const root = findPlace(folders, name, ['tiny-imagenet-200'], ['wnids.txt']);
  if (root === undefined) throw notFound(name, 'wnids.txt', folders);
  const classes = await listClasses(join(root, 'train'));
  const train = await trainingFiles(classes, (wnid) => join(root, 'train', wnid, 'images'));
  const annotated = await readAnnotations(join(root, 'val', 'val_annotations.txt'), classes);
  // Cut copies list more than they hold.
  const present = new Set(await listImages(join(root, 'val', 'images')));
  const test = classes.map((wnid): ClassFiles => ({
    folder: join(root, 'val', 'images'),
    files: (annotated.get(wnid) as string[]).filter((file) => present.has(file)),
  }));
  return classFolderSet({ name, root, classes, train, test, files: FILES, whole: [100_000, 10_000] });
}
