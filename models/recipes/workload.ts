import { withAugmentation } from '../data/augmentation.ts';
import { dataFolders, loadImageSet } from '../data/catalogue.ts';
import { limitSet } from '../data/dataSet.ts';
import type { ImageSet } from '../data/dataSet.ts';
import type { VocSet } from '../data/voc.ts';
import { limitVoc, loadVocDetection, loadVocSegmentation } from '../data/voc.ts';
import { drawDetections } from '../tasks/detection/draw.ts';
import { detection } from '../tasks/detection/task.ts';
import { UsageError } from '../errors.ts';
import { freezeHalf } from '../nets/freeze.ts';
import { initialise } from '../nets/initialise.ts';
import type { Net, NetOptions, TrainedNet } from '../nets/net.ts';
import { initialisePspNet, initialiseSsd300 } from '../nets/pretrained.ts';
import { checkPspNetWidth, pspnet } from '../nets/pspnet.ts';
import { checkSsd300Width, ssd300 } from '../nets/ssd300.ts';
import { findRecipe } from './recipes.ts';
import type { Recipe, RecipeOptions } from './recipes.ts';
import type { Drawing } from '../tasks/drawing.ts';
import { drawSegmentation } from '../tasks/segmentation/draw.ts';
import type { Evaluation } from '../tasks/segmentation/task.ts';
import { PSPNET_CROP, segment, segmentation, shrink } from '../tasks/segmentation/task.ts';
import { classification } from '../tasks/classification/task.ts';
import type { Task, Updater } from '../tasks/task.ts';

/** The data that a run is about. */
export interface Selection {
  readonly data: string;
  readonly dataDir: string | undefined;
  readonly limit: number | undefined;
  readonly augment: string | undefined;
  readonly crop: number | undefined;
  readonly evaluation: Evaluation | undefined;
  /** Of the network, which must fit the data: undefined for the paper's. */
  readonly width: number | undefined;
  /** The probability that a training label is one of the others (NL). */
  readonly noisyLabels: number | undefined;
}

export interface TaskOptions {
  readonly optimizer: Updater;
  readonly seed: bigint;
}

/** The data of a run, loaded and found to fit its recipe; no tensor has been made yet, so no backend is needed so far. */
export interface WorkloadData {
  /** The folder that the data came from. */
  readonly source: string;
  /** What must be known of the data. */
  readonly remark?: string;
  readonly augmentation: string;
  readonly examples: { readonly train: number; readonly test: number };
  /** Builds the network on the backend that runs. */
  build(options: BuildOptions): Workload;
}

/** A network and what it is to learn, whatever that is. */
export interface Workload {
  readonly net: TrainedNet;
  task(options: TaskOptions): Task<unknown>;
  /** Gives the network the values of a file (`--init`). */
  initialise(path: string): void;
  /** A few test pictures with what the network sees in them; none where there is nothing to draw. */
  draw(): Promise<readonly Drawing[]>;
}

export interface BuildOptions extends Omit<RecipeOptions, 'width'> {
  /** Half of the parameters, by whole tensors, keep their first values (TNNLS Fig. 1). Default false. */
  readonly frozenTensors?: boolean;
}

function ofRun<Output>(net: Net<Output>, { frozenTensors }: BuildOptions): Net<Output> {
  return frozenTensors === true ? freezeHalf(net) : net;
}

/** Test pictures that are drawn for the report. */
const DRAWN = 6;

async function loadImages(
  recipe: Recipe,
  { data, dataDir, limit, augment, width, noisyLabels }: Selection,
): Promise<WorkloadData> {
  const loaded = await loadImageSet(data, dataDir);
  const augmented: ImageSet = augment === undefined ? loaded : withAugmentation(loaded, augment);
  const set = limit === undefined ? augmented : limitSet(augmented, limit, limit);
  recipe.check(set, width);
  return {
    source: set.source,
    ...(set.remark === undefined ? {} : { remark: set.remark }),
    augmentation: set.augmentation,
    examples: { train: set.train.count, test: set.test.count },
    build: (options) => {
      const net = ofRun(recipe.build(set, { ...options, width }), options);
      return {
        net,
        task: (task) => classification({ net, set, ...task, ...(noisyLabels === undefined ? {} : { noisyLabels }) }),
        initialise: (path) => {
          initialise(net, path);
        },
        draw: async () => [],
      };
    },
  };
}

/** What segmentation and detection have in common. `augment`: the paper's, or `none`. */
function describeVoc<E>(
  recipe: string,
  set: VocSet<E>,
  augment: string | undefined,
): Omit<WorkloadData, 'build'> & { readonly plain: boolean } {
  const own = `${recipe}'s`;
  if (augment !== undefined && augment !== 'none' && augment !== own) {
    throw new UsageError(`--augment must be none or left out for ${recipe}, got ${JSON.stringify(augment)}`);
  }
  return {
    source: set.source,
    ...(set.remark === undefined ? {} : { remark: set.remark }),
    augmentation: augment ?? own,
    examples: { train: set.train.count, test: set.test.count },
    plain: augment === 'none',
  };
}

