import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import type { EpochMetrics } from '../trainer/train.ts';
import { join } from 'node:path';
import { JobError, UsageError } from '../errors.ts';
import { appendLine, writeWhole } from '../storage/files.ts';
import type { Drawing } from '../tasks/drawing.ts';
import type { Evaluation } from '../tasks/segmentation/task.ts';
import type { Regularizers } from '../trainer/regularizers.ts';
import type { Schedules } from '../trainer/schedules/schedule.ts';

export { writeWhole };

/** What was asked for, with every default filled in; `seed` as "0x...". */
export interface RunConfig {
  readonly recipe: string;
  readonly data: string;
  readonly dataSource: string;
  readonly optimizer: string;
  /** The optimizer's own full configuration. */
  readonly hyper: Readonly<Record<string, unknown>>;
  readonly keepProbability: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly seed: string;
  readonly backend: string;
  readonly parameters: number;
  readonly width?: number;
  readonly limit?: number;
  /** Of segmentation: side of the training crops, where it is not 473. */
  readonly crop?: number;
  /** Of segmentation: how pictures are tested, where it is not `whole`. */
  readonly evaluation?: Evaluation;
  /** What training does to images. Absent where there was no choice yet: nothing. */
  readonly augmentation?: string;
  /** What must be known of the data: that it is a part of the published set. */
  readonly dataRemark?: string;
  /** Images that it trains on and is tested on. */
  readonly examples?: { readonly train: number; readonly test: number };
  /** The file that the network started with. */
  readonly init?: string;
  readonly regularizers?: Regularizers;
  /** With their lengths written out. `hyper`, `learningRate` and `keepProbability` are the values that they start from. */
  readonly schedules?: Schedules;
  readonly tensorBoard?: boolean;
}

export interface Run {
  readonly folder: string;
  readonly config: RunConfig;
  readonly metrics: readonly EpochMetrics[];
}

/** Refuses a folder that already holds a run. */
export function checkFree(folder: string): void {
  if (existsSync(join(folder, 'config.json'))) {
    throw new UsageError(`--out must not hold a run already; ${folder} has a config.json`);
  }
}

/** Makes the folder of a run to come. */
export function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new JobError(`--out ${folder}: cannot be made (${(error as Error).message})`);
  }
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

/** Reads a run. A last line that was cut off is left out; anything else that is not a run is a `JobError`. */
export function readRun(folder: string): Run {
  const path = join(folder, 'config.json');
  let config: RunConfig;
  try {
    config = JSON.parse(readFileSync(path, 'utf8')) as RunConfig;
  } catch (error) {
    throw new JobError(`${folder}: not a run (${path}: ${(error as Error).message})`);
  }
  const metricsPath = join(folder, 'metrics.jsonl');
  if (!existsSync(metricsPath)) throw new JobError(`${folder}: not a run (no metrics.jsonl)`);
  const lines = readFileSync(metricsPath, 'utf8').split('\n');
  // What follows the last newline is either empty or a line that was being written.
  const metrics = lines.slice(0, -1).map((line, index) => {
    try {
      return JSON.parse(line) as EpochMetrics;
    } catch {
      throw new JobError(`${metricsPath}: line ${index + 1} is not JSON`);
    }
  });
  return { folder, config, metrics };
}

/** Writes `predictions.json`, what the network sees in a few test pictures; nothing where there are none. */
export function writePredictions(folder: string, drawings: readonly Drawing[]): void {
  if (drawings.length > 0) writeWhole(join(folder, 'predictions.json'), `${JSON.stringify(drawings)}\n`);
}

/** The drawings of a run; none where it has no `predictions.json`. Throws a `JobError` for one that is broken. */
export function readPredictions(folder: string): readonly Drawing[] {
  const path = join(folder, 'predictions.json');
  if (!existsSync(path)) return [];
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Drawing[];
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as Error).message})`);
  }
}
