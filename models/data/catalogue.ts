import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UsageError, unknownName } from '../errors.ts';
import { loadCifar10, loadCifar100 } from './cifar.ts';
import type { ImageSet, ImageShape } from './dataSet.ts';
import { loadDigits } from './digits.ts';
import { loadImageNet } from './imageNet.ts';
import { loadFashionMnist, loadMnist } from './mnist.ts';
import { loadOwnSet } from './own.ts';
import { loadTinyImageNet } from './tinyImageNet.ts';
import { TEXT_NAMES } from './texts.ts';
import { isModulePath } from '../storage/modules.ts';

type Loader = (folders: readonly string[]) => Promise<ImageSet>;

interface KnownSet {
  readonly load: Loader;
  /** Of what the network sees. */
  readonly shape: ImageShape;
}

const SETS: Readonly<Record<string, KnownSet>> = {
  digits: { load: loadDigits, shape: [8, 8, 1] },
  mnist: { load: loadMnist, shape: [28, 28, 1] },
  'fashion-mnist': { load: loadFashionMnist, shape: [28, 28, 1] },
  cifar10: { load: loadCifar10, shape: [32, 32, 3] },
  cifar100: { load: loadCifar100, shape: [32, 32, 3] },
  'tiny-imagenet': { load: loadTinyImageNet, shape: [64, 64, 3] },
  imagenet: { load: loadImageNet, shape: [224, 224, 3] },
};

/** Names that `loadImageSet` takes. */
export const DATA_SETS: readonly string[] = Object.keys(SETS);

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
  const known = [...DATA_SETS, ...PICTURE_SETS, ...TEXT_NAMES];
  if (isModulePath(name)) return;
  if (!known.includes(name)) throw unknownName('--data', name, known);
}

/**
 * The shape of a set's images, without its files; undefined for a module's set, which only the module knows. Throws a `UsageError` for an unknown
 * name, and for a set of another kind.
 */
export function imageShapeOf(name: string): ImageShape | undefined {
  checkDataSetName(name);
  const others = PICTURE_SETS.includes(name) ? 'pspnet and ssd300' : TEXT_NAMES.includes(name) ? 'gpt' : undefined;
  if (others !== undefined) {
    throw new UsageError(`--data must be a set of images with one label each, got ${name}: it is for ${others}`);
  }
  return Object.hasOwn(SETS, name) ? SETS[name]?.shape : undefined;
}

/** Loads a set by name. Throws as `imageShapeOf` does, and a `JobError` for files that are missing or broken. */
export function loadImageSet(name: string, dataDir: string | undefined): Promise<ImageSet> {
  imageShapeOf(name);
  return Object.hasOwn(SETS, name) ? (SETS[name] as KnownSet).load(dataFolders(dataDir)) : loadOwnSet(name);
}
