import { RULES } from 'learning-rate-dropout/spec';
import type { HyperParameter } from 'learning-rate-dropout/spec';
import { AUGMENTATIONS } from '../data/augmentation.ts';
import { checkDataSetName } from '../data/catalogue.ts';
import { JobError, UsageError, unknownName } from '../errors.ts';
import { OPTIMIZERS } from '../recipes/optimizers.ts';
import { RECIPE_NAMES, findRecipe } from '../recipes/catalogue.ts';
import { EVALUATIONS } from '../tasks/segmentation/task.ts';
import { consoleProgress } from '../trainer/progress.ts';
import { parseRegularizers } from '../trainer/regularizers.ts';
import type { ResolvedRequest } from '../runs/request.ts';
import { ENGINES, HYPER_NAMES, resolveRequest } from '../runs/request.ts';
import { defaultFolder, resumeTraining, runTraining } from '../runs/runTraining.ts';
import type { ResumeRequest } from '../runs/runTraining.ts';
import { parseSchedules } from '../trainer/schedules/parse.ts';
import { StoppedError } from '../trainer/train.ts';
import type { Arguments } from './options.ts';
import { parse, readCheckpointSeconds, readCrop, readSeed } from './options.ts';
import { stoppable } from './stop.ts';

const above0 = (value: number): boolean => value > 0;

/** `epsilonMode` -> `epsilon-mode`. */
const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The hyper-parameters of `optimizer` that have options of their own, as its table in `spec/rules.ts` says. */
function readHyper(options: Arguments, optimizer: string): Record<string, number | string | boolean> {
  const table: Readonly<Record<string, HyperParameter>> = RULES[optimizer as keyof typeof RULES].hyper;
  const values: Record<string, number | string | boolean> = {};
  for (const name of HYPER_NAMES) {
    const option = kebab(name);
    const given = options.flag(option) ? '' : options.text(option);
    if (given === undefined) continue;
    const parameter = Object.hasOwn(table, name) ? table[name] : undefined;
    if (parameter === undefined) {
      const known = Object.keys(table)
        .filter((other) => HYPER_NAMES.includes(other))
        .map((other) => `--${kebab(other)}`);
      throw new UsageError(`--${option} must be of the optimizer's; ${optimizer} has ${known.join(', ')}`);
    }
    if (parameter.kind === 'flag') values[name] = true;
    else if (parameter.kind === 'choice') {
      if (!parameter.values.includes(given)) throw unknownName(`--${option}`, given, parameter.values);
      values[name] = given;
    } else {
      const { minimum, maximum, openMinimum, openMaximum, integer, text } = parameter;
      const holds = (x: number): boolean =>
        (openMinimum === true ? x > minimum : x >= minimum) &&
        (openMaximum === true ? x < maximum : x <= maximum) &&
        (integer !== true || Number.isInteger(x));
      values[name] = options.number(option, text.replace(/^must be /, ''), holds) as number;
    }
  }
  return values;
}

const FLAGS: readonly string[] = ['nesterov', 'centered'];
const HYPER_OPTIONS = Object.fromEntries(
  HYPER_NAMES.map((name) => [kebab(name), { type: FLAGS.includes(name) ? 'boolean' : 'string' } as const]),
);

