import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ClassFiles } from './classFolders.ts';
import { classFolderSet, filesOfClasses, listClasses, wnidOf } from './classFolders.ts';
import type { ImageSet } from './dataSet.ts';
import { Oddities, imagesOf, listFolder } from './listing.ts';
import { findPlace, notFound, within } from './locate.ts';
import { readLines } from './text.ts';

const FILES = { shape: [64, 64, 3], sizes: 'fixed' } as const;

/** The class of each validation image: `val/val_annotations.txt` has the file and its class in the first two of its columns. */
function readAnnotations(path: string, classes: readonly string[]): Map<string, string> {
  return new Map(
    readLines(path).map((line, index): [string, string] => {
      const [file = '', name = ''] = line.split('\t').map((word) => word.trim());
      if (!classes.includes(name) || !/^\w[\w.-]*$/.test(file)) {
        throw new JobError(
          `${path}: line ${index + 1} must be FILE<tab>CLASS with a class of train/, got ${JSON.stringify(line.slice(0, 100))}`,
        );
      }
      return [file, name];
    }),
  );
}

/** Images that were sorted into class folders have lost the folder `images` on the way, as often as not. */
function imageFolder<P extends string | undefined>(classFolder: P): P | string {
  if (classFolder === undefined) return classFolder;
  const images = join(classFolder, 'images');
  return existsSync(images) ? images : classFolder;
}

function readValidation(val: string, classes: readonly string[], oddities: Oddities): readonly ClassFiles[] {
  if (listFolder(val, new Oddities()).folders.some((name) => classes.includes(wnidOf(name) ?? ''))) {
    const found = listClasses(val, oddities);
    for (const [wnid, path] of found) {
      if (!classes.includes(wnid)) oddities.add('classes of val that train lacks, left out', path);
    }
    return filesOfClasses(classes, (wnid) => imageFolder(found.get(wnid)), oddities);
  }
  const annotations = within(val, 'val_annotations.txt') ?? join(val, 'val_annotations.txt');
  const annotated = readAnnotations(annotations, classes);
  const folder = imageFolder(val);
  const { files, folders } = listFolder(folder, oddities);
  const images = imagesOf(
    folder,
    { files: files.filter((name) => join(folder, name) !== annotations), folders },
    oddities,
  );
  const byClass = new Map(classes.map((wnid): [string, string[]] => [wnid, []]));
  // In the order of the list, which cut copies do not cut.
  const present = new Set(images);
  for (const [file, wnid] of annotated) {
    if (present.delete(file)) (byClass.get(wnid) as string[]).push(file);
    else oddities.add('listed validation images that are not there', join(folder, file));
  }
  for (const file of present) oddities.add('validation images without a label, left out', join(folder, file));
  return classes.map((wnid) => ({ folder, files: byClass.get(wnid) as string[] }));
}

/**
 * Tiny ImageNet (Stanford CS231n) in its own layout: `train/<wnid>/images/*.JPEG`, `val/images/*.JPEG` with
 * `val/val_annotations.txt`; or with the validation images sorted into class folders, as PyTorch's users have them. 200 classes in the
 * order of their WordNet ids. Its validation images are what is tested on: the test images have no published labels. Streamed.
 */
export async function loadTinyImageNet(folders: readonly string[]): Promise<ImageSet> {
  const name = 'tiny-imagenet';
  const root = findPlace(folders, name, ['tiny-imagenet-200'], ['wnids.txt']);
  if (root === undefined) throw notFound(name, 'wnids.txt', folders);
  const part = (folder: string): string => within(root, folder) ?? join(root, folder);
  const oddities = new Oddities();
  const found = listClasses(part('train'), oddities);
  const classes = [...found.keys()];
  return classFolderSet({
    name,
    root,
    classes,
    train: filesOfClasses(classes, (wnid) => imageFolder(found.get(wnid)), oddities),
    test: readValidation(part('val'), classes, oddities),
    files: FILES,
    whole: [100_000, 10_000],
    oddities,
  });
}
