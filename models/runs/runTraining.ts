import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkBackendName, useBackend, whyBackend } from '../backend.ts';
import { describeEnvironment } from './environment.ts';
import { JobError, UsageError } from '../errors.ts';
import { checkMemory } from './memory.ts';
import { countParameters } from '../nets/net.ts';
import { restoreOptimizer } from '../recipes/optimizers.ts';
import { UnsupportedError, loadGpuJs } from 'learning-rate-dropout';
import { tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import type { LrdOptimizer } from 'learning-rate-dropout';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Checkpoint } from './checkpoint.ts';
import { hasCheckpoint, readCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { checkInput, inWords } from '../storage/inputs.ts';
import { isModulePath, shortName } from '../storage/modules.ts';
import type { EpochMetrics, TrainingPosition } from '../trainer/train.ts';
import type { Progress } from '../trainer/progress.ts';
import { DivergedError } from '../trainer/failures.ts';
import type { Processes } from './processes.ts';
import { asShared, fingerprint, unreachable } from './processes.ts';
import { checkExclusions, optimizerOf, selectedBy } from './checkRequest.ts';
import { meanFactorOf } from './meanFactor.ts';
import { followSchedules } from './rates.ts';
import { asRecorded, buildOptions, selectionOf } from './rebuild.ts';
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
  writeSamples,
  isRun,
} from './runFolder.ts';
import type { LockOptions, RunLock } from './runLock.ts';
import { LockedError, lockRun, untilUnlocked } from './runLock.ts';
import { resolveSchedules } from '../trainer/schedules/schedule.ts';
import { logToTensorBoard } from './tensorboard.ts';
import type { TensorBoardLogger } from './tensorboard.ts';
import { train } from '../trainer/train.ts';
import type { Task } from '../tasks/task.ts';
import type { Workload, WorkloadData } from '../recipes/recipe.ts';
import { findRecipe, loadWorkload, prepareRecipe } from '../recipes/catalogue.ts';

export type { TrainingRequest };

/** How a run goes, beside what it computes. */
export interface RunControls {
  /** Default: silent. */
  readonly progress?: Progress;
  /** Seconds between checkpoints within an epoch. Default 60. */
  readonly checkpointSeconds?: number;
  /** Aborted: the run stops behind a checkpoint. */
  readonly signal?: AbortSignal;
  /**
   * Told false ahead of work that keeps the event loop from its turn, and with which nothing is lost (a network is built, its values are read, its
   * first step is taken), and true behind it: a signal in between should end the process at once.
   */
  readonly hear?: (on: boolean) => void;
  /** Those that train together with this one; of them the first writes the folder. Default: this one alone. */
  readonly processes?: Processes | undefined;
  /** The program's version, which must be the same on all of them. */
  readonly version?: string;
  /** Told what is trained, ahead of the first step. */
  readonly onStart?: (start: RunStart) => void;
  /** Told of each epoch, once its line is in the run's folder. */
  readonly onEpoch?: (metrics: EpochMetrics) => void;
}

/** What a run is, at its start. */
export interface RunStart {
  readonly folder: string;
  readonly config: RunConfig;
  /** Why the backend is this one. */
  readonly why: string;
  /** The epoch that comes next, from 1. */
  readonly epoch: number;
}

/** What may differ when a run goes on. */
export interface ResumeRequest {
  /** The run's. */
  readonly folder: string;
  /** Each of these by default as the run was started with. */
  readonly epochs?: number | undefined;
  /** See `epochs`. */
  readonly dataDir?: string | undefined;
  /** See `epochs`. */
  readonly backend?: string | undefined;
}

/** One line that says what is trained, with what, on what and where to. */
export function startLine({ folder, config, why, epoch }: RunStart): string {
  const { recipe, data, examples, optimizer, keepProbability, learningRate, batchSize, epochs, backend, seed } = config;
  const count = (n: number): string => n.toLocaleString('en');
  const { train: trained = 0, validation, test = 0 } = examples ?? {};
  const held = validation === undefined ? '' : `, ${count(validation)} validation`;
  const of = examples === undefined ? '' : ` (${count(trained)} training${held} and ${count(test)} test examples)`;
  return [
    `${shortName(recipe)}, ${count(config.parameters)} parameters, on ${shortName(data)}${of}`,
    ...(config.dataRemark === undefined ? [] : [config.dataRemark]),
    `${optimizer} with p = ${keepProbability}, learning rate ${learningRate}, ${batchSize} examples a step, ${epoch === 1 ? '' : `from epoch ${epoch} on of `}${epochs} epochs`,
    `backend ${backend} (${why})`,
    `seed ${seed}`,
    `into ${folder}`,
  ].join('; ');
}

