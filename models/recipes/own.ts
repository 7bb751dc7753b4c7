/** Networks of the user's own, from modules. */
import { resolve } from 'node:path';
import { Type } from '@sinclair/typebox';
import * as tf from '@tensorflow/tfjs';
import { JobError } from '../errors.ts';
import { NetBuilder } from '../nets/builder.ts';
import { batchNorm, classifier, convolution, heFanIn, heFanOut, pytorchInitial, stemPool } from '../nets/layers.ts';
import type { Net, Parameter, TrainedNet } from '../nets/net.ts';
import { FROM_0, form, wholeFrom } from '../storage/form.ts';
import { loadFromModule, moduleError, ofModule, ofModuleLater } from '../storage/modules.ts';
import type { Task } from '../tasks/task.ts';
import { outOfMemory } from '../trainer/failures.ts';
import { SCHEDULES } from '../trainer/schedules/schedule.ts';
import type { ImageRecipe, ImageRecipeParts } from './images.ts';
import { imageRecipe } from './images.ts';
import type { BuildOptions, Recipe, Selection, Workload, WorkloadData } from './recipe.ts';
import { SPECIAL_OPTIONS } from './recipe.ts';

/** What a module's function gets beside `imageRecipe`: what our own recipes are made of. */
const KIT = { tf, NetBuilder, convolution, batchNorm, classifier, stemPool, heFanIn, heFanOut, pytorchInitial };

/** The kit of a recipe's module. */
export type RecipeKit = typeof KIT & { readonly imageRecipe: typeof imageRecipe };

const name = Type.String({ minLength: 1, maxLength: 200 });

/** What a recipe says, beside its functions. */
const SAID = form(
  'a recipe, such as imageRecipe({...}) makes',
  Type.Object({
    name,
    title: Type.String({ maxLength: 1000 }),
    width: Type.String({ maxLength: 1000 }),
    reads: Type.String({ maxLength: 1000 }),
    takes: Type.Array(Type.Union(Object.keys(SPECIAL_OPTIONS).map((option) => Type.Literal(option)))),
    defaults: Type.Object({
      data: Type.String({ minLength: 1, maxLength: 4096 }),
      batchSize: wholeFrom(1),
      epochs: wholeFrom(1),
      weightDecay: Type.Optional(FROM_0),
      schedules: Type.Optional(SCHEDULES),
    }),
  }),
);

const isTensor = (value: unknown, kind: typeof tf.Tensor | typeof tf.Variable): boolean => value instanceof kind;

/** Throws a `JobError` for what is no network. */
function checkNet(path: string, net: unknown): asserts net is TrainedNet {
  const wrong = (rule: string): JobError =>
    new JobError(`${path}: the network must have ${rule}; builder.net(...) makes one`);
  if (typeof net !== 'object' || net === null)
    throw wrong(`a form of its own, got ${net === null ? 'null' : typeof net}`);
  const { name: called, parameters, statistics, dispose } = net as Partial<TrainedNet>;
  if (typeof called !== 'string' || called === '') throw wrong('a name');
  if (typeof dispose !== 'function') throw wrong('dispose, a function');
  const seen = new Set<string>();
  for (const [kind, list] of [
    ['parameters', parameters],
    ['statistics', statistics],
  ] as const) {
    if (!Array.isArray(list)) throw wrong(`${kind}, a list`);
    for (const one of list as readonly Partial<Parameter>[]) {
      if (typeof one?.name !== 'string' || one.name === '' || !isTensor(one.variable, tf.Variable)) {
        throw wrong(`a name and a variable for each of its ${kind}`);
      }
      if (seen.has(one.name)) throw wrong(`tensors of different names, got ${one.name} twice`);
      seen.add(one.name);
    }
  }
  if (parameters?.length === 0) throw wrong('parameters to train');
}

/** Throws a `JobError` unless they are logits of a batch. */
function checkLogits(path: string, logits: unknown, rows: number, classes: number): asserts logits is tf.Tensor2D {
  const tensor = isTensor(logits, tf.Tensor) ? (logits as tf.Tensor) : undefined;
  if (tensor?.dtype === 'float32' && tensor.shape.join() === [rows, classes].join()) return;
  const got =
    tensor === undefined
      ? logits === null
        ? 'null'
        : typeof logits
      : `[${tensor.shape.join(', ')}] of ${tensor.dtype}`;
  throw new JobError(
    `${path}: the network must give logits of shape [${rows}, ${classes}] and type float32 here, got ${got}`,
  );
}

