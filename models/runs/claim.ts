/**
 * Who works in a folder: on an experiment's cell, or on a run. A claim is a numbered file that is made with its content in one step
 * (a hard link), so of any number of processes exactly one makes `claim-0001.json`. A claim whose owner is gone is not removed but
 * outnumbered: whoever makes the next number owns the folder. So two that find the same dead owner cannot both take its place.
 */
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { JobError } from '../errors.ts';

/** What is claimed, and how. */
export interface ClaimKind {
  /** Its files are `NAME-0001.json` and so on. */
  readonly name: 'claim' | 'lock';
  /** Seconds without a sign of life after which an owner on another machine counts as gone. */
  readonly lapseSeconds: number;
  /** Whether the files stay when the claim is given up, as a count of the owners so far. */
  readonly kept: boolean;
}

/** A cell of an experiment. */
const CELL: ClaimKind = { name: 'claim', lapseSeconds: 300, kept: true };

/** Seconds between two signs of life. */
const HEARTBEAT_SECONDS = 5;

interface Owner {
  readonly host: string;
  readonly pid: number;
  /** When that process started: a process number is used again. Null where the system does not say. */
  readonly started: string | null;
}

type ClaimFile = Owner & { readonly released?: boolean };

/** What /proc/PID/stat says behind the second field, a name in brackets that may hold blanks: the process's state, ... */
function statOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Tells one start of the machine from the next; empty where the system does not say. */
const bootId = ((): string => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
})();

/** Field 22 of /proc/PID/stat, the kernel's ticks from the machine's start to the process's. */
function startOf(pid: number): string | null {
  const ticks = statOf(pid)?.[19];
  return ticks === undefined ? null : `${ticks} ${bootId}`.trim();
}

function isRunning({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  // It ended, and its parent has not asked yet how.
  if (statOf(pid)?.[0] === 'Z') return false;
  const now = startOf(pid);
  return started === null || now === null || started === now;
}

const self = (): Owner => ({ host: hostname(), pid: process.pid, started: startOf(process.pid) });
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
const fileOf = (folder: string, number: number, { name }: ClaimKind): string =>
  join(folder, `${name}-${String(number).padStart(4, '0')}.json`);

function numbersIn(folder: string, { name }: ClaimKind): number[] {
  const pattern = new RegExp(`^${name}-(\\d+)\\.json$`);
  return readdirSync(folder).flatMap((file) => {
    const digits = pattern.exec(file)?.[1];
    return digits === undefined ? [] : [Number(digits)];
  });
}

const lastNumber = (folder: string, kind: ClaimKind): number => Math.max(0, ...numbersIn(folder, kind));

/** Who holds the folder by that file, in words; undefined when its owner is gone, or gave it up. */
function ownerOf(path: string, { lapseSeconds }: ClaimKind): string | undefined {
  try {
    const fresh = Date.now() - statSync(path).mtimeMs < lapseSeconds * 1000;
    let owner: ClaimFile;
    try {
      owner = JSON.parse(readFileSync(path, 'utf8')) as ClaimFile;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      // Where there are no hard links, the content comes a moment after the file.
      return fresh ? 'a process that has not said its number' : undefined;
    }
    const here = owner.host === hostname();
    if (owner.released === true || !(here ? isRunning(owner) : fresh)) return undefined;
    return `process ${owner.pid}${here ? '' : ` on ${owner.host}`}`;
  } catch (error) {
    // Given up since it was listed.
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new JobError(`${path}: cannot be read (${(error as Error).message})`);
  }
}

/** How a folder is claimed now. `attempts` counts the claims so far. */
export type Holding =
  | { readonly state: 'free'; readonly attempts: number }
  | { readonly state: 'held'; readonly attempts: number; readonly owner: string };

/** Reads who holds the folder. A claim that was given up, or whose owner is gone, leaves it free. */
export function holding(folder: string, kind: ClaimKind = CELL): Holding {
  const number = lastNumber(folder, kind);
  const owner = number === 0 ? undefined : ownerOf(fileOf(folder, number, kind), kind);
  return owner === undefined ? { state: 'free', attempts: number } : { state: 'held', attempts: number, owner };
}

/** A folder that this process owns. */
export interface Claim {
  /** 1 for the first owner that the folder has had. */
  readonly attempt: number;
  /** Whether nobody has taken the folder over meanwhile. */
  stillHeld(): boolean;
  /** Gives the folder up. */
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

/** Makes a file with its content unless it is there. Returns whether it did. */
function createWhole(path: string, text: string, draft: string): boolean {
  try {
    writeFileSync(draft, text);
    try {
      linkSync(draft, path);
    } catch (error) {
      // A file system without hard links (exFAT): still one of all makes the file.
      if (codeOf(error) !== 'EEXIST') writeFileSync(path, text, { flag: 'wx' });
      else return false;
    }
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw new JobError(`${path}: cannot be made (${(error as Error).message})`);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Takes the folder when it is free. Undefined when another process has it. */
export function takeClaim(folder: string, kind: ClaimKind = CELL): Claim | undefined {
  const held = holding(folder, kind);
  if (held.state === 'held') return undefined;
  const number = held.attempts + 1;
  const path = fileOf(folder, number, kind);
  const draft = join(folder, `.${kind.name}-${randomUUID()}`);
  const text = `${JSON.stringify(self())}\n`;
  if (!createWhole(path, text, draft)) return undefined;
  // Where files are removed, numbers begin again: another may have made a higher or a lower one at this moment. Both see the other's.
  const others = (): number[] => numbersIn(folder, kind).filter((other) => other !== number);
  if (!kind.kept && others().some((other) => ownerOf(fileOf(folder, other, kind), kind) !== undefined)) {
    rmSync(path, { force: true });
    return undefined;
  }
  const worker = beat(path);
  const stillHeld = (): boolean => {
    if (lastNumber(folder, kind) !== number) return false;
    try {
      return readFileSync(path, 'utf8') === text;
    } catch {
      return false;
    }
  };
  return {
    attempt: number,
    stillHeld,
    release: async () => {
      await worker.terminate();
      if (kind.kept) {
        writeFileSync(draft, `${JSON.stringify({ ...self(), released: true })}\n`);
        renameSync(draft, path);
      } else if (stillHeld()) {
        for (const other of others()) rmSync(fileOf(folder, other, kind), { force: true });
        rmSync(path, { force: true });
      }
    },
  };
}
