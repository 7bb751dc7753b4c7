import * as lrd from 'learning-rate-dropout';
import { sizeOf } from 'learning-rate-dropout/internal';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { LrdOptimizer } from 'learning-rate-dropout';
import type { ImageSet } from '../data/dataSet.ts';
import { UsageError, unknownName } from '../errors.ts';
import { denseNet } from '../nets/densenet.ts';
import { fcNet } from '../nets/fcnet.ts';
import type { Net, NetOptions } from '../nets/net.ts';
import { checkResNetWidth, resNet, smallResNet } from '../nets/resnet.ts';
import type { ResNetName } from '../nets/resnet.ts';
import type { Schedules } from '../trainer/schedules/schedule.ts';

/** What a paper trains a network with; the optimizer's rule has its own defaults beside these. */
export interface RecipeDefaults {
  readonly data: string;
  readonly batchSize: number;
  readonly epochs: number;
  /** Default: the rule's. */
  readonly weightDecay?: number;
  /** Default: none. */
  readonly schedules?: Schedules;
}

/** A network with the settings that the paper trains it with. */
export interface Recipe {
  readonly title: string;
  /** What `--width` means for it. */
  readonly width: string;
  readonly defaults: RecipeDefaults;
  /** Throws a `UsageError` for images or a width that the network cannot have. Needs no backend. */
  check(set: Inputs, width: number | undefined): void;
  /** Throws as `check` does. */
  build(set: ImageSet, options: RecipeOptions): Net;
}

export interface RecipeOptions extends NetOptions {
  /** Undefined: the paper's. */
  readonly width: number | undefined;
}

/** What a network must fit. */
type Inputs = Pick<ImageSet, 'name' | 'shape'>;

/** Throws a `UsageError` unless the images are RGB and at least `side` pixels high and wide. */
function checkImages(recipe: string, { name, shape }: Inputs, side: number): void {
  const [height, width, channels] = shape;
  if (channels !== 3 || height < side || width < side) {
    throw new UsageError(
      `--data must be RGB images of at least ${side} x ${side} pixels for ${recipe}, got ${name} of ${shape.join(' x ')}`,
    );
  }
}

/** "Reduced by ten times" at these epochs. */
function steps(...milestones: number[]): Schedules {
  return { learningRate: { kind: 'step', milestones } };
}

/** TNNLS IV-A.2: "200 epochs with a mini-batch size 128 [...] reduced by ten times at the 100th and 150th epochs [...] 5e-4". */
const CIFAR = { batchSize: 128, epochs: 200, weightDecay: 5e-4, schedules: steps(100, 150) } as const;

const FILTERS = 'filters of the first stage, 64';

function residual(name: ResNetName, title: string, defaults: RecipeDefaults, side: number): Recipe {
  const check: Recipe['check'] = (set, width) => {
    checkImages(name, set, side);
    if (width !== undefined) checkResNetWidth(name, width);
  };
  return {
    title,
    width: name === 'resnext50' ? `${FILTERS}; a multiple of 16` : FILTERS,
    defaults,
    check,
    build: (set, { width, ...options }) => {
      check(set, width);
      return resNet(name, { classes: set.classes.length, ...options, ...(width === undefined ? {} : { width }) });
    },
  };
}

/** The third paper's section 3 and Table 1: batches of 50, three annealing phases of 250, 100 and 100 epochs. */
function small(n: number, title: string): Recipe {
  const name = `resnet${6 * n + 2}`;
  const check = (set: Inputs): void => checkImages(name, set, 8);
  return {
    title,
    width: 'filters of the first stage, 16',
    defaults: {
      data: 'cifar10',
      batchSize: 50,
      epochs: 450,
      weightDecay: 1e-4,
      schedules: { learningRate: { kind: 'restarts' } },
    },
    check,
    build: (set, { width, ...options }) => {
      check(set);
      return smallResNet(name, {
        n,
        classes: set.classes.length,
        ...options,
        ...(width === undefined ? {} : { width }),
      });
    },
  };
}