function refuseNoise(recipe: string, { noisyLabels }: Selection): void {
  if (noisyLabels !== undefined) {
    throw new UsageError(`--regularizer noisy-labels is for recipes that classify images, got ${recipe}`);
  }
}

function drawSome<E>(set: VocSet<E>, draw: (example: E, path: string) => Promise<Drawing>): Promise<Drawing[]> {
  const indices = Array.from({ length: Math.min(DRAWN, set.test.count) }, (_, index) => index);
  // One after the other: each is a forward pass.
  return indices.reduce(
    async (drawn, index) => [...(await drawn), await draw(await set.test.read(index), set.test.path(index))],
    Promise.resolve<Drawing[]>([]),
  );
}

function ofWidth(width: number | undefined, { seed, standardDropout }: BuildOptions): NetOptions & { width?: number } {
  return {
    seed,
    ...(standardDropout === undefined ? {} : { standardDropout }),
    ...(width === undefined ? {} : { width }),
  };
}

async function loadSegmentation(recipe: string, selection: Selection): Promise<WorkloadData> {
  const { dataDir, limit, augment, width, crop = PSPNET_CROP, evaluation = 'whole' } = selection;
  refuseNoise(recipe, selection);
  if (width !== undefined) checkPspNetWidth(width);
  const set = limitVoc(await loadVocSegmentation(dataFolders(dataDir)), limit);
  const { plain, ...described } = describeVoc(recipe, set, augment);
  const { train, test, classes: names } = set;
  const classes = names.length;
  return {
    ...described,
    build: (options) => {
      const net = ofRun(pspnet({ classes, ...ofWidth(width, options) }), options);
      return {
        net,
        task: ({ optimizer }) => segmentation({ net, classes, train, test, optimizer, crop, plain, evaluation }),
        initialise: (path) => initialisePspNet(net, path),
        draw: () =>
          drawSome(set, (example, path) =>
            drawSegmentation(shrink(example, crop), {
              path,
              classes: names,
              predict: (picture) => segment(net, picture, { crop, plain, evaluation }),
            }),
          ),
      };
    },
  };
}

function refuseSegmentationOptions(recipe: string, { crop, evaluation }: Selection): void {
  if (crop !== undefined) throw new UsageError(`--crop is for pspnet, got ${recipe}`);
  if (evaluation !== undefined) throw new UsageError(`--evaluate is for pspnet, got ${recipe}`);
}

async function loadDetection(recipe: string, selection: Selection): Promise<WorkloadData> {
  const { dataDir, limit, augment, width } = selection;
  refuseSegmentationOptions(recipe, selection);
  refuseNoise(recipe, selection);
  if (width !== undefined) checkSsd300Width(width);
  const set = limitVoc(await loadVocDetection(dataFolders(dataDir)), limit);
  const { plain, ...described } = describeVoc(recipe, set, augment);
  const { train, test, classes: names } = set;
  const classes = names.length;
  return {
    ...described,
    build: (options) => {
      const net = ofRun(ssd300({ classes, ...ofWidth(width, options) }), options);
      return {
        net,
        task: ({ optimizer }) => detection({ net, classes, train, test, optimizer, plain }),
        initialise: (path) => initialiseSsd300(net, path),
        draw: () => drawSome(set, (example, path) => drawDetections(net, example, { path, classes: names })),
      };
    },
  };
}

/** Loads the data that a recipe would have, to see that it is there and fits. Throws as `loadWorkload` does. */
export async function checkWorkloadData(name: string, data: string, dataDir: string | undefined): Promise<void> {
  const recipe = findRecipe(name);
  if ('build' in recipe) {
    await loadImageSet(data, dataDir);
    return;
  }
  checkVoc(name, data);
  const load = recipe.learns === 'segmentation' ? loadVocSegmentation : loadVocDetection;
  await load(dataFolders(dataDir));
}

function checkVoc(name: string, data: string): void {
  if (data !== 'voc') throw new UsageError(`--data must be voc for ${name}, got ${data}`);
}

/** Loads the data of a recipe. Throws a `UsageError` where the two do not fit each other. */
export async function loadWorkload(name: string, selection: Selection): Promise<WorkloadData> {
  const recipe = findRecipe(name);
  if ('build' in recipe) {
    refuseSegmentationOptions(name, selection);
    return loadImages(recipe, selection);
  }
  checkVoc(name, selection.data);
  return recipe.learns === 'segmentation' ? loadSegmentation(name, selection) : loadDetection(name, selection);
}
