import { UsageError } from '../errors.ts';
import type { PlannedCell } from './plan.ts';

/** Which cells one task of somebody's array job runs. */
export interface TaskChoice {
  /** The array's index of this task, before the offset. */
  readonly index: number;
  /** What is said in an error: `--cell 7`, or the variable that it came from. */
  readonly source: string;
  /** Added to the index: arrays that count from 1, or are split. */
  readonly offset: number;
  /** Consecutive cells that share a task. */
  readonly cellsPerTask: number;
}

/** Where array engines say which task this is, counted from `first`. */
const VARIABLES: readonly { readonly name: string; readonly first: number }[] = [
  { name: 'SLURM_ARRAY_TASK_ID', first: 0 },
  { name: 'JOB_COMPLETION_INDEX', first: 0 },
  { name: 'AWS_BATCH_JOB_ARRAY_INDEX', first: 0 },
  { name: 'PBS_ARRAY_INDEX', first: 0 },
  { name: 'LSB_JOBINDEX', first: 1 },
];

/** LSF gives a job that is no array the index 0. */
const isSet = (name: string, value: string | undefined): value is string =>
  value !== undefined && value !== '' && !(name === 'LSB_JOBINDEX' && value === '0');

/**
 * Reads `--cell`: a number, or `env` for the variable of the array engine that runs this task. Throws a `UsageError` for what is neither, where
 * no variable is set, and where two say different tasks.
 */
export function readTaskIndex(
  given: string,
  env: NodeJS.ProcessEnv = process.env,
): Pick<TaskChoice, 'index' | 'source'> {
  if (/^\d{1,9}$/.test(given)) return { index: Number(given), source: `--cell ${given}` };
  const names = VARIABLES.map(({ name }) => name).join(', ');
  if (given !== 'env') {
    throw new UsageError(`--cell must be a whole number from 0, or env (${names}), got ${JSON.stringify(given)}`);
  }
  const found = VARIABLES.flatMap(({ name, first }) => {
    const value = env[name];
    if (!isSet(name, value)) return [];
    if (!/^\d{1,9}$/.test(value)) {
      throw new UsageError(`${name} must be a whole number for --cell env, got ${JSON.stringify(value)}`);
    }
    return [{ index: Number(value) - first, source: `${name}=${value}` }];
  });
  const [one, ...more] = found;
  if (one === undefined) throw new UsageError(`--cell env needs one of ${names} in the environment; none is set`);
  const other = more.find(({ index }) => index !== one.index);
  if (other !== undefined) {
    throw new UsageError(
      `--cell env must find one task's number, got ${one.source} and ${other.source}: give --cell N`,
    );
  }
  return one;
}

/** The number of tasks of a plan. */
export function taskCount(cells: number, cellsPerTask: number): number {
  return Math.ceil(cells / cellsPerTask);
}

/** The task that a cell is run by. */
export function taskOf(cell: number, cellsPerTask: number): number {
  return Math.floor(cell / cellsPerTask);
}

/** The cells of one task; `cells` are all of the plan, by their numbers. Throws a `UsageError` for a task that there is not. */
export function cellsOfTask(cells: readonly PlannedCell[], choice: TaskChoice): readonly PlannedCell[] {
  const { index, source, offset, cellsPerTask } = choice;
  const task = index + offset;
  const tasks = taskCount(cells.length, cellsPerTask);
  if (!Number.isInteger(task) || task < 0 || task >= tasks) {
    const shifted = offset === 0 ? '' : ` and --cell-offset ${offset}`;
    const shared = cellsPerTask === 1 ? '' : ` in tasks of ${cellsPerTask}`;
    throw new UsageError(
      `--cell must be in [0, ${tasks - 1}] for ${cells.length} cells${shared}, got ${task} (${source}${shifted})`,
    );
  }
  return cells.slice(task * cellsPerTask, (task + 1) * cellsPerTask);
}

/** Whole numbers as array engines take them: `0-3,7,9-12`. */
export function formatRanges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const ranges: [first: number, last: number][] = [];
  for (const number of sorted) {
    const range = ranges.at(-1);
    if (range !== undefined && range[1] === number - 1) range[1] = number;
    else ranges.push([number, number]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(',');
}
