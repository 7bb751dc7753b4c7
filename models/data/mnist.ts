import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import type { ImageSet, ImageShape, Split } from './dataSet.ts';
import { readIdx } from './idx.ts';
import { findPlace, notFound } from './locate.ts';
import { MEMORY_AUGMENTATIONS, memorySplit } from './memoryImages.ts';

const SHAPE: ImageShape = [28, 28, 1];

interface MnistLike {
  readonly name: 'mnist' | 'fashion-mnist';
  readonly classes: readonly string[];
}

const MNIST: MnistLike = { name: 'mnist', classes: Array.from({ length: 10 }, (_, digit) => String(digit)) };
const FASHION: MnistLike = {
  name: 'fashion-mnist',
  classes: ['T-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'],
};

async function load({ name, classes }: MnistLike, folders: readonly string[]): Promise<ImageSet> {
  const first = 'train-images-idx3-ubyte';
  const folder = findPlace(folders, name, [], [first, `${first}.gz`]);
  if (folder === undefined) {
    throw notFound(name, `${first}[.gz]`, folders);
  }
  const file = (stem: string): string => {
    const plain = join(folder, stem);
    return existsSync(plain) ? plain : `${plain}.gz`;
  };
  const split = async (prefix: string, count: number): Promise<Split> => {
    const [images, labels] = await Promise.all([
      readIdx(file(`${prefix}-images-idx3-ubyte`), { count, extents: [28, 28] }),
      readIdx(file(`${prefix}-labels-idx1-ubyte`), { count, extents: [] }),
    ]);
    const wrong = labels.findIndex((label) => label >= classes.length);
    if (wrong >= 0) {
      throw new JobError(`${file(`${prefix}-labels-idx1-ubyte`)}: label ${labels[wrong]} at ${wrong}; 0 to 9 expected`);
    }
    return memorySplit(SHAPE, images, labels);
  };
  const [train, test] = await Promise.all([split('train', 60000), split('t10k', 10000)]);
  return {
    name,
    shape: SHAPE,
    classes,
    maximum: 255,
    // The paper says nothing of normalisation for MNIST: inputs are intensities in [0, 1].
    mean: [0],
    std: [1],
    augmentation: 'none',
    augmentations: MEMORY_AUGMENTATIONS,
    train,
    test,
    source: folder,
  };
}

/** The MNIST digits from the four idx files in the first of `folders` (or a subfolder `mnist`) that has them. */
export function loadMnist(folders: readonly string[]): Promise<ImageSet> {
  return load(MNIST, folders);
}

/** Fashion-MNIST, the same files with other pictures. */
export function loadFashionMnist(folders: readonly string[]): Promise<ImageSet> {
  return load(FASHION, folders);
}
