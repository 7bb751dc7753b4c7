import { randomSeed } from '../../impl-gpu/random.ts';
import { checkDataSetName } from '../data/catalogue.ts';
import { JobError, UsageError, unknownName } from '../errors.ts';
import { OPTIMIZERS, RECIPES, findRecipe } from '../recipes.ts';
import { consoleProgress } from '../trainer/progress.ts';
import { defaultFolder, resumeTraining, runTraining } from '../trainer/runTraining.ts';
import type { ResumeRequest, TrainingRequest } from '../trainer/runTraining.ts';
import { StoppedError } from '../trainer/train.ts';
import type { Arguments } from './options.ts';
import { parse, readSeed } from './options.ts';

const above0 = (value: number): boolean => value > 0;
const atLeast1 = (value: number): boolean => Number.isInteger(value) && value >= 1;

function readCheckpointSeconds(options: Arguments): number {
  return options.number('checkpoint-seconds', 'a number of at least 0', (value) => value >= 0) ?? 60;
}

/** Reads `lrd train`'s arguments. Throws a `UsageError` naming the argument, the value and the rule. */
export function parseTraining(args: readonly string[]): TrainingRequest & { checkpointSeconds: number } {
  const options = parse(args, {
    data: { type: 'string' },
    'data-dir': { type: 'string' },
    optimizer: { type: 'string' },
    keep: { type: 'string' },
    lr: { type: 'string' },
    momentum: { type: 'string' },
    'weight-decay': { type: 'string' },
    'batch-size': { type: 'string' },
    epochs: { type: 'string' },
    seed: { type: 'string' },
    backend: { type: 'string' },
    width: { type: 'string' },
    limit: { type: 'string' },
    out: { type: 'string' },
    'checkpoint-seconds': { type: 'string' },
  });
  const [recipeName, ...extra] = options.positionals;
  if (recipeName === undefined) throw new UsageError(`lrd train needs a RECIPE: ${Object.keys(RECIPES).join(', ')}`);
  if (extra.length > 0) throw new UsageError(`lrd train takes one RECIPE, got also ${extra.join(' ')}`);
  const { defaults } = findRecipe(recipeName);
  const optimizer = options.text('optimizer') ?? 'sgdm';
  if (!OPTIMIZERS.includes(optimizer)) throw unknownName('--optimizer', optimizer, OPTIMIZERS);
  const data = options.text('data') ?? defaults.data;
  checkDataSetName(data);
  const seed = readSeed(options) ?? randomSeed();
  return {
    recipe: recipeName,
    data,
    dataDir: options.text('data-dir'),
    optimizer,
    keepProbability: options.number('keep', 'a number in [2^-16, 1]', (value) => value >= 2 ** -16 && value <= 1) ?? 1,
    learningRate: options.number('lr', 'a number above 0', above0),
    momentum: options.number('momentum', 'a number in [0, 1)', (value) => value >= 0 && value < 1),
    weightDecay: options.number('weight-decay', 'a number of at least 0', (value) => value >= 0),
    batchSize: options.number('batch-size', 'a whole number of at least 1', atLeast1) ?? defaults.batchSize,
    epochs: options.number('epochs', 'a whole number of at least 1', atLeast1) ?? defaults.epochs,
    seed,
    backend: options.text('backend') ?? 'auto',
    width: options.number('width', 'a whole number of at least 1', atLeast1),
    limit: options.number('limit', 'a whole number of at least 1', atLeast1),
    out: options.text('out'),
    checkpointSeconds: readCheckpointSeconds(options),
  };
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
    epochs: options.number('epochs', 'a whole number of at least 1', atLeast1),
    dataDir: options.text('data-dir'),
    backend: options.text('backend'),
    checkpointSeconds: readCheckpointSeconds(options),
  };
}

/**
 * `lrd train RECIPE ...`: trains one network and leaves a run folder. `lrd train --resume DIR` goes on from its checkpoint.
 * Ctrl-C stops behind a checkpoint.
 */
export async function trainCommand(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  const onSignal = (): void => {
    process.stderr.write('\nstopping after this step\n');
    stop.abort();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  const controls = { progress: consoleProgress(), signal: stop.signal };
  const resumes = args.some((argument) => argument === '--resume' || argument.startsWith('--resume='));
  let folder: string;
  try {
    if (resumes) {
      const { checkpointSeconds, ...request } = parseResume(args);
      ({ folder } = request);
      await resumeTraining(request, { ...controls, checkpointSeconds });
    } else {
      const { checkpointSeconds, ...request } = parseTraining(args);
      folder = request.out ?? defaultFolder(request);
      await runTraining(request, { ...controls, checkpointSeconds });
    }
  } catch (error) {
    if (!(error instanceof StoppedError)) throw error;
    throw new JobError(`${error.message}; go on with: lrd train --resume DIR`);
  } finally {
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
  console.log(folder);
}