/** Reads `lrd train`'s arguments. Throws a `UsageError` naming the argument, the value and the rule. */
export function parseTraining(args: readonly string[]): ResolvedRequest & { checkpointSeconds: number } {
  const options = parse(args, {
    data: { type: 'string' },
    'data-dir': { type: 'string' },
    optimizer: { type: 'string' },
    keep: { type: 'string' },
    lr: { type: 'string' },
    ...HYPER_OPTIONS,
    'weight-decay': { type: 'string' },
    schedule: { type: 'string', multiple: true },
    regularizer: { type: 'string', multiple: true },
    'batch-size': { type: 'string' },
    epochs: { type: 'string' },
    seed: { type: 'string' },
    backend: { type: 'string' },
    engine: { type: 'string' },
    width: { type: 'string' },
    limit: { type: 'string' },
    augment: { type: 'string' },
    crop: { type: 'string' },
    evaluate: { type: 'string' },
    init: { type: 'string' },
    out: { type: 'string' },
    tensorboard: { type: 'boolean' },
    'checkpoint-seconds': { type: 'string' },
  });
  const [recipe, ...extra] = options.positionals;
  if (recipe === undefined) throw new UsageError(`lrd train needs a RECIPE: ${RECIPE_NAMES.join(', ')}`);
  if (extra.length > 0) throw new UsageError(`lrd train takes one RECIPE, got also ${extra.join(' ')}`);
  findRecipe(recipe);
  const optimizer = options.text('optimizer') ?? 'sgdm';
  if (!OPTIMIZERS.includes(optimizer)) throw unknownName('--optimizer', optimizer, OPTIMIZERS);
  const engine = options.choice('engine', ENGINES);
  const data = options.text('data');
  if (data !== undefined) checkDataSetName(data);
  const request = resolveRequest({
    recipe,
    data,
    dataDir: options.text('data-dir'),
    optimizer,
    keepProbability: options.number('keep', 'a number in [2^-16, 1]', (value) => value >= 2 ** -16 && value <= 1),
    learningRate: options.number('lr', 'a number above 0', above0),
    weightDecay: options.number('weight-decay', 'a number of at least 0', (value) => value >= 0),
    hyper: readHyper(options, optimizer),
    regularizers: parseRegularizers(options.texts('regularizer')),
    schedules: parseSchedules(options.texts('schedule')),
    batchSize: options.whole('batch-size'),
    epochs: options.whole('epochs'),
    seed: readSeed(options),
    backend: options.text('backend'),
    engine,
    width: options.whole('width'),
    limit: options.whole('limit'),
    augment: options.choice('augment', AUGMENTATIONS),
    crop: readCrop(options),
    evaluation: options.choice('evaluate', EVALUATIONS),
    init: options.text('init'),
    out: options.text('out'),
    tensorBoard: options.flag('tensorboard'),
  });
  return { ...request, checkpointSeconds: readCheckpointSeconds(options) };
}

/** What `--resume DIR` takes beside it; everything else is the run's own. */
export function parseResume(args: readonly string[]): ResumeRequest & { checkpointSeconds: number } {
  const options = parse(args, {
    resume: { type: 'string' },
    epochs: { type: 'string' },
    'data-dir': { type: 'string' },
    backend: { type: 'string' },
    'checkpoint-seconds': { type: 'string' },
  });
  if (options.positionals.length > 0) {
    throw new UsageError(`lrd train --resume takes the recipe from the run, got also ${options.positionals.join(' ')}`);
  }
  return {
    folder: options.text('resume') as string,
    epochs: options.whole('epochs'),
    dataDir: options.text('data-dir'),
    backend: options.text('backend'),
    checkpointSeconds: readCheckpointSeconds(options),
  };
}

/**
 * `lrd train RECIPE ...`: trains one network and leaves a run folder. `lrd train --resume DIR` goes on from its checkpoint.
 * Ctrl-C, SIGTERM and the end of the terminal stop it behind a checkpoint.
 */
export async function trainCommand(args: readonly string[]): Promise<void> {
  const resumes = args.some((argument) => argument === '--resume' || argument.startsWith('--resume='));
  let folder = 'DIR';
  try {
    await stoppable(async (signal) => {
      const controls = { progress: consoleProgress(), signal };
      if (resumes) {
        const { checkpointSeconds, ...request } = parseResume(args);
        ({ folder } = request);
        await resumeTraining(request, { ...controls, checkpointSeconds });
      } else {
        const { checkpointSeconds, ...request } = parseTraining(args);
        folder = request.out ?? defaultFolder(request);
        await runTraining(request, { ...controls, checkpointSeconds });
      }
    });
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    throw new JobError(`${error.message}; go on with: lrd train --resume ${folder}`);
  }
  console.log(folder);
}
