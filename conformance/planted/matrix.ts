/** The planted faults against every requirement: the kit's own proof, part of every run that names no adapter. */
import type { Judgement } from '../judge/run.ts';
import { judge } from '../judge/run.ts';
import type { KillRow } from '../report/report.ts';
import { PLANTED_FAULTS } from './faults.ts';
import type { PlantedFault } from './faults.ts';
import { openPlanted } from './implementation.ts';

/** Cases a property draws for the matrix. */
const MATRIX_RUNS = 6;

const failedIn = ({ requirements }: Judgement): string[] =>
  requirements.filter(({ status }) => status === 'failed').map(({ requirement }) => requirement);

async function judgeFault({ name, what, caughtBy, changes }: PlantedFault, seed: number): Promise<KillRow> {
  const planted = openPlanted(name, changes());
  // A sample of masks is drawn only where there is nothing better to judge them by; few cases show most of the others.
  const statistics = planted.implementation.masks.every((source) => source === 'own');
  const options = { adapter: name, seed, shrink: false } as const;
  const broad = await judge(planted, { ...options, statistics, runs: MATRIX_RUNS });
  const failed = failedIn(broad);
  if (!failed.includes(caughtBy)) failed.push(...failedIn(await judge(planted, { ...options, only: [caughtBy] })));
  return { fault: name, what, caughtBy, failed, caught: failed.includes(caughtBy) };
}

/** A row with its place in the matrix. */
export type PlacedRow = readonly [index: number, row: KillRow];

/**
 * Judges faults as long as there are any left.
 *
 * @param next one number, shared by all who work on this: how many faults have been taken
 */
export async function judgeFaults(
  seed: number,
  next: Int32Array,
  progress?: (done: number, total: number, row: KillRow) => void,
): Promise<PlacedRow[]> {
  const rows: PlacedRow[] = [];
  for (;;) {
    const index = Atomics.add(next, 0, 1);
    const fault = PLANTED_FAULTS[index];
    if (fault === undefined) return rows;
    const row = await judgeFault(fault, seed);
    rows.push([index, row]);
    progress?.(rows.length, PLANTED_FAULTS.length, row);
  }
}

/** Every planted fault against every requirement: which ones fail. */
export async function judgePlanted(
  seed: number,
  progress?: (done: number, total: number, row: KillRow) => void,
): Promise<KillRow[]> {
  return (await judgeFaults(seed, new Int32Array(1), progress)).map(([, row]) => row);
}
