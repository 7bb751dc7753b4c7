import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { JobError, UsageError } from '../errors.ts';
import { appendLine, makeFolders, writeWhole } from '../storage/files.ts';
import { readAs, readLinesAs } from '../storage/form.ts';
import { checkInput } from '../storage/inputs.ts';
import { DRAWINGS } from '../tasks/drawing.ts';
import type { Drawing } from '../tasks/drawing.ts';
import { SAMPLES } from '../tasks/language/textSample.ts';
import type { TextSample } from '../tasks/language/textSample.ts';
import { EPOCH_METRICS } from '../trainer/epochMetrics.ts';
import type { EpochMetrics } from '../trainer/epochMetrics.ts';
import { ENVIRONMENT, RUN_CONFIG } from './runConfig.ts';
import type { Environment, RunConfig } from './runConfig.ts';

export { writeWhole };

export type { RunConfig };

/** Bytes of a file of settings, at most. */
const LARGEST_CONFIG = 2 ** 22;

/** A run's folder, read. */
export interface Run {
  /** Its path. */
  readonly folder: string;
  /** What it was started with. */
  readonly config: RunConfig;
  /** One record an epoch. */
  readonly metrics: readonly EpochMetrics[];
  /** What `environment.json` says, where there is one that can be read. */
  readonly environment?: Environment;
}

/** Refuses a folder that already holds a run. */
export function checkFree(folder: string): void {
  if (existsSync(join(folder, 'config.json'))) {
    throw new UsageError(`--out must not hold a run already; ${folder} has a config.json`);
  }
}

/** Makes the folder of a run to come. */
export function makeFolder(folder: string): void {
  makeFolders(folder, `--out ${folder}`);
}

/** Writes `environment.json`, an empty `metrics.jsonl` and `config.json` into the folder, which must not hold a run. */
export function beginRun(folder: string, config: RunConfig, environment: unknown): void {
  checkFree(folder);
  writeWhole(join(folder, 'environment.json'), `${JSON.stringify(environment, null, 2)}\n`);
  writeWhole(join(folder, 'metrics.jsonl'), '');
  writeWhole(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
}

/** Adds an epoch's line; a whole line or none reaches the file. */
export function appendMetrics(folder: string, metrics: EpochMetrics): void {
  appendLine(join(folder, 'metrics.jsonl'), JSON.stringify(metrics));
}

/** Takes a run back to the epochs that its checkpoint knows of. */
export function rewriteMetrics(folder: string, config: RunConfig, metrics: readonly EpochMetrics[]): void {
  writeWhole(join(folder, 'metrics.jsonl'), metrics.map((line) => `${JSON.stringify(line)}\n`).join(''));
  writeWhole(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
}

/** A run can be read without: it says where the run was made, not what it is. */
function environmentOf(folder: string): Environment | undefined {
  try {
    return readEnvironment(folder);
  } catch {
    return undefined;
  }
}

/** Reads a run. A last line that was cut off is left out; anything else that is not a run is a `JobError` that names file and place. */
export function readRun(folder: string): Run {
  checkInput(folder, 'folder');
  if (!isRun(folder)) throw new JobError(`${folder}: not a run (it has no config.json)`);
  const config = readAs(join(folder, 'config.json'), RUN_CONFIG, LARGEST_CONFIG);
  const path = join(folder, 'metrics.jsonl');
  const metrics = readLinesAs(path, EPOCH_METRICS).map((line): EpochMetrics => ({
    ...line,
    trainLoss: (line.trainLoss as number | null) ?? NaN,
    testLoss: (line.testLoss as number | null) ?? NaN,
    ...(line.validationLoss === undefined ? {} : { validationLoss: (line.validationLoss as number | null) ?? NaN }),
  }));
  for (const [index, { epoch }] of metrics.entries()) {
    if (epoch !== index + 1) {
      throw new JobError(`${path}: line ${index + 1}: not an epoch's metrics: epoch must be ${index + 1}, got ${epoch}`);
    }
  }
  const environment = environmentOf(folder);
  return { folder, config, metrics, ...(environment === undefined ? {} : { environment }) };
}

/** Whether a folder is a run's, or what is left of one. */
export function isRun(folder: string): boolean {
  return existsSync(join(folder, 'config.json'));
}

/** The environment that a run was begun in. Throws a `JobError` for a file that is none. */
export function readEnvironment(folder: string): Environment {
  return readAs(join(folder, 'environment.json'), ENVIRONMENT, LARGEST_CONFIG);
}

/** Writes `predictions.json`, what the network sees in a few test pictures; nothing where there are none. */
export function writePredictions(folder: string, drawings: readonly Drawing[]): void {
  if (drawings.length > 0) writeWhole(join(folder, 'predictions.json'), `${JSON.stringify(drawings)}\n`);
}

/** Writes `samples.json`, texts that a language model has written; nothing where there are none. */
export function writeSamples(folder: string, samples: readonly TextSample[]): void {
  if (samples.length > 0) writeWhole(join(folder, 'samples.json'), `${JSON.stringify(samples)}\n`);
}

/** The texts of a run; none where it has no `samples.json`. Throws a `JobError` for one that is broken. */
export function readSamples(folder: string): readonly TextSample[] {
  const path = join(folder, 'samples.json');
  return existsSync(path) ? readAs(path, SAMPLES) : [];
}

/** The drawings of a run; none where it has no `predictions.json`. Throws a `JobError` for one that is broken. */
export function readPredictions(folder: string): readonly Drawing[] {
  const path = join(folder, 'predictions.json');
  return existsSync(path) ? readAs(path, DRAWINGS) : [];
}
