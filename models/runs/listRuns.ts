import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import { checkInput } from '../storage/inputs.ts';
import { holding } from './claim.ts';
import { hasCheckpoint } from './checkpoint.ts';
import type { Run } from './runFolder.ts';
import { isRun, readRun } from './runFolder.ts';

/** Where a run stands: a process is at it; its epochs are done; it can go on from a checkpoint; it has not come as far. */
export type RunState = 'running' | 'done' | 'stopped' | 'begun';

/** A run that was found, or what keeps it from being read. */
export type FoundRun =
  | { readonly folder: string; readonly state: RunState; readonly run: Run }
  | { readonly folder: string; readonly state: 'broken'; readonly why: string };

/** Folders that are looked into, one in the other, at most. */
const DEEPEST = 8;

/** A run keeps its lock while a process is at it. */
const LOCK = { name: 'lock', lapseSeconds: 240, kept: false } as const;

function stateOf({ folder, config, metrics }: Run): RunState {
  if (holding(folder, LOCK).state === 'held') return 'running';
  if (metrics.length >= config.epochs) return 'done';
  return hasCheckpoint(folder) ? 'stopped' : 'begun';
}

function look(folder: string): FoundRun {
  try {
    const run = readRun(folder);
    return { folder, state: stateOf(run), run };
  } catch (error) {
    if (!(error instanceof JobError)) throw error;
    return { folder, state: 'broken', why: error.message };
  }
}

/** Every run below a folder, by name. Links are not followed. Throws a `JobError` for a folder that is none. */
export function listRuns(folder: string): readonly FoundRun[] {
  checkInput(folder, 'folder');
  const found: FoundRun[] = [];
  const visit = (place: string, depth: number): void => {
    if (isRun(place)) {
      found.push(look(place));
      return;
    }
    if (depth === DEEPEST) return;
    const entries = readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const next = join(place, name);
      if (existsSync(next)) visit(next, depth + 1);
    }
  };
  visit(folder, 0);
  return found;
}
