import { checkBackendName, useBackend } from '../backend.ts';
import { JobError } from '../errors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { hasCheckpoint, readCheckpoint } from './checkpoint.ts';
import { underWatch } from '../trainer/deviceWatch.ts';
import { asRecorded, buildOptions, selectionOf } from './rebuild.ts';
import { readRun } from './runFolder.ts';
import type { RunConfig } from './runFolder.ts';
import type { TestMetrics, Updater } from '../tasks/task.ts';
import { loadWorkload } from '../recipes/catalogue.ts';

/** Which run is tested, and with what. */
export interface EvaluationRequest {
  /** The run's. */
  readonly folder: string;
  /** Default: the folder that the run's data came from. */
  readonly dataDir?: string | undefined;
  /** Default: the backend that the run was started with. */
  readonly backend?: string | undefined;
}

/** What a run's network does on its test set. */
export interface RunEvaluation {
  /** The run's. */
  readonly folder: string;
  /** What the run was started with. */
  readonly config: RunConfig;
  /** The backend that computed it. */
  readonly backend: string;
  /** Epochs that the checkpoint has behind it, and batches of the one after. */
  readonly epochs: number;
  /** See `epochs`. */
  readonly batches: number;
  /** Images that were tested. */
  readonly examples: number;
  /** On the test set. */
  readonly metrics: TestMetrics;
}

const idle: Updater = {
  applyGradients: () => {
    throw new Error('a test takes no step');
  },
};

/**
 * Tests the network of a run's checkpoint, the last that it wrote, just as training does at the end of an epoch: on the backend of the
 * run, where that is deterministic, a finished run gives the figures of its last line of metrics again, to the bit. Changes nothing in the
 * folder; a run under way may be looked at. Throws a `JobError` for a folder without a checkpoint, or data that is missing.
 */
export async function evaluateRun({ folder, ...request }: EvaluationRequest): Promise<RunEvaluation> {
  const { config } = readRun(folder);
  const name = request.backend ?? config.backend;
  checkBackendName(name);
  if (!hasCheckpoint(folder)) {
    throw new JobError(
      `${folder}: no checkpoint to evaluate (an experiment keeps those of its cells with --keep-checkpoints)`,
    );
  }
  const checkpoint = readCheckpoint(folder, config);
  try {
    return await evaluateCheckpoint(folder, config, checkpoint, name, request.dataDir);
  } finally {
    checkpoint.close();
  }
}

async function evaluateCheckpoint(
  folder: string,
  config: RunConfig,
  checkpoint: Checkpoint,
  name: string,
  dataDir: string | undefined,
): Promise<RunEvaluation> {
  const data = await asRecorded(folder, () => loadWorkload(config.recipe, selectionOf(config, dataDir)));
  const backend = await useBackend(name);
  const seed = BigInt(config.seed);
  const workload = data.build(buildOptions(seed, config.regularizers));
  const { net } = workload;
  try {
    checkpoint.restoreNet(net);
    const metrics = await underWatch((watch) => watch.guard(workload.task({ optimizer: idle, seed }).evaluate()));
    const { epoch, batch } = checkpoint.position;
    return { folder, config, backend, epochs: epoch - 1, batches: batch, examples: data.examples.test, metrics };
  } finally {
    net.dispose();
  }
}
