import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { useBackend } from '../backend.ts';
import { DivergedError } from '../trainer/failures.ts';
import { readRun } from '../runs/runFolder.ts';
import type { RunControls } from '../runs/runTraining.ts';
import { resumeTraining, runTraining } from '../runs/runTraining.ts';
import { toRequest } from './request.ts';
import type { Cell, CellResult, Store } from './store.ts';

/** Where and how a cell runs: nothing of it changes what is computed. */
export interface CellPlace {
  readonly dataDir: string | undefined;
  /** `auto`: what the series was begun with, where it was begun with `auto`; else what is fastest here, and from then on that. */
  readonly backend: string;
  readonly keepCheckpoints: boolean;
}

/** Trains a cell in its folder, or goes on where it was left. */
export async function runCell(
  cell: Cell,
  folder: string,
  attempt: number,
  place: CellPlace,
  controls: RunControls,
  series: Pick<Store, 'backend' | 'recordBackend'>,
): Promise<CellResult> {
  const run = join(folder, 'run');
  const { epochs } = cell.settings;
  let result: CellResult = { outcome: 'finished', attempts: attempt };
  try {
    if (!existsSync(join(run, 'config.json'))) {
      // What a kill left of a run that had not begun.
      rmSync(run, { recursive: true, force: true });
      const backend = place.backend === 'auto' ? (series.backend() ?? series.recordBackend(await useBackend('auto'))) : place.backend; // prettier-ignore
      await runTraining({ ...toRequest(cell), dataDir: place.dataDir, backend, out: run }, controls);
    } else if (readRun(run).metrics.length < epochs) {
      // A run keeps its own.
      const backend = place.backend === 'auto' ? undefined : place.backend;
      await resumeTraining({ folder: run, epochs, dataDir: place.dataDir, backend }, controls);
    }
  } catch (error) {
    if (!(error instanceof DivergedError)) throw error;
    result = { outcome: 'diverged', message: error.message, attempts: attempt };
  }
  if (!place.keepCheckpoints) rmSync(join(run, 'checkpoint'), { recursive: true, force: true });
  return result;
}