/** The recipes by the names that the command line takes. */
export const RECIPES: Readonly<Record<string, Recipe>> = {
  fcnet: {
    title: 'fully connected, two hidden layers of 1000 ReLU units (TNNLS IV-A.1)',
    width: 'units of a hidden layer, 1000',
    defaults: { data: 'mnist', batchSize: 128, epochs: 100 },
    check: () => undefined,
    build: (set, { width, ...options }) =>
      fcNet({
        inputs: sizeOf(set.shape),
        classes: set.classes.length,
        ...options,
        ...(width === undefined ? {} : { width }),
      }),
  },
  resnet18: residual('resnet18', 'ResNet-18 for CIFAR (TNNLS figure 1)', { data: 'cifar10', ...CIFAR }, 8),
  resnet34: residual('resnet34', 'ResNet-34 for CIFAR (TNNLS IV-A.2)', { data: 'cifar10', ...CIFAR }, 8),
  resnet101: residual('resnet101', 'ResNet-101 for CIFAR (TNNLS figure 1)', { data: 'cifar10', ...CIFAR }, 8),
  resnet14: small(2, 'ResNet with 6n + 2 = 14 layers, "Shallow Resnet" (Adapting Regularization, section 3)'),
  resnet32: small(5, 'ResNet with 6n + 2 = 32 layers (Adapting Regularization, section 3)'),
  densenet121: {
    title: 'DenseNet-121 with growth 32 for CIFAR (TNNLS IV-A.2)',
    width: 'growth: feature maps that a layer adds, 32',
    defaults: { data: 'cifar100', ...CIFAR },
    check: (set) => checkImages('densenet121', set, 8),
    build: (set, { width, ...options }) => {
      checkImages('densenet121', set, 8);
      const growth = width === undefined ? {} : { growth: width };
      return denseNet('densenet121', { classes: set.classes.length, ...options, ...growth });
    },
  },
  resnext50: residual(
    'resnext50',
    'ResNeXt-50 32x4d for Tiny ImageNet (TNNLS IV-A.3)',
    { data: 'tiny-imagenet', batchSize: 100, epochs: 90, weightDecay: 5e-4, schedules: steps(30, 60) },
    32,
  ),
  resnet50: residual(
    'resnet50',
    'ResNet-50 for ImageNet (TNNLS IV-A.4)',
    { data: 'imagenet', batchSize: 256, epochs: 80, weightDecay: 5e-4, schedules: steps(20, 40, 60) },
    32,
  ),
};

/** A recipe for pictures with masks or boxes; `trainer/workload.ts` puts its parts together. */
export type PictureRecipe = Omit<Recipe, 'build' | 'check'> & { readonly learns: 'segmentation' | 'detection' };

/** The recipes for VOC by the names that the command line takes. */
export const PICTURE_RECIPES: Readonly<Record<string, PictureRecipe>> = {
  pspnet: {
    title: 'PSPNet on a dilated ResNet-50 for VOC 2012 with SBD (TNNLS IV-B)',
    width: `${FILTERS}; a multiple of 2`,
    learns: 'segmentation',
    // Zhao et al. 2017 train for 30,000 steps: 45.4 epochs.
    defaults: { data: 'voc', batchSize: 16, epochs: 50, weightDecay: 1e-4 },
  },
  ssd300: {
    title: 'SSD300 on VGG-16 for VOC 2007 + 2012 (TNNLS IV-C)',
    width: "filters of VGG-16's first block, 64; a multiple of 4",
    learns: 'detection',
    defaults: { data: 'voc', batchSize: 32, epochs: 100, weightDecay: 5e-4 },
  },
};

/** Names that `lrd train` takes. */
export const RECIPE_NAMES: readonly string[] = [...Object.keys(RECIPES), ...Object.keys(PICTURE_RECIPES)];

/** Throws a `UsageError` for an unknown name. */
export function findRecipe(name: string): Recipe | PictureRecipe {
  const known = { ...RECIPES, ...PICTURE_RECIPES };
  const recipe = Object.hasOwn(known, name) ? known[name] : undefined;
  if (recipe === undefined) throw unknownName('RECIPE', name, RECIPE_NAMES);
  return recipe;
}

/** Settings that the command line passes on; what is undefined has the rule's default. */
export interface OptimizerSettings {
  readonly learningRate?: number | undefined;
  readonly momentum?: number | undefined;
  readonly weightDecay?: number | undefined;
  /** Other hyper-parameters of the rule, and what may happen to gradients first. */
  readonly others?: Readonly<Record<string, unknown>>;
  readonly keepProbability: number;
  readonly seed: bigint;
}

type Factory = (options: Record<string, unknown>) => LrdOptimizer;

/** What makes the optimizer of each rule. */
export const FACTORIES: Readonly<Record<RuleName, Factory>> = {
  sgdm: lrd.sgdm,
  'sgdm-avg': lrd.sgdmAvg,
  rmsprop: lrd.rmsprop,
  adam: lrd.adam,
  amsgrad: lrd.amsgrad,
  radam: lrd.radam,
  adamw: lrd.adamw,
};

/** Names that `--optimizer` takes. */
export const OPTIMIZERS: readonly string[] = Object.keys(FACTORIES);

function findFactory(name: string): Factory {
  const factory = Object.hasOwn(FACTORIES, name) ? FACTORIES[name as RuleName] : undefined;
  if (factory === undefined) throw unknownName('--optimizer', name, OPTIMIZERS);
  return factory;
}

/** An optimizer by name. Throws a `UsageError` for an unknown name, `InvalidArgumentError` for a value out of range. */
export function createOptimizer(name: string, settings: OptimizerSettings): LrdOptimizer {
  const factory = findFactory(name);
  // By name: what else a caller's object carries is none of the optimizer's.
  const { learningRate, momentum, weightDecay, others, keepProbability, seed } = settings;
  const given = Object.entries({ learningRate, momentum, weightDecay, keepProbability, seed, ...others }).filter(
    ([, value]) => value !== undefined,
  );
  return factory(Object.fromEntries(given));
}

/** An optimizer by name from a configuration that `getConfig` gave. */
export function restoreOptimizer(name: string, config: object): LrdOptimizer {
  return findFactory(name)(config as Record<string, unknown>);
}
