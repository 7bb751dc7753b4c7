import { StoppedError } from '../trainer/train.ts';
import { formatDuration } from '../trainer/progress.ts';
import type { Progress } from '../trainer/progress.ts';
import type { EpochMetrics } from '../trainer/epochMetrics.ts';
import { setTimeout as pause } from 'node:timers/promises';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import { takeClaim } from '../runs/claim.ts';
import type { RunStart } from '../runs/runTraining.ts';
import type { Overview } from './overview.ts';
import { Pace } from './overview.ts';
import type { PlannedCell } from './plan.ts';
import { cellLabel } from './plan.ts';
import type { CellPlace } from './runCell.ts';
import { runCell } from './runCell.ts';
import type { Store } from './store.ts';

/** Who is told what happens, for programs. */
export interface Watcher {
  /** A cell begins (or is taken up again), or ends; `note`: why it failed or diverged, or which attempt this is. */
  cell(cell: PlannedCell, state: 'running' | 'finished' | 'diverged' | 'failed', epochs: number, note?: string): void;
  /** What a cell trains, ahead of its first step. */
  start(cell: PlannedCell, start: RunStart): void;
  /** An epoch of a cell. */
  epoch(cell: PlannedCell, metrics: EpochMetrics): void;
  /** How far the whole is: behind whatever becomes of a cell, and behind an epoch. */
  overview(overview: Overview): void;
}

export interface WorkOptions extends CellPlace {
  readonly store: Store;
  readonly cells: readonly PlannedCell[];
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** As `RunControls` has it. */
  readonly hear?: (on: boolean) => void;
  readonly checkpointSeconds: number;
  /** Default: nobody. */
  readonly watcher?: Watcher | undefined;
}

/** A cell that failed, and why. */
export interface FailedCell {
  readonly cell: PlannedCell;
  readonly note: string;
}

/** What became of the cells after a worker found no more to do. */
export interface WorkSummary {
  readonly done: number;
  /** Of this process. */
  readonly failed: readonly FailedCell[];
  /** How many other processes were still at when the signal was aborted. */
  readonly left: number;
}

const LOST_CHECK_MS = 10_000;
const WAIT_MS = 3000;
/** Within long cells too it is said now and then how far the whole is. */
const SAY_AGAIN_MS = 60_000;

/** Faults of a cell's settings or data, which say nothing about the next cell. */
const isOfCell = (error: unknown): error is Error =>
  error instanceof JobError || error instanceof UsageError || error instanceof InvalidArgumentError;

/**
 * Runs every cell that is free, in order, until all have ended. Safe beside any number of other processes on the same folder:
 * cells that they are at are waited for, and taken up when they die. A cell that fails is recorded and passed over; what stops
 * the work as a whole is thrown.
 */
export async function work(options: WorkOptions): Promise<WorkSummary> {
  const { store, cells, progress, signal, watcher } = options;
  const failed: FailedCell[] = [];
  let left: PlannedCell[] = [];
  let waiting = false;
  const open = (): PlannedCell[] => cells.filter((cell) => store.result(cell) === undefined);
  const pace = new Pace(store, cells);
  let said = performance.now();
  /** Of a whole sweep: cells done by anyone, and the time left at everybody's pace since this process began. */
  const sayHowFar = (): void => {
    const overview = pace.overview();
    said = performance.now();
    watcher?.overview(overview);
    if (cells.length === 1) return;
    const { done, states, secondsLeft } = overview;
    const time = secondsLeft === null || secondsLeft === 0 ? '' : `, about ${formatDuration(secondsLeft)} left`;
    const failures = states['failed'] === undefined ? '' : `, ${states['failed']} failed`;
    progress.line(`${done} of ${cells.length} cells done${failures}${time}`);
  };
  for (;;) {
    let advanced = false;
    for (const cell of open()) {
      if (store.failure(cell) !== undefined) continue;
      const folder = store.prepare(cell);
      const claim = takeClaim(folder);
      if (claim === undefined) continue;
      const lost = new AbortController();
      const timer = setInterval(() => {
        if (!claim.stillHeld()) lost.abort();
      }, LOST_CHECK_MS);
      const label = cellLabel(cell);
      try {
        // It may have been finished between the look at its state and the claim.
        if (store.result(cell) !== undefined) continue;
        const again = claim.attempt > 1 ? `taken up again, attempt ${claim.attempt}` : undefined;
        progress.line(`${label}${again === undefined ? '' : `: ${again}`}`);
        watcher?.cell(cell, 'running', store.epochs(cell), again);
        const controls = {
          progress: labelled(progress, label),
          checkpointSeconds: options.checkpointSeconds,
          signal: AbortSignal.any([signal, lost.signal]),
          ...(options.hear === undefined ? {} : { hear: options.hear }),
          onStart: (start: RunStart) => watcher?.start(cell, start),
          onEpoch: (metrics: EpochMetrics) => {
            watcher?.epoch(cell, metrics);
            if (watcher !== undefined || performance.now() - said >= SAY_AGAIN_MS) sayHowFar();
          },
        };
        const result = await runCell(cell, folder, claim.attempt, options, controls, store);
        if (claim.stillHeld()) store.writeResult(cell, result);
        if (result.outcome === 'diverged') progress.line(`${label}: ${result.message}`);
        watcher?.cell(cell, result.outcome, store.epochs(cell), result.message);
        advanced = true;
      } catch (error) {
        if (error instanceof StoppedError && !lost.signal.aborted) throw error;
        if (error instanceof StoppedError) continue;
        if (!isOfCell(error)) throw error;
        // Whoever has taken the cell over says what becomes of it.
        if (!claim.stillHeld()) continue;
        failed.push({ cell, note: error.message });
        store.writeFailure(cell, error.message);
        progress.line(`${label}: failed: ${error.message}`);
        watcher?.cell(cell, 'failed', store.epochs(cell), error.message);
      } finally {
        // A cell may have ended ahead of its first step.
        options.hear?.(true);
        clearInterval(timer);
        await claim.release();
      }
      sayHowFar();
    }
    if (advanced) continue;
    left = open().filter((cell) => store.failure(cell) === undefined);
    if (left.length === 0 || signal.aborted) break;
    if (!waiting) {
      progress.line(`${left.length} cells are run by other processes: waiting for them`);
      watcher?.overview(pace.overview());
    }
    waiting = true;
    await pause(WAIT_MS, undefined, { signal }).catch(() => undefined);
  }
  return { done: cells.length - open().length, failed, left: left.length };
}

/** A step's line names its cell, whatever the trainer calls the run. */
function labelled(progress: Progress, label: string): Progress {
  return { step: (state) => progress.step({ ...state, label }), line: (text) => progress.line(`${label}  ${text}`) };
}
