import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ClassFiles } from './classFolders.ts';
import { classFolderSet, filesOfClasses, listClasses, wnidOf } from './classFolders.ts';
import type { ImageSet } from './dataSet.ts';
import { Oddities, imagesOf, isImageName, listFolder } from './listing.ts';
import { findPlace, notFound, within } from './locate.ts';
import { readLines } from './text.ts';

/** Tests see the middle 224 pixels of images whose shorter side was resized to 256 (the same source). */
const FILES = { shape: [224, 224, 3], sizes: { resized: 256 } } as const;

const TRUTH = 'ILSVRC2012_validation_ground_truth.txt';
const IDS = 'map_clsloc.txt';
const SOLUTION = 'LOC_val_solution.csv';

/** Where the lists lie: beside the images, in the development kit's folder, or where Kaggle's archive has them. */
const LIST_PLACES = ['.', 'val', 'data', 'devkit/data', 'ILSVRC2012_devkit_t12/data', '../../..'] as const;

/** The class of each validation image, by its name without the ending, where all lie in one folder. */
function readFlatLabels(root: string, folder: string): Map<string, string> {
  const find = (file: string): string | undefined =>
    LIST_PLACES.map((place) => within(join(root, place), file)).find((path) => path !== undefined);
  const solution = find(SOLUTION);
  if (solution !== undefined) {
    // ImageId,PredictionString: the first word of the second column is the class.
    const rows = readLines(solution).map((line) => /^"?(\w+?)(?:\.\w+)?"?[,;]\s*"?(n\d{8})\b/.exec(line));
    return new Map(
      rows.flatMap((row): [string, string][] => (row === null ? [] : [[row[1] as string, row[2] as string]])),
    );
  }
  const [truth, ids] = [find(TRUTH), find(IDS)];
  if (truth === undefined || ids === undefined) {
    throw new JobError(
      `${folder}: images without class folders need their labels beside them: ${SOLUTION}, or ${TRUTH} with ${IDS}`,
    );
  }
  const wnids = new Map(
    readLines(ids).map((line): [string, string] => {
      const [wnid, id] = line.split(/\s+/);
      return [id ?? '', wnid ?? ''];
    }),
  );
  // Line n belongs to ILSVRC2012_val_0000000n.JPEG.
  return new Map(
    readLines(truth).map((id, n): [string, string] => [
      `ILSVRC2012_val_${String(n + 1).padStart(8, '0')}`,
      wnids.get(id) ?? '',
    ]),
  );
}

function readValidation(root: string, classes: readonly string[], oddities: Oddities): readonly ClassFiles[] {
  const folder = ['val', 'valid', 'validation', 'ILSVRC2012_img_val'].map((name) => within(root, name)).find(Boolean);
  if (folder === undefined) {
    throw new JobError(`data set imagenet: ${root} has train, but no val with the validation images`);
  }
  const { files, folders } = listFolder(folder, new Oddities());
  if (folders.some((name) => wnidOf(name) !== undefined)) {
    const found = listClasses(folder, oddities);
    for (const [wnid, path] of found) {
      if (!classes.includes(wnid)) oddities.add('classes of val that train lacks, left out', path);
    }
    return filesOfClasses(classes, (wnid) => found.get(wnid), oddities);
  }
  const labels = readFlatLabels(root, folder);
  listFolder(folder, oddities);
  const byClass = new Map(classes.map((wnid): [string, string[]] => [wnid, []]));
  const lists = [SOLUTION, TRUTH, IDS].map((name) => name.toLowerCase());
  const images = files.filter((name) => isImageName(name) || !lists.includes(name.toLowerCase()));
  for (const file of imagesOf(folder, { files: images, folders }, oddities)) {
    const wnid = labels.get(file.replace(/\.\w+$/, ''));
    const list = byClass.get(wnid ?? '');
    if (list !== undefined) list.push(file);
    else if (wnid === undefined) oddities.add('validation images without a label, left out', join(folder, file));
    else oddities.add(`validation images of classes that are not among the ${classes.length} of train, left out`, join(folder, file)); // prettier-ignore
  }
  return classes.map((wnid) => ({ folder, files: byClass.get(wnid) as string[] }));
}

/**
 * ImageNet (ILSVRC 2012) as `train/<wnid>/*.JPEG` and either `val/<wnid>/*.JPEG` or the publisher's flat `val/*.JPEG` with labels:
 * Kaggle's `LOC_val_solution.csv`, or the development kit's ground truth with `map_clsloc.txt`. Classes are those of train, in the
 * order of their WordNet ids, which is that of published weights. Streamed. What systems leave in the folders is passed over; that, and
 * whatever else is no image of a class, is counted and said.
 */
export async function loadImageNet(folders: readonly string[]): Promise<ImageSet> {
  const name = 'imagenet';
  const tops = ['ILSVRC2012', 'ILSVRC/Data/CLS-LOC', 'Data/CLS-LOC'];
  const trains = ['train', 'ILSVRC2012_img_train'];
  const root = findPlace(folders, name, tops, trains);
  if (root === undefined) throw notFound(name, 'train/<wnid>/*.JPEG', folders);
  const oddities = new Oddities();
  const train = trains.map((folder) => within(root, folder)).find((folder) => folder !== undefined) as string;
  const found = listClasses(train, oddities);
  const classes = [...found.keys()];
  if (classes.length === 0) throw notFound(name, [`train/<wnid>/*.JPEG`, ...oddities.said].join(', but '), folders);
  return classFolderSet({
    name,
    root,
    classes,
    train: filesOfClasses(classes, (wnid) => found.get(wnid), oddities),
    test: readValidation(root, classes, oddities),
    files: FILES,
    whole: [1_281_167, 50_000],
    oddities,
  });
}
