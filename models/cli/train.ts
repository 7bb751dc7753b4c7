import { randomSeed } from '../../impl-gpu/random.ts';
import { checkDataSetName } from '../data/catalogue.ts';
import { UsageError, unknownName } from '../errors.ts';
import { OPTIMIZERS, RECIPES, findRecipe } from '../recipes.ts';
import { consoleProgress } from '../trainer/progress.ts';
import { runTraining } from '../trainer/runTraining.ts';
import type { TrainingRequest } from '../trainer/runTraining.ts';
import { parse, readSeed } from './options.ts';

const above0 = (value: number): boolean => value > 0;
const atLeast1 = (value: number): boolean => Number.isInteger(value) && value >= 1;

/** Reads `lrd train`'s arguments. Throws a `UsageError` naming the argument, the value and the rule. */
export function parseTraining(args: readonly string[]): TrainingRequest {
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
  };
}

/** `lrd train RECIPE ...`: trains one network and leaves a run folder. */
export async function trainCommand(args: readonly string[]): Promise<void> {
  const run = await runTraining(parseTraining(args), consoleProgress());
  console.log(run.folder);
}
