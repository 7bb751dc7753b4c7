import type { Regularizers } from '../trainer/regularizers.ts';
import type { RunConfig } from './runFolder.ts';
import type { BuildOptions, Selection } from '../recipes/recipe.ts';

/** The data that a run is about; by default from the folder that it came from. */
export function selectionOf(config: RunConfig, dataDir: string | undefined): Selection {
  return {
    data: config.data,
    dataDir: dataDir ?? config.dataSource,
    limit: config.limit,
    augment: config.augmentation,
    crop: config.crop,
    evaluation: config.evaluation,
    width: config.width,
    noisyLabels: config.regularizers?.noisyLabels,
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
