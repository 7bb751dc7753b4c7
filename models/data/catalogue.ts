import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UsageError, unknownName } from '../errors.ts';
import { loadCifar10, loadCifar100 } from './cifar.ts';
import type { ImageSet } from './dataSet.ts';
import { loadDigits } from './digits.ts';
import { loadImageNet } from './imageNet.ts';
import { loadFashionMnist, loadMnist } from './mnist.ts';
import { loadOwnSet } from './own.ts';
import { loadTinyImageNet } from './tinyImageNet.ts';
import { isModulePath } from '../storage/modules.ts';

type Loader = (folders: readonly string[]) => Promise<ImageSet>;

const LOADERS: Readonly<Record<string, Loader>> = {
  digits: loadDigits,
  mnist: loadMnist,
  'fashion-mnist': loadFashionMnist,
  cifar10: loadCifar10,
  cifar100: loadCifar100,
  'tiny-imagenet': loadTinyImageNet,
  imagenet: loadImageNet,
};

/** Names that `loadImageSet` takes. */
export const DATA_SETS: readonly string[] = Object.keys(LOADERS);

/**
 * Where data is looked for, in order: `--data-dir` alone when it is given; else `LRD_DATA`, the user's cache, and the
 * system's own packages (Debian's `dataset-fashion-mnist`). Absolute: a run records where its data came from, and goes on from anywhere.
 */
export function dataFolders(dataDir: string | undefined): string[] {
  if (dataDir !== undefined) return [resolve(dataDir)];
  const { LRD_DATA, XDG_CACHE_HOME } = process.env;
  const cache = join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'learning-rate-dropout', 'data');
  return [...(LRD_DATA === undefined ? [] : [resolve(LRD_DATA)]), cache, '/usr/share/datasets'];
}

/** Sets of pictures with masks and boxes, of which `models/data/voc.ts` reads the examples. */
const PICTURE_SETS: readonly string[] = ['voc'];

/** Throws a `UsageError` for an unknown name. A module's path is a name too. */
export function checkDataSetName(name: string): void {
  const known = [...DATA_SETS, ...PICTURE_SETS];
  if (isModulePath(name)) return;
  if (!known.includes(name)) throw unknownName('--data', name, known);
}

/** Loads a set by name. Throws a `UsageError` for an unknown name and a `JobError` for files that are missing or broken. */
export function loadImageSet(name: string, dataDir: string | undefined): Promise<ImageSet> {
  checkDataSetName(name);
  if (!Object.hasOwn(LOADERS, name) && isModulePath(name)) return loadOwnSet(name);
  if (PICTURE_SETS.includes(name)) {
    throw new UsageError(
      `--data must be a set of images with one label each, got ${name}: it is for pspnet and ssd300`,
    );
  }
  return (LOADERS[name] as Loader)(dataFolders(dataDir));
}
