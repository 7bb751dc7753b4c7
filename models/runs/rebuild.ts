import { join } from 'node:path';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import type { Regularizers } from '../trainer/regularizers.ts';
import type { RunConfig } from './runFolder.ts';
import type { BuildOptions, Selection } from '../recipes/recipe.ts';

/**
 * Does what a run's record asks for. What the record says is nobody's call: where it is refused, the error is a `JobError` that names the
 * file.
 */
export async function asRecorded<T>(folder: string, job: () => T | Promise<T>): Promise<T> {
  try {
    return await job();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof InvalidArgumentError)) throw error;
    throw new JobError(`${join(folder, 'config.json')} asks for what cannot be: ${error.message}`);
  }
}

/** The data that a run is about; by default from the folder that it came from. */
export function selectionOf(config: RunConfig, dataDir: string | undefined): Selection {
  return {
    data: config.data,
    dataDir: dataDir ?? config.dataSource,
    limit: config.limit,
    validation: config.validation,
    augment: config.augmentation,
    crop: config.crop,
    evaluation: config.evaluation,
    width: config.width,
    noisyLabels: config.regularizers?.noisyLabels,
    batchSize: config.batchSize,
    layers: config.layers,
    context: config.context,
    epochSteps: config.epochSteps,
  };
}

/** What is asked of the network beside its recipe. */
export function buildOptions(seed: bigint, { standardDropout, frozenTensors }: Regularizers = {}): BuildOptions {
  return {
    seed,
    ...(standardDropout === undefined ? {} : { standardDropout }),
    ...(frozenTensors === undefined ? {} : { frozenTensors }),
  };
}
