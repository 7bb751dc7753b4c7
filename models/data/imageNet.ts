import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ClassFiles } from './classFolders.ts';
import { classFolderSet, listClasses, listImages, trainingFiles } from './classFolders.ts';
import type { ImageSet } from './dataSet.ts';
import { findPlace, notFound } from './locate.ts';

/** Tests see the middle 224 pixels of images whose shorter side was resized to 256 (the same source). */
const FILES = { shape: [224, 224, 3], sizes: { resized: 256 } } as const;

const TRUTH = 'ILSVRC2012_validation_ground_truth.txt';
const IDS = 'map_clsloc.txt';
const SOLUTION = 'LOC_val_solution.csv';

async function readLines(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split(/\r?\n/).filter((line) => line !== '');
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** The class of each validation image, by its name without the ending, where all lie in one folder. */
async function readFlatLabels(root: string, files: readonly string[]): Promise<Map<string, string>> {
  const find = (file: string): string | undefined =>
    ['.', 'val', 'data', '../../..'].map((place) => join(root, place, file)).find((path) => existsSync(path));
  const solution = find(SOLUTION);
  if (solution !== undefined) {
    // ImageId,PredictionString: the first word of the second column is the class.
    const rows = (await readLines(solution)).slice(1).map((line) => /^(\w+),(n\d{8})\b/.exec(line));
    return new Map(
      rows.flatMap((row): [string, string][] => (row === null ? [] : [[row[1] as string, row[2] as string]])),
    );
  }
  const [truth, ids] = [find(TRUTH), find(IDS)];
  if (truth === undefined || ids === undefined) {
    throw new JobError(
      `${join(root, 'val')}: images without class folders need their labels beside them: ${SOLUTION}, or ${TRUTH} with ${IDS}`,
    );
  }
  const wnids = new Map(
    (await readLines(ids)).map((line): [string, string] => {
      const [wnid, id] = line.split(' ');
      return [id ?? '', wnid ?? ''];
    }),
  );
  const labels = await readLines(truth);
  if (labels.length < files.length) {
    throw new JobError(`${truth}: ${labels.length} lines for ${files.length} images in ${join(root, 'val')}`);
  }
  // Line n belongs to ILSVRC2012_val_0000000n.JPEG.
  return new Map(
    labels.map((id, n): [string, string] => [`ILSVRC2012_val_${String(n + 1).padStart(8, '0')}`, wnids.get(id) ?? '']),
  );
}

async function readValidation(root: string, classes: readonly string[]): Promise<ClassFiles[]> {
  const folder = join(root, 'val');
  if (!existsSync(folder)) {
    throw new JobError(`data set imagenet: ${root} has train, but no val with the validation images`);
  }
  if ((await listClasses(folder)).length > 0) {
    return Promise.all(
      classes.map(async (wnid) => {
        const own = join(folder, wnid);
        return { folder: own, files: existsSync(own) ? await listImages(own) : [] };
      }),
    );
  }
  const files = await listImages(folder);
  const labels = await readFlatLabels(root, files);
  const byClass = new Map(classes.map((wnid): [string, string[]] => [wnid, []]));
  for (const file of files) {
    const wnid = labels.get(file.replace(/\.\w+$/, ''));
    const list = byClass.get(wnid ?? '');
    if (list === undefined) {
      throw new JobError(
        `${join(folder, file)}: its class ${wnid ?? '(none)'} is not among the ${classes.length} of train`,
      );
    }
    list.push(file);
  }
  return classes.map((wnid) => ({ folder, files: byClass.get(wnid) as string[] }));
}

/**
 * ImageNet (ILSVRC 2012) as `train/<wnid>/*.JPEG` and either `val/<wnid>/*.JPEG` or the publisher's flat `val/*.JPEG` with labels:
 * Kaggle's `LOC_val_solution.csv`, or the development kit's ground truth with `map_clsloc.txt`. Classes are those of train, in the
 * order of their WordNet ids, which is that of published weights. Streamed.
 */
export async function loadImageNet(folders: readonly string[]): Promise<ImageSet> {
  const name = 'imagenet';
  const root = findPlace(folders, name, ['ILSVRC2012', 'ILSVRC/Data/CLS-LOC'], ['train']);
  const classes = root === undefined ? [] : await listClasses(join(root, 'train'));
  if (root === undefined || classes.length === 0) throw notFound(name, 'train/<wnid>/*.JPEG', folders);
  const train = await trainingFiles(classes, (wnid) => join(root, 'train', wnid));
  return classFolderSet({
    name,
    root,
    classes,
    train,
    test: await readValidation(root, classes),
    files: FILES,
    whole: [1_281_167, 50_000],
  });
}