/** The folder of a run that was not given one. */
export function defaultFolder(request: ResolvedRequest): string {
  const { optimizer, keepProbability, seed, mask } = request;
  const [recipe, data] = [request.recipe, request.data].map(shortName);
  const kind = mask === undefined ? '' : `-${mask.kind}`;
  return join('runs', `${recipe}-${data}-${optimizer}${kind}-p${keepProbability}-s${seed}`);
}

interface Work {
  readonly folder: string;
  /** Of the process that writes the folder. */
  readonly lock: RunLock | undefined;
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
  // The folder was removed, or moved away.
  if (!isRun(folder)) return error;
  const what =
    kept === undefined
      ? 'there was no checkpoint yet'
      : `the checkpoint of epoch ${kept.epoch} after ${kept.batch} batches is kept`;
  const message = error.message.replace(/\.?$/, `; ${what}`);
  // The same settings would come to the same end.
  const told =
    error instanceof DivergedError
      ? new DivergedError(message)
      : new JobError(`${message}; go on with: lrd train --resume ${folder}`);
  return asShared(told, error);
}

/** The task of a run; of one on several processes this one's part of it, whose tests see the mean of all running statistics. */
function taskOf({ workload, optimizer, config }: Work, processes: Processes | undefined): Task<unknown> {
  const seed = BigInt(config.seed);
  if (processes === undefined) return workload.task({ optimizer, seed });
  const task = workload.task({ optimizer, seed, part: processes });
  const statistics = workload.net.statistics.map(({ variable }) => variable);
  return { ...task, evaluate: () => processes.withMeans(statistics, () => task.evaluate()) };
}

async function carryOut(work: Work, controls: RunControls): Promise<Run> {
  const { folder, lock, config, examples, workload, optimizer, beforeStep, from } = work;
  const { processes } = controls;
  const { net } = workload;
  const stepsPerEpoch = Math.ceil(examples.train / config.batchSize);
  const first = from === undefined ? 1 : (from.epoch - 1) * stepsPerEpoch + from.batch + 1;
  // Of several processes one writes the folder.
  const writes = lock !== undefined;
  let kept = from;
  let log: TensorBoardLogger | undefined;
  try {
    if (config.tensorBoard === true && writes) {
      log = logToTensorBoard(folder, first - 1, stepsPerEpoch);
    }
    const meanFactor = meanFactorOf(optimizer);
    await train({
      label: `${config.optimizer} p=${config.keepProbability}`,
      task: taskOf(work, processes),
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
      onStep: (report) => {
        if (report.step === first) controls.hear?.(true);
        log?.step(report);
      },
      onEpoch: (line, step) => {
        if (lock === undefined) return;
        lock.checkHeld();
        appendMetrics(folder, line);
        controls.onEpoch?.(line);
        log?.epoch(line, step);
      },
      onCheckpoint: async (position, step) => {
        lock?.checkHeld();
        await saveCheckpoint(folder, net, optimizer, { config, position, step, processes });
        kept = position;
      },
      ...(controls.progress === undefined ? {} : { progress: controls.progress }),
      ...(controls.signal === undefined ? {} : { signal: controls.signal }),
      ...(controls.checkpointSeconds === undefined ? {} : { checkpointSeconds: controls.checkpointSeconds }),
      ...(processes === undefined ? {} : { team: processes }),
      ...(from === undefined ? {} : { from }),
      ...(meanFactor === undefined ? {} : { meanFactor }),
    });
    const statistics = net.statistics.map(({ variable }) => variable);
    const draw = async (): Promise<void> => {
      if (!writes) return;
      writePredictions(folder, await workload.draw());
      writeSamples(folder, (await workload.write?.()) ?? []);
    };
    await (processes === undefined ? draw() : processes.withMeans(statistics, draw));
    return writes ? readRun(folder) : { folder, config, metrics: [] };
  } catch (error) {
    const failure = unreachable(error);
    // How to go on is the first process's to say.
    throw writes ? withWayOn(failure, folder, kept) : failure;
  } finally {
    closeQuietly(log);
    freeQuietly(optimizer);
    freeQuietly(net);
  }
}

