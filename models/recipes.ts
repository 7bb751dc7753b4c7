import * as lrd from '../impl-gpu/tfjs/index.ts';
import type { LrdOptimizer } from '../impl-gpu/tfjs/index.ts';
import type { ImageSet } from './data/dataSet.ts';
import { unknownName } from './errors.ts';
import { fcNet } from './nets/fcnet.ts';
import type { Net, NetOptions } from './nets/net.ts';

/** A network with the settings that the paper trains it with. */
export interface Recipe {
  readonly title: string;
  readonly defaults: { readonly data: string; readonly batchSize: number; readonly epochs: number };
  /** Throws a `UsageError` for a width that the network cannot have. */
  build(set: ImageSet, options: RecipeOptions): Net;
}

export interface RecipeOptions extends NetOptions {
  /** Undefined: the paper's. */
  readonly width: number | undefined;
}

/** The recipes by the names that the command line takes. */
export const RECIPES: Readonly<Record<string, Recipe>> = {
  fcnet: {
    title: 'fully connected, two hidden layers of 1000 ReLU units (TNNLS IV-A.1)',
    defaults: { data: 'mnist', batchSize: 128, epochs: 100 },
    build: (set, { width, ...options }) =>
      fcNet({
        inputs: set.shape[0] * set.shape[1] * set.shape[2],
        classes: set.classes.length,
        ...options,
        ...(width === undefined ? {} : { width }),
      }),
  },
};

/** Throws a `UsageError` for an unknown name. */
export function findRecipe(name: string): Recipe {
  const recipe = Object.hasOwn(RECIPES, name) ? RECIPES[name] : undefined;
  if (recipe === undefined) throw unknownName('RECIPE', name, Object.keys(RECIPES));
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

const FACTORIES: Readonly<Record<string, Factory>> = {
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
  const factory = Object.hasOwn(FACTORIES, name) ? FACTORIES[name] : undefined;
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
