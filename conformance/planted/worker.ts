/** Judges planted faults beside whoever starts it as a worker: `beside.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PlantedWork } from './beside.ts';
import { judgeFaults } from './matrix.ts';

const { seed, next } = workerData as PlantedWork;
parentPort?.postMessage(await judgeFaults(seed, next));
