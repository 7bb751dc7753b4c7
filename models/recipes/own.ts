/** Networks of the user's own, from modules. */
import { resolve } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { JobError } from '../errors.ts';
import { NetBuilder } from '../nets/builder.ts';
import { batchNorm, classifier, convolution, heFanIn, heFanOut, pytorchInitial, stemPool } from '../nets/layers.ts';
import { loadFromModule, moduleError } from '../storage/modules.ts';
import { imageRecipe } from './images.ts';
import type { BuildOptions, Recipe, Selection, Workload, WorkloadData } from './recipe.ts';

/** What a module's function gets: what our own recipes are made of. */
const KIT = {
  tf,
  imageRecipe,
  NetBuilder,
  convolution,
  batchNorm,
  classifier,
  stemPool,
  heFanIn,
  heFanOut,
  pytorchInitial,
};

/** The kit of a recipe's module. */
export type RecipeKit = typeof KIT;

const FIELDS = {
  name: 'string',
  title: 'string',
  width: 'string',
  defaults: 'object',
  takes: 'object',
  reads: 'string',
  findData: 'function',
  load: 'function',
} as const satisfies { readonly [K in keyof Recipe]: string };

/** Faults of the module say so, wherever they come to light. */
function guarded(path: string, recipe: Recipe): Recipe {
  const load = async (selection: Selection): Promise<WorkloadData> => {
    const data = await recipe.load(selection);
    const build = (options: BuildOptions): Workload => {
      try {
        return data.build(options);
      } catch (error) {
        throw moduleError(path, error);
      }
    };
    return { ...data, build };
  };
  return { ...recipe, name: path, load };
}

const LOADED = new Map<string, Recipe>();

/** Loads a recipe from a module that exports `recipe`, once. Throws a `JobError` that names the file. */
export async function loadOwnRecipe(path: string): Promise<Recipe> {
  const file = resolve(path);
  const known = LOADED.get(file);
  if (known !== undefined) return known;
  const recipe = (await loadFromModule(path, 'recipe', KIT)) as Partial<Recipe>;
  for (const [field, kind] of Object.entries(FIELDS) as [keyof Recipe, string][]) {
    if (typeof recipe[field] !== kind) {
      throw new JobError(`${path}: recipe must have ${field}, a ${kind}; imageRecipe({...}) makes a recipe`);
    }
  }
  const { epochs, batchSize } = (recipe as Recipe).defaults;
  if (![epochs, batchSize].every((n) => Number.isInteger(n) && n > 0)) {
    throw new JobError(`${path}: recipe.defaults must have epochs and batchSize, whole numbers of at least 1`);
  }
  const loaded = guarded(file, recipe as Recipe);
  LOADED.set(file, loaded);
  return loaded;
}

/** A recipe that `loadOwnRecipe` has loaded. */
export function ownRecipe(path: string): Recipe | undefined {
  return LOADED.get(resolve(path));
}