/** A backend that has run out of memory may not be able to free any either; that it ran out is what is told. */
function freeQuietly(owner: { dispose(): void }): void {
  try {
    owner.dispose();
  } catch {
    // The process ends with the run, or the next one finds out by itself.
  }
}

/** What is shown of a run that ended; what it ended with is told, whatever comes of this. */
function closeQuietly(log: TensorBoardLogger | undefined): void {
  try {
    log?.close();
  } catch {
    // The folder is gone, or cannot be written any more.
  }
}

/** Works under a lock and gives it up in the end. What went wrong first is told; what giving up meets, only where nothing else went wrong. */
async function underLock<T>(folder: string, lock: RunLock | undefined, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await lock?.release().catch(() => undefined);
    throw error;
  }
  try {
    await lock?.release();
  } catch (error) {
    throw new JobError(`${folder}: its lock cannot be removed (${inWords(error)})`);
  }
  return result;
}

/** Does something on every process together with the others, or just does it. */
async function jointly<T>(processes: Processes | undefined, work: () => Promise<T>): Promise<T> {
  return processes === undefined ? work() : processes.together(work);
}

/** Does something on the process that writes the folder; undefined on the others. */
async function byWriter<T>(processes: Processes | undefined, work: () => T): Promise<T | undefined> {
  return processes === undefined ? work() : processes.onFirst(work);
}

/** The backends that several processes train on, by what `--backend` says. */
function backendFor(name: string, processes: Processes | undefined): string {
  if (processes === undefined || processes.size === 1) return name;
  if (name === 'webgpu') {
    throw new UsageError(
      '--backend must be cpu, wasm or node with --data-parallel, got webgpu: a step cannot wait for what it has computed',
    );
  }
  // A GPU's WebGPU would be the first choice otherwise.
  if (name === 'auto') return tensorflowMissing('node') === undefined ? 'node' : 'wasm';
  return name;
}

/** Lets the optimizer step together with those of the other processes, and says how. */
function joinOptimizer(optimizer: LrdOptimizer, { processes, progress }: RunControls): void {
  if (processes === undefined) return;
  const { size, group } = processes;
  if (size === 1) {
    progress?.line(`--data-parallel: ${group.description}`);
    return;
  }
  const { reduction, reason } = processes.join(optimizer);
  progress?.line(
    `${size} processes over ${group.description}: ` +
      (reduction === 'kept' ? 'kept coordinates alone are reduced' : `the whole gradient is reduced (${reason})`),
  );
}

/** Looks whether all processes have the same settings, data and versions. */
async function compareProcesses(
  { processes, version }: RunControls,
  config: RunConfig,
  workload: Workload,
  optimizer: LrdOptimizer,
): Promise<void> {
  if (processes === undefined || processes.size === 1) return;
  const first = await jointly(processes, async () => {
    const batches = workload
      .task({ optimizer, seed: BigInt(config.seed) })
      .batches({ batchSize: Math.min(32, config.batchSize), seed: BigInt(config.seed), epoch: 1, first: 0 });
    const { value } = await batches.next();
    await batches.return();
    return value;
  });
  const { node, tfjs } = describeEnvironment(config.backend);
  // Where the data lies may differ from machine to machine; what it is may not.
  const { dataSource: _, hyper, ...settings } = config;
  processes.compare({ version: version ?? null, node, tfjs, ...settings, ...hyper, data: config.data, examplesRead: fingerprint(first) });
}

