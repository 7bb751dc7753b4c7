import { UsageError, unknownName } from '../errors.ts';
import { isModulePath } from '../storage/modules.ts';
import { DENSENET121 } from './densenet.ts';
import { FCNET } from './fcnet.ts';
import { GPT } from './gpt.ts';
import type { ImageRecipe } from './images.ts';
import { loadOwnRecipe, ownRecipe } from './own.ts';
import { PSPNET } from './pspnet.ts';
import type { Recipe, Selection, SpecialOption, WorkloadData } from './recipe.ts';
import { SPECIAL_OPTIONS } from './recipe.ts';
import { RESNETS } from './resnet.ts';
import { SSD300 } from './ssd300.ts';

const byName = <R extends Recipe>(recipes: readonly R[]): Readonly<Record<string, R>> =>
  Object.fromEntries(recipes.map((recipe) => [recipe.name, recipe]));

/** The recipes that classify images, by the names that the command line takes. */
export const IMAGE_RECIPES: Readonly<Record<string, ImageRecipe>> = byName([FCNET, ...RESNETS, DENSENET121]);

/** All recipes by the names that the command line takes. */
export const RECIPES: Readonly<Record<string, Recipe>> = { ...IMAGE_RECIPES, ...byName([PSPNET, SSD300, GPT]) };

/** Names that `lrd train` takes. */
export const RECIPE_NAMES: readonly string[] = Object.keys(RECIPES);

/** Makes a recipe known that is a module's path, so that `findRecipe` finds it; does nothing for a name. Throws a `JobError` that names the file. */
export async function prepareRecipe(name: string): Promise<void> {
  if (!Object.hasOwn(RECIPES, name) && isModulePath(name)) await loadOwnRecipe(name);
}

/** Throws a `UsageError` for an unknown name. */
export function findRecipe(name: string): Recipe {
  const recipe = Object.hasOwn(RECIPES, name) ? RECIPES[name] : ownRecipe(name);
  if (recipe === undefined) throw unknownName('RECIPE', name, RECIPE_NAMES);
  return recipe;
}

/** Throws a `UsageError` for an option that is for other recipes. */
function refuseOptions({ name, takes }: Recipe, selection: Selection): void {
  for (const option of Object.keys(SPECIAL_OPTIONS) as SpecialOption[]) {
    if (selection[option] === undefined || takes.includes(option)) continue;
    const others = Object.values(RECIPES).filter((recipe) => recipe.takes.includes(option));
    throw new UsageError(
      `${SPECIAL_OPTIONS[option]} is for ${others.map((recipe) => recipe.name).join(', ')}, got ${name}`,
    );
  }
}

/** Throws a `UsageError` for what a recipe cannot have whatever the data's files hold. Reads nothing; a module's recipe has been prepared. */
export function checkSelection(name: string, selection: Selection): void {
  const recipe = findRecipe(name);
  refuseOptions(recipe, selection);
  const { limit, validation } = selection;
  if (limit !== undefined && validation !== undefined && validation >= limit) {
    throw new UsageError(`--validation must be less than --limit ${limit}, got ${validation}`);
  }
  recipe.check?.(selection);
}

/** Loads the data of a recipe. Throws a `UsageError` where the two do not fit each other, a `JobError` for data that is missing or broken. */
export async function loadWorkload(name: string, selection: Selection): Promise<WorkloadData> {
  await prepareRecipe(name);
  checkSelection(name, selection);
  const loaded = await findRecipe(name).load(selection);
  if (selection.validation !== undefined && loaded.examples.validation === undefined) {
    throw new UsageError(`--validation must be left out with ${name}, which holds no examples out`);
  }
  return loaded;
}
