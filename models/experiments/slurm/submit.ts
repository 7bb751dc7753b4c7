import { accessSync, constants, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { createHash } from 'node:crypto';
import { JobError, UsageError } from '../../errors.ts';
import { makeFolders, writeWhole } from '../../storage/files.ts';
import { readInput } from '../../storage/inputs.ts';
import type { Experiment } from '../experiment.ts';
import type { Plan } from '../plan.ts';
import { cellLabel, cellNumber, checkAgreement, planName, recordPlan } from '../plan.ts';
import type { Store } from '../store.ts';
import { formatRanges, taskOf } from '../tasks.ts';
import { checkSlurm, isOnPath, maxArraySize, submitScript } from './commands.ts';
import type { SubmittedJob } from './jobs.ts';
import { SlurmFolder } from './jobs.ts';
import { shellWord, slurmScript } from './script.ts';
import { Queue, statusOf } from './status.ts';

/** What is submitted, and how. */
export interface SubmitOptions {
  readonly store: Store;
  readonly experiment: Experiment;
  readonly plan: Plan;
  /** The output folder as it was given. */
  readonly out: string;
  /** The program and its arguments for a task, up to its number; `name` is the experiment's name, or the path of its file. */
  readonly command: (name: string) => readonly string[];
  readonly cellsPerTask: number;
  /** Tasks that run at one time, at most. */
  readonly arrayLimit: number | undefined;
  /** A file whose lines stand in the script, before the program. */
  readonly prologue: string | undefined;
  readonly dryRun: boolean;
  /** For sbatch, as they are. */
  readonly extra: readonly string[];
  /** Told what is to be known and is no error. */
  readonly note: (line: string) => void;
}

/** What came of it. */
export interface Submitted {
  readonly script: string;
  /** The calls of sbatch, as a shell takes them. */
  readonly calls: readonly string[];
  /** Empty in a dry run. */
  readonly jobs: readonly SubmittedJob[];
  readonly cells: number;
  readonly tasks: number;
  readonly counts: { readonly done: number; readonly queued: number; readonly elsewhere: number };
}

/** Throws a `UsageError` unless the folder is absolute and can be written, or made. */
function checkSharedFolder(out: string): void {
  if (!isAbsolute(out)) {
    throw new UsageError(
      `--out must be an absolute path that every node sees for --on slurm, got ${JSON.stringify(out)}`,
    );
  }
  if (/["\n]/.test(out))
    throw new UsageError(`--out must be a path without double quotes and line ends, got ${JSON.stringify(out)}`);
  let nearest = out;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  try {
    if (!statSync(nearest).isDirectory()) throw new Error(`${nearest} is no folder`);
    accessSync(nearest, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new UsageError(`--out must be a folder that can be written, got ${out} (${(error as Error).message})`);
  }
}

/** In bytes: Slurm takes scripts of at most 4 MB, as it comes. */
const LONGEST_PROLOGUE = 2 ** 20;

function readPrologue(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readInput(path, LONGEST_PROLOGUE).toString('utf8');
  } catch (error) {
    throw new UsageError(`--prologue must be a file that can be read, got ${path} (${(error as Error).message})`);
  }
}

/** Throws a `UsageError` for what the launcher must say itself. */
function checkExtra(extra: readonly string[]): void {
  const own = extra.find((word) => /^(?:--array(?:=|$)|--parsable$|--wrap(?:=|$)|-a)/.test(word));
  if (own !== undefined) {
    throw new UsageError(
      `behind -- there must not be ${own}: cells are chosen by --only, how many run at a time by --array-limit`,
    );
  }
}

const readIfThere = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

/** Throws what `submitToSlurm` would throw of the call alone, before anything is looked for. */
export function checkSubmission({
  out,
  extra,
  dryRun,
  prologue,
}: Pick<SubmitOptions, 'out' | 'extra' | 'dryRun' | 'prologue'>): void {
  checkSharedFolder(out);
  checkExtra(extra);
  readPrologue(prologue);
  if (!dryRun) checkSlurm();
}

/** Remembers what a call makes, to take it away again when nothing was submitted. */
class Made {
  readonly #before: [path: string, text: string | undefined][] = [];

  folder(path: string): void {
    let highest: string | undefined;
    for (let at = path; !existsSync(at); at = dirname(at)) highest = at;
    if (highest === undefined) return;
    this.#before.push([highest, undefined]);
    makeFolders(path, `--out ${path}`);
  }

  file(path: string, text: string): void {
    this.#before.push([path, readIfThere(path)]);
    writeWhole(path, text);
  }

  undo(): void {
    for (const [path, text] of this.#before.reverse()) {
      if (text === undefined) rmSync(path, { recursive: true, force: true });
      else writeWhole(path, text);
    }
  }
}

/**
 * Writes the script, unless the user's own edit of it stands there. Throws a `UsageError` where an edited script was written for another call:
 * neither may be taken for the other.
 */
function writeScript(folder: SlurmFolder, text: string, made: Made, note: (line: string) => void): void {
  const [now, before] = [readIfThere(folder.script), readIfThere(folder.written)];
  if (now !== undefined && now !== before && now !== text) {
    if (before !== undefined && before !== text) {
      throw new UsageError(
        `${folder.script} was edited, and this call would have another script: submit it by hand, or delete it and edit the new one`,
      );
    }
    note(`${folder.script} was edited: it is used as it stands`);
    return;
  }
  made.file(folder.script, text);
  made.file(folder.written, text);
}

/** The user's own experiment, as it is now: tasks that start later read this, whatever becomes of the user's file. */
function keepDefinition({ plan, experiment }: SubmitOptions, folder: SlurmFolder, made: Made): string {
  if (plan.definition === undefined) return experiment.name;
  const text = `${JSON.stringify(plan.definition, null, 1)}\n`;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const path = join(folder.root, `${experiment.name}-${hash}.json`);
  made.file(path, text);
  return path;
}

/** The array jobs that run some tasks, each with indices below `size`. */
export function splitTasks(tasks: readonly number[], size: number): readonly { offset: number; indices: number[] }[] {
  const parts = new Map<number, number[]>();
  for (const task of [...tasks].sort((a, b) => a - b)) {
    const offset = Math.floor(task / size) * size;
    parts.set(offset, [...(parts.get(offset) ?? []), task - offset]);
  }
  return [...parts].map(([offset, indices]) => ({ offset, indices }));
}

/**
 * Submits the cells that are neither done nor queued as array jobs, one `sbatch` (more only where the tasks' numbers pass MaxArraySize), and
 * returns at once. Nothing has to stay alive: the same call again submits what is left then. Where it throws, nothing was submitted and
 * nothing is left behind, unless the message says so.
 */
export async function submitToSlurm(options: SubmitOptions): Promise<Submitted> {
  const { store, experiment, plan, out, dryRun, extra, note, cellsPerTask, arrayLimit } = options;
  checkSubmission(options);
  const prologue = readPrologue(options.prologue);
  checkAgreement(store, plan);
  const hasSlurm = isOnPath('sbatch');
  const folder = new SlurmFolder(out, planName(plan));
  const made = new Made();
  made.folder(folder.root);
  const jobs: SubmittedJob[] = [];
  try {
    return await folder.exclusively(() => {
      const queue = new Queue(hasSlurm ? folder.jobs() : []);
      const states = statusOf({ store, experiment, plan, folder, queue });
      const count = (...of: readonly string[]): number => states.filter(({ state }) => of.includes(state)).length;
      const open = states.filter(({ state }) => state === 'failed' || state === 'waiting').map(({ cell }) => cell);
      const inQueue = states.filter(({ cell }) => queue.taskOf(cellLabel(cell)) !== undefined);
      const queued = inQueue.filter(({ state }) => state === 'queued' || state === 'running').length;
      const counts = { done: count('finished', 'diverged'), queued, elsewhere: count('running', 'queued') - queued };
      const byTask = new Map<number, string[]>();
      for (const cell of open) {
        const task = taskOf(cellNumber(experiment, cell), cellsPerTask);
        byTask.set(task, [...(byTask.get(task) ?? []), cellLabel(cell)]);
      }
      if (open.length === 0) {
        made.undo();
        return { script: folder.script, calls: [], jobs: [], cells: 0, tasks: 0, counts };
      }
      made.folder(folder.logs);
      made.folder(folder.exits);
      const text = slurmScript({
        name: planName(plan),
        command: options.command(keepDefinition(options, folder, made)),
        logs: folder.logs,
        exits: folder.exits,
        prologue,
      });
      writeScript(folder, text, made, note);
      const parts = splitTasks([...byTask.keys()], hasSlurm ? maxArraySize() : 1001);
      const calls: string[] = [];
      const already = folder.jobs();
      for (const { offset, indices } of parts) {
        const limit = arrayLimit === undefined ? '' : `%${arrayLimit}`;
        const before = jobs.at(-1);
        // The limit is that of one array: the next begins when this one is over.
        const after = arrayLimit === undefined || before === undefined ? [] : [`--dependency=afterany:${before.id}`];
        const words = [`--array=${formatRanges(indices)}${limit}`, ...after, ...extra, folder.script, String(offset)];
        calls.push(['sbatch', ...words].map(shellWord).join(' '));
        if (dryRun) continue;
        try {
          const id = submitScript(words);
          const tasks = Object.fromEntries(indices.map((index) => [index, byTask.get(index + offset) ?? []]));
          jobs.push({ id, at: new Date().toISOString(), tasks });
        } catch (error) {
          if (jobs.length === 0 || !(error instanceof JobError)) throw error;
          throw new JobError(
            `${error.message}; ${jobs.length} of ${parts.length} jobs were submitted, the same command goes on`,
          );
        } finally {
          // Known as soon as it is in the queue: this process may be killed before the next.
          if (jobs.length > 0) {
            recordPlan(store, plan);
            folder.record([...already, ...jobs]);
          }
        }
      }
      if (/^\/(?:tmp|var\/tmp|dev\/shm)(?:\/|$)/.test(out))
        note(`${out} is on this machine alone, as a rule: nodes must see it too`);
      return { script: folder.script, calls, jobs, cells: open.length, tasks: byTask.size, counts };
    });
  } catch (error) {
    if (jobs.length === 0) made.undo();
    throw error;
  }
}
