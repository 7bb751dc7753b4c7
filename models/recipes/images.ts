/** Recipes that classify images with one label each. */
import { withAugmentation } from '../data/augmentation.ts';
import { imageShapeOf, loadImageSet } from '../data/catalogue.ts';
import { limitSet, saidOf } from '../data/dataSet.ts';
import type { ImageSet } from '../data/dataSet.ts';
import { holdOutImages } from '../data/holdOut.ts';
import { UsageError } from '../errors.ts';
import { initialise } from '../nets/initialise.ts';
import type { Net, NetOptions } from '../nets/net.ts';
import { classification } from '../tasks/classification/task.ts';
import type { Recipe, RecipeDefaults, Selection, WorkloadData } from './recipe.ts';
import { countsOf, ofRun } from './recipe.ts';

/** What a network must fit. */
export type Inputs = Pick<ImageSet, 'name' | 'shape'>;

/** What a family says of a network that classifies images. */
export interface ImageRecipeParts {
  readonly name: string;
  readonly title: string;
  /** What `--width` means for it. */
  readonly width: string;
  readonly defaults: RecipeDefaults;
  /** Throws a `UsageError` for images or a width that the network cannot have. Needs no backend. Default: all fit. */
  readonly check?: (set: Inputs, width: number | undefined) => void;
  /** Is given what has been checked. */
  readonly build: (set: ImageSet, options: NetOptions & { readonly width?: number }) => Net;
}

/** A recipe of images, of which the network can be had by itself. */
export interface ImageRecipe extends Recipe {
  /** Builds the network for a set. Throws a `UsageError` for images or a width that it cannot have. */
  build(set: ImageSet, options: NetOptions & { readonly width: number | undefined }): Net;
}

/** Throws a `UsageError` unless the images are RGB and at least `side` pixels high and wide. */
export function checkImages(recipe: string, { name, shape }: Inputs, side: number): void {
  const [height, width, channels] = shape;
  if (channels !== 3 || height < side || width < side) {
    throw new UsageError(
      `--data must be RGB images of at least ${side} x ${side} pixels for ${recipe}, got ${name} of ${shape.join(' x ')}`,
    );
  }
}

/** Makes a recipe of what a family says of its network. */
export function imageRecipe({ check = () => undefined, ...parts }: ImageRecipeParts): ImageRecipe {
  const { name, title, defaults } = parts;
  const build: ImageRecipe['build'] = (set, { width, ...options }) => {
    check(set, width);
    return parts.build(set, { ...options, ...(width === undefined ? {} : { width }) });
  };
  const load = async (selection: Selection): Promise<WorkloadData> => {
    const { data, dataDir, limit, validation, augment, width, noisyLabels } = selection;
    const loaded = await loadImageSet(data, dataDir);
    const augmented: ImageSet = augment === undefined ? loaded : withAugmentation(loaded, augment);
    const set = holdOutImages(limit === undefined ? augmented : limitSet(augmented, limit, limit), validation);
    check(set, width);
    const remark = saidOf(set);
    return {
      source: set.source,
      ...(remark === undefined ? {} : { remark }),
      augmentation: set.augmentation,
      examples: countsOf(set),
      images: { shape: set.shape, classes: set.classes },
      build: ({ frozenTensors, ...options }) => {
        const net = ofRun(build(set, { ...options, width }), frozenTensors);
        return {
          net,
          task: (task) => classification({ net, set, ...task, ...(noisyLabels === undefined ? {} : { noisyLabels }) }),
          initialise: (path) => initialise(net, path).remark,
          draw: async () => [],
        };
      },
    };
  };
  return {
    name,
    title,
    width: parts.width,
    defaults,
    takes: ['noisyLabels'],
    reads: 'labelled images',
    build,
    check: ({ data, width }) => {
      const shape = imageShapeOf(data);
      if (shape !== undefined) check({ name: data, shape }, width);
    },
    load,
    findData: async (data, dataDir) => {
      await loadImageSet(data, dataDir);
    },
  };
}
