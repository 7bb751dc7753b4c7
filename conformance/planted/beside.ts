/** The planted faults on the processor's other cores, while this one judges adapters. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { KillRow } from '../report/report.ts';
import { judgeFaults } from './matrix.ts';
import type { PlacedRow } from './matrix.ts';

/** What a worker is given. */
export interface PlantedWork {
  readonly seed: number;
  /** One number in shared memory: faults that have been taken. */
  readonly next: Int32Array;
}

/** Work that has begun elsewhere. */
export interface PlantedBeside {
  /** Takes part in what is left, and resolves to the whole matrix. */
  finish(): Promise<KillRow[]>;
  /** Ends it, done or not. */
  stop(): Promise<void>;
}

/** Starts to judge the planted faults in a worker for each core but this one; run as TypeScript, which workers do not load, in none. */
export function judgePlantedBeside(seed: number): PlantedBeside {
  const next = new Int32Array(new SharedArrayBuffer(4));
  const built = extname(import.meta.url) === '.js';
  const workers = Array.from(
    { length: built ? availableParallelism() - 1 : 0 },
    () => new Worker(new URL('./worker.js', import.meta.url), { workerData: { seed, next } satisfies PlantedWork }),
  );
  const parts = workers.map(async (worker): Promise<readonly PlacedRow[]> => {
    const [rows] = (await once(worker, 'message')) as [readonly PlacedRow[]];
    return rows;
  });
  // Whoever finishes hears of it.
  for (const part of parts) part.catch(() => undefined);
  return {
    finish: async () => {
      const rows = [await judgeFaults(seed, next), ...(await Promise.all(parts))].flat();
      return rows.sort(([a], [b]) => a - b).map(([, row]) => row);
    },
    stop: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