/** Runs a network forward and back on two grey images, and leaves it as it was: what is wrong with it is found before there is a run. */
function tryOut(path: string, net: Net, shape: readonly number[]): void {
  const before = net.statistics.map(({ variable }) => variable.clone());
  try {
    tf.tidy(() => {
      const inputs = tf.fill([2, ...shape], 0.5);
      const variables = net.parameters.map(({ variable }) => variable);
      tf.variableGrads(() => tf.mean(tf.logSoftmax(net.forward(inputs, { training: true, step: 1 }))), variables);
      net.forward(inputs, { training: false, step: 0 });
    });
  } catch (error) {
    throw outOfMemory(error) ?? moduleError(path, error);
  } finally {
    for (const [k, { variable }] of net.statistics.entries()) {
      variable.assign(before[k] as tf.Tensor);
      before[k]?.dispose();
    }
  }
}

/** `imageRecipe` for a module: its network is looked at when it is built, and what it throws names the module. */
function imageRecipeOf(path: string): (parts: ImageRecipeParts) => ImageRecipe {
  return (parts) => {
    const { build } = parts;
    return imageRecipe({
      ...parts,
      build: (set, options) => {
        const made: unknown = ofModule(path, () => build(set, options));
        checkNet(path, made);
        const net = made as Net;
        if (typeof net.forward !== 'function')
          throw new JobError(`${path}: the network must have forward, a function; builder.net(...) makes one`);
        const guarded: Net = {
          name: net.name,
          parameters: net.parameters,
          statistics: net.statistics,
          dispose: () => net.dispose(),
          forward: (inputs, pass) => {
            let logits: unknown;
            try {
              logits = net.forward(inputs, pass);
            } catch (error) {
              throw outOfMemory(error) ?? moduleError(path, error);
            }
            checkLogits(path, logits, inputs.shape[0], set.classes.length);
            return logits;
          },
        };
        try {
          tryOut(path, guarded, set.shape);
        } catch (error) {
          guarded.dispose();
          throw error;
        }
        return guarded;
      },
    });
  };
}

/** A task of which the module may have made every part. */
function guardedTask(path: string, task: Task<unknown>): Task<unknown> {
  for (const part of ['batches', 'step', 'evaluate'] as const) {
    if (typeof task[part] !== 'function') throw new JobError(`${path}: the task must have ${part}, a function`);
  }
  return {
    ...task,
    step: (batch, step) => ofModuleLater(path, () => task.step(batch, step)),
    evaluate: async (signal) => {
      try {
        return await ofModuleLater(path, () => task.evaluate(signal));
      } catch (error) {
        // That it was stopped is no fault of the module.
        signal?.throwIfAborted();
        throw error;
      }
    },
  };
}

function guardedWorkload(path: string, workload: Workload): Workload {
  checkNet(path, workload.net);
  for (const part of ['task', 'initialise', 'draw'] as const) {
    if (typeof workload[part] !== 'function')
      throw new JobError(`${path}: what build gives must have ${part}, a function`);
  }
  return {
    ...workload,
    task: (options) =>
      guardedTask(
        path,
        ofModule(path, () => workload.task(options)),
      ),
    initialise: (file) => ofModule(path, () => workload.initialise(file)),
    draw: () => ofModuleLater(path, () => workload.draw()),
  };
}

/** Faults of the module say so, wherever they come to light. */
function guarded(path: string, recipe: Recipe): Recipe {
  const load = async (selection: Selection): Promise<WorkloadData> => {
    const data = await ofModuleLater(path, () => recipe.load(selection));
    const { examples } = data;
    if (!Number.isSafeInteger(examples?.train) || examples.train < 1 || !Number.isSafeInteger(examples.test)) {
      throw new JobError(`${path}: what load gives must have examples, the numbers of those to train and to test on`);
    }
    const build = (options: BuildOptions): Workload =>
      guardedWorkload(
        path,
        ofModule(path, () => data.build(options)),
      );
    return { ...data, build };
  };
  return {
    ...recipe,
    name: path,
    load,
    findData: (data, dataDir) => ofModuleLater(path, () => recipe.findData(data, dataDir)),
    check: (selection) => ofModule(path, () => recipe.check?.(selection)),
  };
}

const LOADED = new Map<string, Recipe>();

/** Loads a recipe from a module that exports `recipe`, once. Throws a `JobError` that names the file. */
export async function loadOwnRecipe(path: string): Promise<Recipe> {
  const file = resolve(path);
  const known = LOADED.get(file);
  if (known !== undefined) return known;
  const kit: RecipeKit = { ...KIT, imageRecipe: imageRecipeOf(path) };
  const recipe = await loadFromModule(path, 'recipe', kit);
  SAID.read(recipe, path);
  for (const part of ['findData', 'load'] as const) {
    if (typeof (recipe as Partial<Recipe>)[part] !== 'function') {
      throw new JobError(`${path}: recipe must have ${part}, a function; imageRecipe({...}) makes a recipe`);
    }
  }
  const loaded = guarded(file, recipe as Recipe);
  LOADED.set(file, loaded);
  return loaded;
}

/** A recipe that `loadOwnRecipe` has loaded. */
export function ownRecipe(path: string): Recipe | undefined {
  return LOADED.get(resolve(path));
}
