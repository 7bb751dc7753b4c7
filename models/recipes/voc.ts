/** What the recipes for PASCAL VOC have in common: pictures with masks or boxes, drawn for the report. */
import { dataFolders } from '../data/catalogue.ts';
import { saidOf } from '../data/dataSet.ts';
import type { VocSet } from '../data/voc.ts';
import { holdOutVoc, limitVoc } from '../data/voc.ts';
import { UsageError } from '../errors.ts';
import type { TrainedNet } from '../nets/net.ts';
import type { Drawing } from '../tasks/drawing.ts';
import type { Task } from '../tasks/task.ts';
import type { BuildOptions, Recipe, Selection, SpecialOption, TaskOptions } from './recipe.ts';
import { countsOf } from './recipe.ts';

/** Test pictures that are drawn for the report. */
const DRAWN = 6;

/** What a family says of a network for pictures with examples of kind `E`. */
export interface VocRecipeParts<E> {
  readonly name: string;
  readonly title: string;
  readonly width: string;
  readonly defaults: Recipe['defaults'];
  readonly takes: readonly SpecialOption[];
  readonly reads: string;
  /** Throws a `UsageError` for a width that the network cannot have. */
  readonly checkWidth: (width: number) => void;
  readonly load: (folders: readonly string[]) => Promise<VocSet<E>>;
  /** The network and its task; `plain`: without augmentation. */
  readonly build: (set: VocSet<E>, selection: Selection & { readonly plain: boolean }, options: BuildOptions & { readonly width?: number }) => VocWorkload<E>; // prettier-ignore
}

/** A network for pictures, with its task and how an example of it is drawn. */
export interface VocWorkload<E> {
  readonly net: TrainedNet;
  task(options: TaskOptions): Task<unknown>;
  initialise(path: string): string | undefined;
  draw(example: E, path: string): Promise<Drawing>;
}

function checkVoc(name: string, data: string): void {
  if (data !== 'voc') throw new UsageError(`--data must be voc for ${name}, got ${data}`);
}

/** `augment`: the paper's, or `none`. Tells whether it is none. */
function isPlain(recipe: string, augment: string | undefined): boolean {
  if (augment !== undefined && augment !== 'none' && augment !== `${recipe}'s`) {
    throw new UsageError(`--augment must be none or left out for ${recipe}, got ${JSON.stringify(augment)}`);
  }
  return augment === 'none';
}

/** One after the other: each is a forward pass. */
async function drawSome<E>(set: VocSet<E>, built: VocWorkload<E>): Promise<Drawing[]> {
  const drawn: Drawing[] = [];
  for (let index = 0; index < Math.min(DRAWN, set.test.count); index += 1) {
    drawn.push(await built.draw(await set.test.read(index), set.test.path(index)));
  }
  return drawn;
}

/** Makes a recipe of what a family says of its network. */
export function vocRecipe<E>(parts: VocRecipeParts<E>): Recipe {
  const { name, title, defaults, takes, reads } = parts;
  const check = ({ data, augment, width }: Selection): void => {
    checkVoc(name, data);
    if (width !== undefined) parts.checkWidth(width);
    isPlain(name, augment);
  };
  return {
    name,
    title,
    width: parts.width,
    defaults,
    takes,
    reads,
    check,
    findData: async (data, dataDir) => {
      checkVoc(name, data);
      await parts.load(dataFolders(dataDir));
    },
    load: async (selection) => {
      check(selection);
      const { dataDir, limit, validation, augment, width } = selection;
      const set = holdOutVoc(limitVoc(await parts.load(dataFolders(dataDir)), limit), validation);
      const plain = isPlain(name, augment);
      const remark = saidOf(set);
      return {
        source: set.source,
        ...(remark === undefined ? {} : { remark }),
        augmentation: augment ?? `${name}'s`,
        examples: countsOf(set),
        build: (options) => {
          const built = parts.build(
            set,
            { ...selection, plain },
            { ...options, ...(width === undefined ? {} : { width }) },
          );
          return {
            net: built.net,
            task: (task) => built.task(task),
            initialise: (path) => built.initialise(path),
            draw: () => drawSome(set, built),
          };
        },
      };
    },
  };
}
