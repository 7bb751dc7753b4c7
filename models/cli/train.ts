import { resolve } from 'node:path';
import { RULES } from 'learning-rate-dropout/spec';
import { launchOf } from 'learning-rate-dropout/internal';
import type { HyperParameter } from 'learning-rate-dropout/spec';
import { JobError, UsageError, unknownName } from '../errors.ts';
import { RECIPE_NAMES, findRecipe, prepareRecipe } from '../recipes/catalogue.ts';
import { isDrawn, parseMask } from '../trainer/masks.ts';
import { consoleProgress, silentProgress } from '../trainer/progress.ts';
import { parseRegularizers } from '../trainer/regularizers.ts';
import type { ResolvedRequest } from '../runs/request.ts';
import { HYPER_NAMES, resolveRequest } from '../runs/request.ts';
import { defaultFolder, resumeTraining, runTraining } from '../runs/runTraining.ts';
import type { ResumeRequest, RunControls, RunStart } from '../runs/runTraining.ts';
import { withStandIn } from '../runs/standIn.ts';
import type { Processes } from '../runs/processes.ts';
import { isShared, isUnreachable, joinProcesses, unreachable } from '../runs/processes.ts';
import { parseSchedules } from '../trainer/schedules/parse.ts';
import { StoppedError } from '../trainer/train.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import { jsonLines } from './jsonLines.ts';
import { printLineForm } from './lineForms.ts';
import { stoppable } from './stop.ts';
import type { Call } from './table/row.ts';
import { looksLikePath, readNumber } from './table/row.ts';
import type { TRAIN } from './table/train.ts';
import { WITH_RESUME, kebab } from './table/train.ts';
import { version } from './version.ts';

/** The hyper-parameters of `optimizer` that were given, as its table in `spec/rules.ts` says. */
function readHyper(
  { options, given }: Call<typeof TRAIN>,
  optimizer: string,
): Record<string, number | string | boolean> {
  const table: Readonly<Record<string, HyperParameter>> = RULES[optimizer as keyof typeof RULES].hyper;
  const texts: Readonly<Record<string, unknown>> = options;
  const values: Record<string, number | string | boolean> = {};
  for (const name of HYPER_NAMES) {
    const option = kebab(name);
    if (!given.has(option)) continue;
    const parameter = Object.hasOwn(table, name) ? table[name] : undefined;
    if (parameter === undefined) {
      const known = Object.keys(table)
        .filter((other) => HYPER_NAMES.includes(other))
        .map((other) => `--${kebab(other)}`);
      throw new UsageError(`--${option} must be of the optimizer's; ${optimizer} has ${known.join(', ')}`);
    }
    const text = texts[option] as string;
    if (parameter.kind === 'flag') values[name] = true;
    else if (parameter.kind === 'choice') {
      if (!parameter.values.includes(text)) throw unknownName(`--${option}`, text, parameter.values);
      values[name] = text;
    } else {
      const { minimum, maximum, openMinimum, openMaximum, integer, text: rule } = parameter;
      const holds = (x: number): boolean =>
        (openMinimum === true ? x > minimum : x >= minimum) && (openMaximum === true ? x < maximum : x <= maximum);
      const range = { rule: rule.replace(/^must be /, ''), holds, whole: integer === true };
      values[name] = readNumber(text, `--${option}`, range);
    }
  }
  return values;
}

/** What is asked for by `lrd train`'s arguments. Throws a `UsageError` naming the argument, the value and the rule. */
export function trainingOf(call: Call<typeof TRAIN>): ResolvedRequest & { checkpointSeconds: number } {
  const { words, options } = call;
  const { recipe } = words;
  const path = (name: string): string => (looksLikePath(name) ? resolve(name) : name);
  if (recipe === undefined) throw new UsageError(`lrd train needs a RECIPE: ${RECIPE_NAMES.join(', ')}`);
  const optimizer = options.optimizer ?? findRecipe(path(recipe)).defaults.optimizer ?? 'sgdm';
  const mask = options.mask === undefined ? undefined : parseMask(options.mask);
  if (mask !== undefined && !isDrawn(mask) && options.keep !== undefined) {
    throw new UsageError(`--keep must be left out with --mask ${mask.kind}, got ${options.keep}`);
  }
  if (mask !== undefined && (optimizer === 'sgdm-avg' || options.engine === 'gpujs')) {
    const got = optimizer === 'sgdm-avg' ? '--optimizer sgdm-avg' : '--engine gpujs';
    throw new UsageError(`--mask must go with the fused engine and any optimizer but sgdm-avg, got ${got}`);
  }
  const request = resolveRequest({
    recipe: path(recipe),
    data: options.data === undefined ? undefined : path(options.data),
    dataDir: options['data-dir'],
    optimizer,
    keepProbability: options.keep,
    mask,
    maskExclude: options['mask-exclude'],
    learningRate: options.lr,
    weightDecay: options['weight-decay'],
    hyper: readHyper(call, optimizer),
    regularizers: parseRegularizers(options.regularizer),
    schedules: parseSchedules(options.schedule),
    batchSize: options['batch-size'],
    epochs: options.epochs,
    seed: options.seed,
    backend: options.backend,
    engine: options.engine,
    width: options.width,
    limit: options.limit,
    validation: options.validation,
    layers: options.layers,
    context: options.context,
    epochSteps: options['epoch-steps'],
    augment: options.augment,
    crop: options.crop,
    evaluation: options.evaluate,
    init: options.init,
    out: options.out,
    tensorBoard: options.tensorboard,
  });
  return { ...request, checkpointSeconds: options['checkpoint-seconds'] ?? 60 };
}