/** Says what is trained, to people and to programs. */
function announce(start: RunStart, { progress, onStart }: RunControls): void {
  progress?.line(startLine(start));
  onStart?.(start);
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

const waitingOf = ({ progress, signal }: RunControls): LockOptions => ({ line: (text) => progress?.line(text), signal });

/** Looks whether the file is there, so that a wrong name is found before a backend starts. */
function checkInit(path: string): void {
  checkInput(path, 'file', `--init ${path}`);
}

/** A run that is ready to begin. */
type Prepared = Omit<Work, 'lock' | 'from'>;

/** Everything that can be wrong with the call is found here: first the arguments, then the data, then the backend. */
async function prepareRun(asked: TrainingRequest, controls: RunControls): Promise<Prepared> {
  const { processes } = controls;
  await prepareRecipe(asked.recipe);
  const request = resolveRequest(asked);
  const { regularizers, width, limit, validation, seed } = request;
  const init = request.init === undefined ? undefined : resolve(request.init);
  checkBackendName(request.backend);
  if (processes !== undefined && request.batchSize < processes.size) {
    throw new UsageError(
      `--batch-size must be at least the number of processes, ${processes.size}, got ${request.batchSize}`,
    );
  }
  const backendName = backendFor(request.backend, processes);
  await loadEngine(request.engine);
  const optimizer = optimizerOf(request);
  const folder = request.out ?? defaultFolder(request);
  checkFree(folder);
  if (existsSync(folder)) await untilUnlocked(folder, waitingOf(controls));
  if (init !== undefined) checkInit(init);
  controls.hear?.(false);
  const { lossUnit } = findRecipe(request.recipe);
  const { crop, evaluation, layers, context, epochSteps } = request;
  const loaded = await loadWorkload(request.recipe, selectedBy(request));
  const backend = await useBackend(backendName);
  const build = (): Workload => loaded.build(buildOptions(seed, regularizers));
  // A network of the user's own may make its tensors in ways that cannot be counted beforehand.
  if (!isModulePath(request.recipe)) checkMemory(build, { rule: request.optimizer as RuleName, backend, window: Number(optimizer.getConfig()['window'] ?? 1) }); // prettier-ignore
  const workload = build();
  const { net } = workload;
  checkExclusions(request, net.parameters);
  const { examples } = loaded;
  const remarks = [request.dataRemark, loaded.remark].filter((said) => said !== undefined);
  const remark = remarks.length === 0 ? undefined : remarks.join('; ');
  const leftOut = init === undefined ? undefined : workload.initialise(init);
  if (leftOut !== undefined) controls.progress?.line(`--init ${init}: ${leftOut}`);
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
    ...(validation === undefined ? {} : { validation }),
    ...(crop === undefined ? {} : { crop }),
    ...(evaluation === undefined ? {} : { evaluation }),
    ...(layers === undefined ? {} : { layers }),
    ...(context === undefined ? {} : { context }),
    ...(epochSteps === undefined ? {} : { epochSteps }),
    ...(lossUnit === undefined ? {} : { lossUnit }),
    augmentation: loaded.augmentation,
    ...(remark === undefined ? {} : { dataRemark: remark }),
    examples,
    ...(init === undefined ? {} : { init }),
    ...(Object.keys(regularizers).length === 0 ? {} : { regularizers }),
    ...(Object.keys(request.schedules).length === 0
      ? {}
      : { schedules: resolveSchedules(request.schedules, request.epochs) }),
    ...(request.tensorBoard ? { tensorBoard: true } : {}),
    ...(processes === undefined || processes.size === 1 ? {} : { processes: processes.size }),
  };
  const beforeStep = schedulesOf(optimizer, config, loaded);
  return { folder, config, examples, workload, optimizer, beforeStep };
}

/**
 * Trains and leaves a run folder. Everything that can be wrong with the call is found before the folder is made: first the arguments,
 * then the data, then the backend. Several processes find it together.
 */
export async function runTraining(asked: TrainingRequest, controls: RunControls = {}): Promise<Run> {
  const { processes } = controls;
  const prepared = await jointly(processes, () => prepareRun(asked, controls));
  const { folder, config, workload, optimizer } = prepared;
  await compareProcesses(controls, config, workload, optimizer);
  joinOptimizer(optimizer, controls);
  const lock = await byWriter(processes, () => {
    makeFolder(folder);
    return lockRun(folder, waitingOf(controls));
  });
  return underLock(folder, lock, async () => {
    await byWriter(processes, () => beginRun(folder, config, describeEnvironment(config.backend)));
    announce({ folder, config, why: whyBackend(asked.backend ?? 'auto', config.backend), epoch: 1 }, controls);
    return carryOut({ ...prepared, lock }, controls);
  });
}

/**
 * Goes on with a run from its checkpoint (from the beginning when it was killed before the first): the same batches, the same
 * masks, on a deterministic backend the same bits.
 */
