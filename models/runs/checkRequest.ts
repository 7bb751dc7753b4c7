/** What a request's settings come to before anything is read or started, and what is wrong with them already then. */
import type { LrdOptimizer } from 'learning-rate-dropout';
import { UnsupportedError } from 'learning-rate-dropout';
import { UsageError } from '../errors.ts';
import { checkSelection } from '../recipes/catalogue.ts';
import { createOptimizer } from '../recipes/optimizers.ts';
import type { Selection } from '../recipes/recipe.ts';
import { isDrawn } from '../trainer/masks.ts';
import type { Regularizers } from '../trainer/regularizers.ts';
import { followSchedules } from './rates.ts';
import type { ResolvedRequest, TrainingRequest } from './request.ts';
import { resolveRequest } from './request.ts';

/** The part of the regularizers that the optimizer carries out. */
function ofOptimizer(regularizers: Regularizers): Record<string, unknown> {
  const elsewhere = ['noisyLabels', 'standardDropout', 'frozenTensors'];
  return Object.fromEntries(Object.entries(regularizers).filter(([name]) => !elsewhere.includes(name)));
}

/** A pattern of a parameter's name as the optimizer, which knows variables by the network's name too, matches it. */
const ofVariable = (pattern: string): string => (pattern.startsWith('*') ? pattern : `*/${pattern}`);

/** The kind of mask, and who is left out of it. */
function ofMask({ mask, maskExclude = [] }: ResolvedRequest): Record<string, unknown> {
  const match = maskExclude.map(ofVariable);
  return { mask, ...(match.length === 0 ? {} : { groups: [{ match, excluded: true }] }) };
}

/** Throws a `UsageError` for a pattern of `--mask-exclude` that none of a network's parameters has. */
export function checkExclusions({ maskExclude = [] }: ResolvedRequest, parameters: readonly { readonly name: string }[]): void {
  const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const missed = maskExclude.find((pattern) => {
    const form = new RegExp(`^${ofVariable(pattern).split('*').map(literal).join('.*')}$`);
    return !parameters.some(({ name }) => form.test(`net/${name}`));
  });
  if (missed === undefined) return;
  const names = parameters.map(({ name }) => name);
  const more = names.length > 8 ? ` and ${names.length - 8} more` : '';
  throw new UsageError(
    `--mask-exclude must match a parameter's name, got ${JSON.stringify(missed)}; there are ${names.slice(0, 8).join(', ')}${more}`,
  );
}

/** The optimizer of a run. Throws a `UsageError` or an `InvalidArgumentError` for settings that it cannot have. */
export function optimizerOf(request: ResolvedRequest): LrdOptimizer {
  const { optimizer, learningRate, weightDecay, hyper, regularizers, mask, engine, keepProbability, seed } = request;
  try {
    return createOptimizer(optimizer, {
      learningRate,
      weightDecay,
      others: { ...hyper, ...ofOptimizer(regularizers), ...ofMask(request), engine },
      keepProbability: mask === undefined || isDrawn(mask) ? keepProbability : undefined,
      seed,
    });
  } catch (error) {
    if (error instanceof UnsupportedError) throw new UsageError(error.message);
    throw error;
  }
}

/** The data that a run is about. */
export function selectedBy(request: ResolvedRequest): Selection {
  const { data, dataDir, limit, validation, augment, crop, evaluation, width, regularizers } = request;
  const { batchSize, layers, context, epochSteps } = request;
  const { noisyLabels } = regularizers;
  const own = { batchSize, layers, context, epochSteps };
  return { data, dataDir, limit, validation, augment, crop, evaluation, width, noisyLabels, ...own };
}

/** Epochs whose scheduled values are looked at: a run may be asked for two billion. */
const MOST_EPOCHS = 10_000;

/**
 * Throws what `runTraining` would throw of the settings alone, whatever the data hold: a `UsageError` or an `InvalidArgumentError`. Reads no data
 * and starts no backend; a recipe that is a module has been prepared.
 */
export function checkRequest(asked: TrainingRequest): void {
  const request = resolveRequest(asked);
  checkSelection(request.recipe, selectedBy(request));
  const optimizer = optimizerOf(request);
  try {
    const { learningRate, keepProbability } = optimizer;
    const epochs = Math.min(request.epochs, MOST_EPOCHS);
    // Within an epoch no schedule turns: two steps show its ends.
    followSchedules(optimizer, { schedules: request.schedules, hyper: optimizer.getConfig(), learningRate, keepProbability, epochs }, 2);
  } finally {
    optimizer.dispose();
  }
}
