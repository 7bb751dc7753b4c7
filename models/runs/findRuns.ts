import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Folders below a folder that are looked into; runs lie one or two deep. */
const DEPTH = 5;
/** What is never a run, and may be large. */
const PASSED_BY = new Set(['checkpoint', 'node_modules', '.git']);

const holdsRun = (folder: string): boolean =>
  existsSync(join(folder, 'config.json')) && existsSync(join(folder, 'metrics.jsonl'));

/**
 * The folders of runs in a folder and below it, in order; a run's own folder is the only one. Links are not followed, folders that cannot
 * be read are passed by.
 */
export function findRuns(folder: string, depth = DEPTH): string[] {
  if (holdsRun(folder)) return [folder];
  if (depth === 0) return [];
  let names: string[];
  try {
    names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !PASSED_BY.has(entry.name))
      .map(({ name }) => name);
  } catch {
    return [];
  }
  return names
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .flatMap((name) => findRuns(join(folder, name), depth - 1));
}
