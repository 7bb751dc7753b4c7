/**
 * Who works on a cell. A claim is a numbered file that is made with its content in one step (a hard link), so of any number of
 * processes exactly one makes `claim-0001.json`. A claim whose owner is gone is not removed but outnumbered: whoever makes the
 * next number owns the cell. So two that find the same dead owner cannot both take its place.
 */
import { linkSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { JobError } from '../errors.ts';

/** Seconds between two signs of life, and without one after which an owner on another machine counts as gone. */
const HEARTBEAT_SECONDS = 5;
const LAPSE_SECONDS = 300;

interface Owner {
  readonly host: string;
  readonly pid: number;
  /** When that process started, in the kernel's ticks: a process number is used again. Null where the system does not say. */
  readonly started: string | null;
}

/** Field 22 of /proc/PID/stat; the second field is a name in brackets that may hold blanks. */
function startOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function isRunning({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const now = startOf(pid);
  return started === null || now === null || started === now;
}

const self = (): Owner => ({ host: hostname(), pid: process.pid, started: startOf(process.pid) });
const fileOf = (folder: string, number: number): string =>
  join(folder, `claim-${String(number).padStart(4, '0')}.json`);

function lastNumber(folder: string): number {
  const numbers = readdirSync(folder).map((name) => Number(/^claim-(\d+)\.json$/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers);
}

/** How a cell is claimed now. `attempts` counts the claims so far. */
export type Holding =
  | { readonly state: 'free'; readonly attempts: number }
  | { readonly state: 'held'; readonly attempts: number; readonly owner: string };

/** Reads who holds the cell's folder. A claim that was given up, or whose owner is gone, leaves it free. */
export function holding(folder: string): Holding {
  const number = lastNumber(folder);
  if (number === 0) return { state: 'free', attempts: 0 };
  const path = fileOf(folder, number);
  const owner = JSON.parse(readFileSync(path, 'utf8')) as Owner & { readonly released?: boolean };
  const here = owner.host === hostname();
  const alive = here ? isRunning(owner) : Date.now() - statSync(path).mtimeMs < LAPSE_SECONDS * 1000;
  if (owner.released === true || !alive) return { state: 'free', attempts: number };
  const text = `process ${owner.pid}${here ? '' : ` on ${owner.host}`}`;
  return { state: 'held', attempts: number, owner: text };
}

/** A cell that this process owns. */
export interface Claim {
  /** 1 for the first owner that the cell has had. */
  readonly attempt: number;
  /** Whether nobody has taken the cell over meanwhile. */
  stillHeld(): boolean;
  /** Gives the cell up. */
  release(): Promise<void>;
}

/** A thread of its own keeps the sign of life going while the main one computes. It ends with the process. */
function beat(path: string): Worker {
  const code = `const { utimesSync } = require('node:fs'); const { workerData } = require('node:worker_threads');
    setInterval(() => { try { const now = new Date(); utimesSync(workerData.path, now, now); } catch {} }, workerData.every);`;
  const worker = new Worker(code, { eval: true, execArgv: [], workerData: { path, every: HEARTBEAT_SECONDS * 1000 } });
  worker.unref();
  return worker;
}

/** Takes the cell when it is free. Undefined when another process has it. */
export function takeClaim(folder: string): Claim | undefined {
  mkdirSync(folder, { recursive: true });
  const held = holding(folder);
  if (held.state === 'held') return undefined;
  const number = held.attempts + 1;
  const path = fileOf(folder, number);
  const draft = join(folder, `.claim-${process.pid}-${number}`);
  writeFileSync(draft, `${JSON.stringify(self())}\n`);
  try {
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw new JobError(`${path}: cannot be made (${(error as Error).message})`);
  } finally {
    rmSync(draft, { force: true });
  }
  const worker = beat(path);
  return {
    attempt: number,
    stillHeld: () => lastNumber(folder) === number,
    release: async () => {
      await worker.terminate();
      writeFileSync(draft, `${JSON.stringify({ ...self(), released: true })}\n`);
      renameSync(draft, path);
    },
  };
}
