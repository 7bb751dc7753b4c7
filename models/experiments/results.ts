import { readFileSync } from 'node:fs';
import { JobError } from '../errors.ts';
import type { EpochMetrics } from '../trainer/train.ts';
import type { Plan, Scale } from './plan.ts';
import { readPlan } from './plan.ts';
import type { Overlay, Settings } from './settings.ts';
import { Store } from './store.ts';

/** What is known of a cell without its tensors and without a path of the machine that ran it. */
export interface CellOutcome {
  readonly arm: string;
  readonly seed: number;
  readonly settings: Settings;
  readonly outcome: 'finished' | 'diverged' | 'unfinished';
  readonly message?: string;
  readonly metrics: readonly EpochMetrics[];
  readonly backend?: string;
  readonly parameters?: number;
  readonly examples?: { readonly train: number; readonly test: number };
  readonly dataRemark?: string;
  readonly node?: string;
  readonly processor?: string;
}

/** An experiment's outcome as a file that is small enough to keep: what pages are made from. */
export interface ExperimentOutcome {
  readonly experiment: string;
  readonly scale: Scale;
  readonly overlay: Overlay;
  readonly cells: readonly CellOutcome[];
}

interface ResultsFile {
  readonly version: 1;
  readonly kind: 'lrd-experiments';
  readonly experiments: readonly ExperimentOutcome[];
}

function collectPlan(store: Store, plan: Plan): ExperimentOutcome {
  const cells = plan.cells.map(({ arm, seed, settings }): CellOutcome => {
    const { result, metrics, run, environment } = store.record({ settings, seed });
    const { backend, parameters, examples, dataRemark } = run;
    const optional = {
      message: result?.message,
      backend,
      parameters,
      examples,
      dataRemark,
      node: environment['node'],
      processor: environment['processor'],
    };
    return {
      arm,
      seed,
      settings,
      outcome: result?.outcome ?? 'unfinished',
      metrics,
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    };
  });
  return { experiment: plan.experiment, scale: plan.scale, overlay: plan.overlay, cells };
}

/** The outcome of every plan below an output folder of `lrd experiment`; undefined where there is none. */
export function collectResults(folder: string): readonly ExperimentOutcome[] | undefined {
  const store = new Store(folder);
  const plans = store.plans();
  return plans.length === 0 ? undefined : plans.map((path) => collectPlan(store, readPlan(path)));
}

/** JSON with a line for each cell: a change of one result is a change of one line. */
export function formatResults(experiments: readonly ExperimentOutcome[]): string {
  const short = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(7)) : value;
  const parts = experiments.map(({ cells, ...rest }) => {
    const head = JSON.stringify(rest).slice(0, -1);
    return `${head},"cells":[\n${cells.map((cell) => JSON.stringify(cell, short)).join(',\n')}\n]}`;
  });
  return `{"version":1,"kind":"lrd-experiments","experiments":[\n${parts.join(',\n')}\n]}\n`;
}

/** Reads what `formatResults` wrote. Throws a `JobError` naming the file. */
export function readResults(path: string): readonly ExperimentOutcome[] {
  let file: ResultsFile;
  try {
    file = JSON.parse(readFileSync(path, 'utf8')) as ResultsFile;
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as Error).message})`);
  }
  if ((file.version as number) !== 1 || (file.kind as string) !== 'lrd-experiments') {
    throw new JobError(`${path}: not results of lrd experiment, version 1`);
  }
  return file.experiments;
}
