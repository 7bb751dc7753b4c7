import { join } from 'node:path';
import { useBackend } from '../backend.ts';
import { limitSet } from '../data/dataSet.ts';
import { loadImageSet } from '../data/catalogue.ts';
import { describeEnvironment } from '../environment.ts';
import { countParameters } from '../nets/net.ts';
import { createOptimizer, findRecipe } from '../recipes.ts';
import type { Progress } from './progress.ts';
import type { Run, RunConfig } from './runFolder.ts';
import { appendMetrics, checkFree, createRunFolder } from './runFolder.ts';
import { train } from './train.ts';

/** A training run as the command line describes it, checked and with defaults filled in. */
export interface TrainingRequest {
  readonly recipe: string;
  readonly data: string;
  readonly dataDir: string | undefined;
  readonly optimizer: string;
  readonly keepProbability: number;
  readonly learningRate: number | undefined;
  readonly momentum: number | undefined;
  readonly weightDecay: number | undefined;
  readonly batchSize: number;
  readonly epochs: number;
  readonly seed: bigint;
  readonly backend: string;
  readonly width: number | undefined;
  readonly limit: number | undefined;
  /** Undefined: below `runs/`, named after the settings. */
  readonly out: string | undefined;
}

/** The folder of a run that was not given one. */
export function defaultFolder(request: TrainingRequest): string {
  const { recipe, data, optimizer, keepProbability, seed } = request;
  return join('runs', `${recipe}-${data}-${optimizer}-p${keepProbability}-s${seed}`);
}

/** Trains and leaves a run folder. Everything that can be wrong with the call is found before the folder is made. */
export async function runTraining(request: TrainingRequest, progress: Progress): Promise<Run> {
  const recipe = findRecipe(request.recipe);
  const optimizer = createOptimizer(request.optimizer, request);
  const folder = request.out ?? defaultFolder(request);
  checkFree(folder);
  const backend = await useBackend(request.backend);
  const loaded = await loadImageSet(request.data, request.dataDir);
  const set = request.limit === undefined ? loaded : limitSet(loaded, request.limit, request.limit);
  const net = recipe.build(set, { seed: request.seed, width: request.width });
  optimizer.bind(net.parameters.map(({ variable }) => variable));
  const hyper = optimizer.getConfig();
  const config: RunConfig = {
    recipe: request.recipe,
    data: request.data,
    dataSource: set.source,
    optimizer: request.optimizer,
    hyper,
    keepProbability: optimizer.keepProbability,
    learningRate: optimizer.learningRate,
    batchSize: request.batchSize,
    epochs: request.epochs,
    seed: optimizer.seed,
    backend,
    parameters: countParameters(net),
    ...(request.width === undefined ? {} : { width: request.width }),
    ...(request.limit === undefined ? {} : { limit: request.limit }),
  };
  createRunFolder(folder, config, describeEnvironment(backend));
  try {
    const metrics = await train({
      label: `${request.optimizer} p=${config.keepProbability}`,
      net,
      set,
      optimizer,
      batchSize: request.batchSize,
      epochs: request.epochs,
      seed: request.seed,
      rates: () => ({
        learningRate: optimizer.learningRate,
        keepProbability: optimizer.keepProbability,
        weightDecay: optimizer.weightDecay,
      }),
      progress,
      onEpoch: (line) => appendMetrics(folder, line),
    });
    return { folder, config, metrics };
  } finally {
    optimizer.dispose();
    net.dispose();
  }
}
