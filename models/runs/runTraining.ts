import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkBackendName, useBackend } from '../backend.ts';
import { describeEnvironment } from './environment.ts';
import { JobError, UsageError } from '../errors.ts';
import { countParameters } from '../nets/net.ts';
import { createOptimizer, restoreOptimizer } from '../recipes/optimizers.ts';
import { UnsupportedError, loadGpuJs } from 'learning-rate-dropout';
import type { LrdOptimizer } from 'learning-rate-dropout';
import type { Checkpoint } from './checkpoint.ts';
import { hasCheckpoint, readCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { TrainingPosition } from '../trainer/train.ts';
import type { Progress } from '../trainer/progress.ts';
import { DivergedError } from '../trainer/failures.ts';
import { followSchedules } from './rates.ts';
import { asRecorded, buildOptions, selectionOf } from './rebuild.ts';
import type { Regularizers } from '../trainer/regularizers.ts';
import type { ResolvedRequest, TrainingRequest } from './request.ts';
import { resolveRequest } from './request.ts';
import type { Run, RunConfig } from './runFolder.ts';
import {
  appendMetrics,
  beginRun,
  checkFree,
  makeFolder,
  readRun,
  rewriteMetrics,
  writePredictions,
} from './runFolder.ts';
import type { RunLock } from './runLock.ts';
import { LockedError, checkUnlocked, lockRun } from './runLock.ts';
import { resolveSchedules } from '../trainer/schedules/schedule.ts';
import { isDrawn } from '../trainer/masks.ts';
import { logToTensorBoard } from './tensorboard.ts';
import type { TensorBoardLogger } from './tensorboard.ts';
import { train } from '../trainer/train.ts';
import type { Workload, WorkloadData } from '../recipes/recipe.ts';
import { loadWorkload } from '../recipes/catalogue.ts';

export type { TrainingRequest };

/** How a run goes, beside what it computes. */
export interface RunControls {
  /** Default: silent. */
  readonly progress?: Progress;
  /** Seconds between checkpoints within an epoch. Default 60. */
  readonly checkpointSeconds?: number;
  /** Aborted: the run stops behind a checkpoint. */
  readonly signal?: AbortSignal;
}

/** What may differ when a run goes on. */
export interface ResumeRequest {
  readonly folder: string;
  /** Each of these by default as the run was started with. */
  readonly epochs?: number | undefined;
  readonly dataDir?: string | undefined;
  readonly backend?: string | undefined;
}

/** The folder of a run that was not given one. */
export function defaultFolder(request: ResolvedRequest): string {
  const { recipe, data, optimizer, keepProbability, seed, mask } = request;
  const kind = mask === undefined ? '' : `-${mask.kind}`;
  return join('runs', `${recipe}-${data}-${optimizer}${kind}-p${keepProbability}-s${seed}`);
}

interface Work {
  readonly folder: string;
  readonly lock: RunLock;
  readonly config: RunConfig;
  readonly examples: WorkloadData['examples'];
  readonly workload: Workload;
  readonly optimizer: LrdOptimizer;
  readonly beforeStep: (step: number) => void;
  readonly from?: TrainingPosition;
}

function schedulesOf(
  optimizer: LrdOptimizer,
  config: RunConfig,
  { examples }: Pick<WorkloadData, 'examples'>,
): (step: number) => void {
  return followSchedules(optimizer, config, Math.ceil(examples.train / config.batchSize));
}

/** What is kept when a run fails, and how to go on. */
function withWayOn(error: unknown, folder: string, kept: TrainingPosition | undefined): unknown {
  if (!(error instanceof JobError) || error instanceof LockedError) return error;
  const what =
    kept === undefined
      ? 'there was no checkpoint yet'
      : `the checkpoint of epoch ${kept.epoch} after ${kept.batch} batches is kept`;
  const message = error.message.replace(/\.?$/, `; ${what}`);
  // The same settings would come to the same end.
  return error instanceof DivergedError
    ? new DivergedError(message)
    : new JobError(`${message}; go on with: lrd train --resume ${folder}`);
}

async function carryOut(work: Work, controls: RunControls): Promise<Run> {
  const { folder, lock, config, examples, workload, optimizer, beforeStep, from } = work;
  const { net } = workload;
  const stepsPerEpoch = Math.ceil(examples.train / config.batchSize);
  let kept = from;
  let log: TensorBoardLogger | undefined;
  try {
    if (config.tensorBoard === true) {
      const done = from === undefined ? 0 : (from.epoch - 1) * stepsPerEpoch + from.batch;
      log = logToTensorBoard(folder, done, stepsPerEpoch);
    }
    await train({
      label: `${config.optimizer} p=${config.keepProbability}`,
      task: workload.task({ optimizer, seed: BigInt(config.seed) }),
      batchSize: config.batchSize,
      epochs: config.epochs,
      seed: BigInt(config.seed),
      rates: () => ({
        learningRate: optimizer.learningRate,
        keepProbability: optimizer.keepProbability,
        weightDecay: optimizer.weightDecay,
        ...(config.schedules?.sparsity === undefined && optimizer.sparsity === 0
          ? {}
          : { sparsity: optimizer.sparsity }),
      }),
      beforeStep,
      onStep: (report) => log?.step(report),
      onEpoch: (line, step) => {
        lock.checkHeld();
        appendMetrics(folder, line);
        log?.epoch(line, step);
      },
      onCheckpoint: async (position, step) => {
        lock.checkHeld();
        await saveCheckpoint(folder, net, optimizer, { config, position, step });
        kept = position;
      },
      ...controls,
      ...(from === undefined ? {} : { from }),
    });
    writePredictions(folder, await workload.draw());
    return readRun(folder);
  } catch (error) {
    throw withWayOn(error, folder, kept);
  } finally {
    log?.close();
    optimizer.dispose();
    net.dispose();
  }
}

/** Loads what an engine needs beside this package. */
async function loadEngine(engine: unknown): Promise<void> {
  if (engine !== 'gpujs') return;
  try {
    await loadGpuJs();
  } catch (error) {
    if (error instanceof UnsupportedError) throw new JobError(`--engine gpujs: ${error.message}`);
    throw error;
  }
}

/** The part of the regularizers that the optimizer carries out. */
function ofOptimizer(regularizers: Regularizers): Record<string, unknown> {
  const elsewhere = ['noisyLabels', 'standardDropout', 'frozenTensors'];
  return Object.fromEntries(Object.entries(regularizers).filter(([name]) => !elsewhere.includes(name)));
}

/** The kind of mask, and who is left out of it. */
function ofMask({ mask, maskExclude = [] }: ResolvedRequest): Record<string, unknown> {
  return { mask, ...(maskExclude.length === 0 ? {} : { groups: [{ match: maskExclude, excluded: true }] }) };
}

/** Looks whether the file is there, so that a wrong name is found before a backend starts. */
function checkInit(path: string): void {
  if (!existsSync(path)) throw new JobError(`--init ${path}: no such file`);
}

/**
 * Trains and leaves a run folder. Everything that can be wrong with the call is found before the folder is made: first the arguments,
 * then the data, then the backend.
 */
export async function runTraining(asked: TrainingRequest, controls: RunControls = {}): Promise<Run> {
  const request = resolveRequest(asked);
  const { regularizers, width, limit, seed } = request;
  const init = request.init === undefined ? undefined : resolve(request.init);
  checkBackendName(request.backend);
  await loadEngine(request.engine);
  const optimizer = createOptimizer(request.optimizer, {
    learningRate: request.learningRate,
    weightDecay: request.weightDecay,
    others: { ...request.hyper, ...ofOptimizer(regularizers), ...ofMask(request), engine: request.engine },
    keepProbability: request.mask === undefined || isDrawn(request.mask) ? request.keepProbability : undefined,
    seed,
  });
  const folder = request.out ?? defaultFolder(request);
  checkFree(folder);
  if (existsSync(folder)) checkUnlocked(folder);
  if (init !== undefined) checkInit(init);
  const { data, dataDir, augment, crop, evaluation } = request;
  const { noisyLabels } = regularizers;
  const selection = { data, dataDir, limit, augment, crop, evaluation, width, noisyLabels };
  const loaded = await loadWorkload(request.recipe, selection);
  const backend = await useBackend(request.backend);
  const workload = loaded.build(buildOptions(seed, regularizers));
  const { net } = workload;
  const { remark, examples } = loaded;
  if (remark !== undefined) controls.progress?.line(`${data}: ${remark}`);
  if (init !== undefined) workload.initialise(init);
  optimizer.bind(net.parameters.map(({ variable }) => variable));
  const config: RunConfig = {
    recipe: request.recipe,
    data: request.data,
    dataSource: loaded.source,
    optimizer: request.optimizer,
    hyper: optimizer.getConfig(),
    keepProbability: optimizer.keepProbability,
    learningRate: optimizer.learningRate,
    batchSize: request.batchSize,
    epochs: request.epochs,
    seed: optimizer.seed,
    backend,
    parameters: countParameters(net),
    ...(width === undefined ? {} : { width }),
    ...(limit === undefined ? {} : { limit }),
    ...(crop === undefined ? {} : { crop }),
    ...(evaluation === undefined ? {} : { evaluation }),
    augmentation: loaded.augmentation,
    ...(remark === undefined ? {} : { dataRemark: remark }),
    examples,
    ...(init === undefined ? {} : { init }),
    ...(Object.keys(regularizers).length === 0 ? {} : { regularizers }),
    ...(Object.keys(request.schedules).length === 0
      ? {}
      : { schedules: resolveSchedules(request.schedules, request.epochs) }),
    ...(request.tensorBoard ? { tensorBoard: true } : {}),
  };
  const beforeStep = schedulesOf(optimizer, config, loaded);
  makeFolder(folder);
  const lock = lockRun(folder);
  try {
    beginRun(folder, config, describeEnvironment(backend));
    return await carryOut({ folder, lock, config, examples, workload, optimizer, beforeStep }, controls);
  } finally {
    await lock.release();
  }
}

/**
 * Goes on with a run from its checkpoint (from the beginning when it was killed before the first): the same batches, the same
 * masks, on a deterministic backend the same bits.
 */
export async function resumeTraining(request: ResumeRequest, controls: RunControls = {}): Promise<Run> {
  const { folder } = request;
  // A folder that is not a run is left as it is.
  readRun(folder);
  const lock = lockRun(folder);
  try {
    return await resumeLocked(request, lock, controls);
  } finally {
    await lock.release();
  }
}

async function resumeLocked(request: ResumeRequest, lock: RunLock, controls: RunControls): Promise<Run> {
  const { folder } = request;
  const run = readRun(folder);
  const checkpoint = hasCheckpoint(folder) ? readCheckpoint(folder, run.config) : undefined;
  let work: Work;
  try {
    work = await restoreWork(request, run, checkpoint, lock, controls);
  } finally {
    checkpoint?.close();
  }
  return carryOut(work, controls);
}

/** The run as its checkpoint has it, or as it began where there is none yet. */
async function restoreWork(
  request: ResumeRequest,
  { folder, config: recorded, metrics }: Run,
  checkpoint: Checkpoint | undefined,
  lock: RunLock,
  controls: RunControls,
): Promise<Work> {
  const config: RunConfig = { ...recorded, epochs: request.epochs ?? recorded.epochs };
  const epoch = checkpoint?.position.epoch ?? 1;
  if (epoch > config.epochs) {
    throw new UsageError(`--resume ${folder}: the run has done its ${config.epochs} epochs; give --epochs for more`);
  }
  const backend = request.backend ?? config.backend;
  checkBackendName(backend);
  await loadEngine(config.hyper['engine']);
  const kept = metrics.filter((line) => line.epoch < epoch);
  if (kept.length !== epoch - 1) {
    throw new JobError(`${folder}/metrics.jsonl: ${epoch - 1} epochs are done, it has ${kept.length} of them`);
  }
  const loaded = await asRecorded(folder, () => loadWorkload(config.recipe, selectionOf(config, request.dataDir)));
  const { examples } = loaded;
  if (config.examples !== undefined && config.examples.train !== examples.train) {
    throw new JobError(
      `${loaded.source}: ${examples.train} training images, the run in ${folder} began with ${config.examples.train}`,
    );
  }
  await useBackend(backend);
  const optimizer = await asRecorded(folder, () =>
    restoreOptimizer(config.optimizer, checkpoint?.optimizer ?? config.hyper),
  );
  const workload = loaded.build(buildOptions(BigInt(config.seed), config.regularizers));
  const { net } = workload;
  try {
    if (checkpoint !== undefined) await asRecorded(folder, () => checkpoint.restore(net, optimizer));
    else if (config.init !== undefined) workload.initialise(config.init);
    optimizer.bind(net.parameters.map(({ variable }) => variable));
    const beforeStep = await asRecorded(folder, () => schedulesOf(optimizer, config, loaded));
    rewriteMetrics(folder, config, kept);
    const from = checkpoint?.position;
    controls.progress?.line(`${folder}: goes on in epoch ${epoch} after ${from?.batch ?? 0} batches`);
    return { folder, lock, config, examples, workload, optimizer, beforeStep, ...(from === undefined ? {} : { from }) };
  } catch (error) {
    optimizer.dispose();
    net.dispose();
    throw error;
  }
}
