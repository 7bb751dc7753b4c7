import type { Experiment } from '../experiment.ts';
import type { Plan, PlannedCell } from '../plan.ts';
import { cellLabel, cellNumber } from '../plan.ts';
import type { Store } from '../store.ts';
import { inOneLine, queuedTasks } from './commands.ts';
import type { QueuedTask } from './commands.ts';
import type { SlurmFolder, SubmittedJob } from './jobs.ts';

/** Where a cell stands, with what the cluster's queue knows. */
export interface CellStatus {
  readonly cell: PlannedCell;
  readonly number: number;
  readonly state: 'finished' | 'diverged' | 'running' | 'queued' | 'failed' | 'waiting';
  readonly epochs: number;
  /** Node and time left, the reason why it waits, why it failed. */
  readonly note: string;
}

/** A task of a submission. */
interface Task {
  readonly job: string;
  readonly index: number;
  /** How many cells share it. */
  readonly cells: number;
}

const OVER = /^(?:CANCELLED|COMPLETED|FAILED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY|BOOT_FAIL|DEADLINE|PREEMPTED)/;
const AT_WORK = /^(?:RUNNING|COMPLETING|SUSPENDED|STOPPED|CONFIGURING|STAGE_OUT|SIGNALING)/;

/** What the cluster has in its queue of a plan's submissions, by one call of `squeue` (none where nothing was submitted). */
export class Queue {
  readonly #jobs: readonly SubmittedJob[];
  readonly #queued = new Map<string, QueuedTask & Task>();
  readonly #newest = new Map<string, Task>();

  /** Throws a `JobError` with Slurm's own words when it cannot be asked. */
  constructor(jobs: readonly SubmittedJob[]) {
    this.#jobs = jobs;
    for (const { id, tasks } of jobs) {
      for (const [index, labels] of Object.entries(tasks)) {
        for (const label of labels) this.#newest.set(label, { job: id, index: Number(index), cells: labels.length });
      }
    }
    const byId = new Map(jobs.map((job) => [job.id, job.tasks]));
    for (const task of queuedTasks(jobs.map(({ id }) => id))) {
      if (OVER.test(task.state)) continue;
      const labels = byId.get(task.job)?.[String(task.index)] ?? [];
      for (const label of labels) {
        const before = this.#queued.get(label);
        // Of two tasks for one cell, the one at work.
        if (before === undefined || !AT_WORK.test(before.state))
          this.#queued.set(label, { ...task, cells: labels.length });
      }
    }
  }

  /** The task that the queue has for a cell. */
  taskOf(label: string): (QueuedTask & Task) | undefined {
    return this.#queued.get(label);
  }

  /** The task that the cell was submitted with last. */
  newestOf(label: string): Task | undefined {
    return this.#newest.get(label);
  }

  /** The jobs of which something is left. */
  get jobs(): readonly SubmittedJob[] {
    const left = new Set([...this.#queued.values()].map(({ job }) => job));
    return this.#jobs.filter(({ id }) => left.has(id));
  }

  /** How many tasks are left: those at work, and those that wait. */
  get counts(): { readonly running: number; readonly waiting: number } {
    const tasks = new Map([...this.#queued.values()].map((task) => [`${task.job}_${task.index}`, task]));
    const running = [...tasks.values()].filter(({ state }) => AT_WORK.test(state)).length;
    return { running, waiting: tasks.size - running };
  }
}

/** Options of `statusOf`. */
export interface StatusOptions {
  readonly store: Store;
  readonly experiment: Experiment;
  readonly plan: Plan;
  readonly folder: SlurmFolder;
  readonly queue: Queue;
}

/** Where each cell of the plan stands. */
export function statusOf({ store, experiment, plan, folder, queue }: StatusOptions): readonly CellStatus[] {
  return plan.cells.map((cell): CellStatus => {
    const label = cellLabel(cell);
    const found = store.state(cell);
    const number = cellNumber(experiment, cell);
    const status = (state: CellStatus['state'], note = ''): CellStatus => ({
      cell,
      number,
      state,
      epochs: found.epochs,
      note: inOneLine(note),
    });
    if (found.state === 'finished' || found.state === 'diverged') return status(found.state);
    const task = queue.taskOf(label);
    const holder = found.state === 'running' ? found.holder : undefined;
    if (task !== undefined) {
      const { job, index, node, timeLeft, reason, cells } = task;
      const name = `job ${job}_${index}`;
      if (!AT_WORK.test(task.state)) return status('queued', `${reason === '' ? 'waits' : reason}, ${name}`);
      if (holder !== undefined || cells === 1) return status('running', `${node}, ${timeLeft} left, ${name}`);
      return status('queued', `shares ${name} on ${node}`);
    }
    // The claim of a task that the cluster no longer has says nothing: who takes the cell up next finds out whether it lives.
    if (holder !== undefined && holder.task === undefined) return status('running', holder.name);
    if (found.state === 'failed') return status('failed', found.note);
    const newest = queue.newestOf(label);
    const note = newest === undefined ? undefined : folder.exitNote(newest.job, newest.index);
    if (note !== undefined) return status('failed', note);
    return status('waiting', holder === undefined ? '' : `was left by ${holder.name}`);
  });
}