export async function resumeTraining(request: ResumeRequest, controls: RunControls = {}): Promise<Run> {
  const { folder } = request;
  const { processes } = controls;
  // A folder that is not a run is left as it is.
  await jointly(processes, async () => readRun(folder));
  const lock = await byWriter(processes, () => lockRun(folder, waitingOf(controls)));
  return underLock(folder, lock, () => resumeLocked(request, lock, controls));
}

async function resumeLocked(request: ResumeRequest, lock: RunLock | undefined, controls: RunControls): Promise<Run> {
  const { folder } = request;
  const { processes } = controls;
  let checkpoint: Checkpoint | undefined;
  let resumed: Resumed;
  try {
    controls.hear?.(false);
    const run = await jointly(processes, async () => {
      const found = readRun(folder);
      if (hasCheckpoint(folder)) checkpoint = readCheckpoint(folder, found.config);
      return found;
    });
    resumed = await jointly(processes, () => prepareResumed(request, run, checkpoint, controls));
    const { work, kept } = resumed;
    const { config, workload, optimizer } = work;
    try {
      joinOptimizer(optimizer, controls);
      await jointly(processes, () => asRecorded(folder, () => restoreState(resumed, checkpoint, processes)));
      await compareProcesses(controls, config, workload, optimizer);
      await byWriter(processes, () => rewriteMetrics(folder, config, kept));
    } catch (error) {
      optimizer.dispose();
      workload.net.dispose();
      throw error;
    }
  } finally {
    checkpoint?.close();
  }
  const { work } = resumed;
  const writers = checkpoint?.processes ?? 1;
  const here = processes?.size ?? 1;
  if (checkpoint !== undefined && writers !== here) {
    controls.progress?.line(`${folder}: ${writers} processes wrote the checkpoint, ${here} go on: equal but for rounding`);
  }
  const { epoch = 1, batch = 0 } = work.from ?? {};
  controls.progress?.line(`${folder}: goes on in epoch ${epoch} after ${batch} batches`);
  return carryOut({ ...work, lock }, controls);
}

/** A run that goes on, before its tensors have their values. */
interface Resumed {
  readonly work: Omit<Work, 'lock'>;
  /** Lines of the epochs that the checkpoint knows of. */
  readonly kept: readonly EpochMetrics[];
}

/** The run as it goes on from its checkpoint, or begins anew where there is none yet. */
async function prepareResumed(
  request: ResumeRequest,
  { folder, config: recorded, metrics }: Run,
  checkpoint: Checkpoint | undefined,
  controls: RunControls,
): Promise<Resumed> {
  const { processes } = controls;
  const { processes: _, ...alone } = recorded;
  const several = processes !== undefined && processes.size > 1 ? { processes: processes.size } : {};
  const config: RunConfig = { ...alone, epochs: request.epochs ?? recorded.epochs, ...several };
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
  const running = await useBackend(backendFor(backend, processes));
  const optimizer = await asRecorded(folder, () =>
    restoreOptimizer(config.optimizer, checkpoint?.optimizer ?? config.hyper),
  );
  const workload = loaded.build(buildOptions(BigInt(config.seed), config.regularizers));
  try {
    const beforeStep = await asRecorded(folder, () => schedulesOf(optimizer, config, loaded));
    const from = checkpoint?.position;
    const why = request.backend === undefined ? "the run's" : whyBackend(request.backend, running);
    announce({ folder, config: { ...config, backend: running }, why, epoch }, controls);
    return {
      work: { folder, config, examples, workload, optimizer, beforeStep, ...(from === undefined ? {} : { from }) },
      kept,
    };
  } catch (error) {
    optimizer.dispose();
    workload.net.dispose();
    throw error;
  }
}

/** Gives network and optimizer the checkpoint's values, or those that the run began with. */
async function restoreState(
  { work: { workload, optimizer, config } }: Resumed,
  checkpoint: Checkpoint | undefined,
  processes: Processes | undefined,
): Promise<void> {
  const { net } = workload;
  if (checkpoint !== undefined) await checkpoint.restore(net, optimizer, processes);
  else if (config.init !== undefined) workload.initialise(config.init);
  optimizer.bind(net.parameters.map(({ variable }) => variable));
}