/** What `--resume DIR` takes beside it; everything else is the run's own. */
export function resumeOf({ words, options, given }: Call<typeof TRAIN>): ResumeRequest & { checkpointSeconds: number } {
  if (words.recipe !== undefined) {
    throw new UsageError(`lrd train --resume takes the recipe from the run, got also ${words.recipe}`);
  }
  const surplus = [...given].find((name) => !WITH_RESUME.includes(name));
  if (surplus !== undefined) {
    const taken = WITH_RESUME.filter((name) => name !== 'resume').map((name) => `--${name}`);
    throw new UsageError(`--${surplus} is the run's own: lrd train --resume takes ${taken.join(', ')} beside it`);
  }
  return {
    folder: options.resume as string,
    epochs: options.epochs,
    dataDir: options['data-dir'],
    backend: options.backend,
    checkpointSeconds: options['checkpoint-seconds'] ?? 60,
  };
}

/** Trains, or goes on. `folder` is told where, as soon as it is known. Throws as `trainCommand` does, a `StoppedError` too. */
async function carryOut(
  call: Call<typeof TRAIN>,
  controls: Omit<RunControls, 'signal' | 'hear'>,
  told: (folder: string) => void,
  goOn: () => string,
): Promise<void> {
  // Open MPI's mpirun passes nothing on that its processes say once it has told them to end.
  const lastWords = (): string => (launchOf(process.env)?.by === 'Open MPI' ? `; ${goOn()}` : '');
  await stoppable(async ({ signal, hear }) => {
    // Of several processes that train together none ends without the others.
    const stop = { signal, ...(controls.processes === undefined ? { hear } : {}) };
    if (call.options.resume !== undefined) {
      const read = async (): Promise<ReturnType<typeof resumeOf>> => resumeOf(call);
      const { checkpointSeconds, ...request } = await (controls.processes?.together(read) ?? read());
      told(request.folder);
      await resumeTraining(request, { ...controls, ...stop, checkpointSeconds });
    } else {
      const read = async (): Promise<ReturnType<typeof trainingOf>> =>
        call.given.has('data') ? trainingOf(call) : withStandIn(trainingOf(call));
      const { checkpointSeconds, ...asked } = await (controls.processes?.together(read) ?? read());
      // A seed that is drawn is drawn once.
      const seed =
        controls.processes === undefined || call.given.has('seed')
          ? asked.seed
          : controls.processes.firstSeed(asked.seed);
      const request = { ...asked, seed };
      told(request.out ?? defaultFolder(request));
      await runTraining(request, { ...controls, ...stop, checkpointSeconds });
    }
  }, lastWords);
}

/** Joins the other processes. Those behind the first say nothing of what keeps them all from it. */
async function join(): Promise<Processes | undefined> {
  try {
    return await joinProcesses();
  } catch (error) {
    if ((launchOf(process.env)?.rank ?? 0) === 0) throw error;
    return undefined;
  }
}

/**
 * What is thrown on one of several processes. What all have come to together is the first one's to say, and all leave in order; what is one's
 * own it says itself, and with it the others are ended. That the others are gone the first says.
 */
function ofProcess(thrown: unknown, processes: Processes): Error | undefined {
  const error = unreachable(thrown) as Error;
  const shared = isShared(error);
  if (shared) processes.close();
  if (processes.first) return error;
  if (shared || isUnreachable(error)) {
    // With an exit code of its own it might be the first to end, and the launcher would cut the others' words short.
    if (!shared) process.exitCode = 1;
    return undefined;
  }
  return error instanceof JobError ? new JobError(`process ${processes.rank}: ${error.message}`) : error;
}

/**
 * `lrd train RECIPE ...`: trains one network and leaves a run folder. `lrd train --resume DIR` goes on from its checkpoint.
 * Ctrl-C, SIGTERM and the end of the terminal stop it behind a checkpoint.
 */
export async function trainCommand(call: Call<typeof TRAIN>): Promise<void> {
  if (call.options.schema) return printLineForm('train');
  let folder = 'DIR';
  const goOn = (): string => `go on with: lrd train --resume ${folder}`;
  if (call.words.recipe !== undefined) await prepareRecipe(call.words.recipe);
  const launch = launchOf(process.env);
  if (!call.options['data-parallel'] && launch?.rank === 0 && (launch.size ?? 1) > 1) {
    process.stderr.write(
      `lrd: note: ${launch.size} processes were started, and each trains by itself: --data-parallel trains one network on all of them\n`,
    );
  }
  const processes = call.options['data-parallel'] ? await join() : undefined;
  if (call.options['data-parallel'] && processes === undefined) return;
  // Of several processes the first speaks.
  const speaks = processes === undefined || processes.first;
  const lines = speaks && call.options.json ? jsonLines() : undefined;
  const progress = speaks && lines === undefined ? consoleProgress() : silentProgress;
  const controls = {
    progress,
    version: version(),
    processes,
    onStart: (start: RunStart) => lines?.write('start', start),
    onEpoch: (metrics: EpochMetrics) => lines?.write('epoch', metrics),
  };
  try {
    await carryOut(call, controls, (said) => (folder = said), goOn);
    processes?.close();
  } catch (thrown) {
    const error = processes === undefined ? (thrown as Error) : ofProcess(thrown, processes);
    if (error === undefined) return;
    if (!(error instanceof StoppedError)) throw error;
    lines?.write('stopped', { folder });
    throw new JobError(`${error.message}; ${goOn()}`);
  }
  if (lines !== undefined) lines.write('end', { folder });
  else if (speaks) console.log(folder);
}
