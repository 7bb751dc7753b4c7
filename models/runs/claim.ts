/**
 * Who works in a folder: on an experiment's cell, or on a run. A claim is a numbered file that is made with its content in one step
 * (a hard link), so of any number of processes exactly one makes `claim-0001.json`. A claim whose owner is gone is not removed but
 * outnumbered: whoever makes the next number owns the folder. So two that find the same dead owner cannot both take its place.
 *
 * The folder may lie on a file system that machines share (NFS, Lustre, GPFS). What is assumed of it: a name is made by one of all that try
 * to make it (`link`, or `open` with O_EXCL where there are no links); a file that is opened shows what its writer had closed; a client that
 * has just made a file in a folder lists the folder as it is. What is not: that `link` says what it did (an answer that was lost is sent
 * again as "exists": the content tells whose it is), link counts, that a listing is fresh, that any two clocks agree. Machines have names of
 * their own; containers need not.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Type } from '@sinclair/typebox';
import { JobError, UsageError } from '../errors.ts';
import type { Read } from '../storage/form.ts';
import { form, parseAs, textOf, wholeFrom } from '../storage/form.ts';
import type { SlurmTask } from './slurmTask.ts';
import { isEarlierLife, slurmTask } from './slurmTask.ts';
import { Watch } from './watch.ts';

/** What is claimed, and how. */
export interface ClaimKind {
  /** Its files are `NAME-0001.json` and so on. */
  readonly name: 'claim' | 'lock';
  /** Seconds of looking on without a sign of life after which an owner on another machine counts as gone. */
  readonly lapseSeconds: number;
  /** Whether the files stay when the claim is given up, as a count of the owners so far. */
  readonly kept: boolean;
}

/** Seconds between two signs of life. */
const HEARTBEAT_SECONDS = 5;

/**
 * `LRD_LAPSE_SECONDS`: how long an owner on another machine must be silent. Default 120: a shared file system may show a file's time a minute
 * late.
 */
export const LAPSE_SECONDS = ((): number => {
  const given = process.env['LRD_LAPSE_SECONDS'];
  if (given === undefined) return 120;
  const value = Number(given);
  if (value >= 2 * HEARTBEAT_SECONDS) return value;
  throw new UsageError(`LRD_LAPSE_SECONDS must be a number of at least ${2 * HEARTBEAT_SECONDS}, got ${JSON.stringify(given)}`);
})();

/** A cell of an experiment. */
const CELL: ClaimKind = { name: 'claim', lapseSeconds: LAPSE_SECONDS, kept: true };

/** Names in a claim come to terminals and are compared: a line of them at most, of signs that print. */
const NAME = textOf('^[^\\u0000-\\u001f\\u007f-\\u009f]{0,255}$', 'at most 255 characters that print');

const CLAIM_FILE = Type.Object({
  /** Tells this claim from every other: nobody reads it, but no two have the same text. */
  id: Type.Optional(NAME),
  host: NAME,
  /** 0 and what is below it name groups of processes, which are always there. */
  pid: Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
  /** When that process started: a process number is used again. Null where the system does not say. */
  started: Type.Union([NAME, Type.Null()]),
  /** The namespace that its number counts in: containers of one host have the host's name, and numbers of their own. */
  namespace: Type.Optional(NAME),
  task: Type.Optional(Type.Object({ cluster: NAME, job: NAME, name: NAME, life: wholeFrom(0), node: NAME })),
  released: Type.Optional(Type.Boolean()),
});

type ClaimFile = Read<typeof CLAIM_FILE>;
type Owner = Omit<ClaimFile, 'released'>;

const CLAIM = form('who works here', CLAIM_FILE);

/** Bytes of a claim, at most: what is longer is none. */
const LONGEST_CLAIM = 16_384;

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

/** Undefined where the system does not say. */
const pidNamespace = ((): string | undefined => {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
})();

/** Whether a process is one of this machine, so that the system can be asked for it. */
function isHere({ host, started, namespace }: Owner): boolean {
  if (host !== hostname()) return false;
  // Since another boot, which `started` ends with, no process lives on, whatever its namespace.
  return (namespace ?? pidNamespace) === pidNamespace || (started !== null && !started.endsWith(bootId));
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

const self = (): Owner => {
  const task = slurmTask();
  return {
    id: randomUUID(),
    host: hostname(),
    pid: process.pid,
    started: startOf(process.pid),
    ...(pidNamespace === undefined ? {} : { namespace: pidNamespace }),
    ...(task === undefined ? {} : { task }),
  };
};
const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
const fileOf = (folder: string, number: number, { name }: ClaimKind): string =>
  join(folder, `${name}-${String(number).padStart(4, '0')}.json`);

function numbersIn(folder: string, { name }: ClaimKind): number[] {
  const pattern = new RegExp(`^${name}-(\\d{4,12})\\.json$`);
  return readdirSync(folder).flatMap((file) => {
    const digits = pattern.exec(file)?.[1];
    return digits === undefined ? [] : [Number(digits)];
  });
}

const lastNumber = (folder: string, kind: ClaimKind): number => Math.max(0, ...numbersIn(folder, kind));

/** Makes this client of a shared file system list the folder as it is, not as it was a minute ago. */
function freshen(folder: string): void {
  const look = join(folder, `.look-${randomUUID()}`);
  try {
    writeFileSync(look, '');
    rmSync(look, { force: true });
  } catch {
    // A folder that cannot be written, or is gone: whoever lists it finds out.
  }
}

/** Who holds a folder. */
export interface Holder {
  /** In words. */
  readonly name: string;
  /** Whether it runs on this machine, which can say whether it lives. */
  readonly here: boolean;
  /** Changes while it lives. */
  readonly stamp: string;
  /** The file that says so, and how old it is by this machine's clock: below 0 where the other one's is ahead. */
  readonly path: string;
  readonly seconds: number;
  readonly task?: SlurmTask;
}

/** Opened and closed, never asked by name: what a shared file system remembers of a name may be a minute old. */
function readStamped(path: string): { readonly text: string; readonly stamp: string; readonly seconds: number } {
  // A pipe that somebody put in its place would be waited for.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    const { mtimeMs, size } = stats;
    const text = stats.isFile() && size <= LONGEST_CLAIM ? readFileSync(file, 'utf8') : '';
    return { text, stamp: `${mtimeMs} ${size}`, seconds: (Date.now() - mtimeMs) / 1000 };
  } finally {
    closeSync(file);
  }
}

function parseOwner(text: string): ClaimFile | undefined {
  try {
    return parseAs(text, CLAIM, 'a claim');
  } catch {
    return undefined;
  }
}

const WATCH = new Watch();

/** Who holds the folder by that file; undefined when its owner is gone, or gave it up. */
function holderOf(path: string, { lapseSeconds }: ClaimKind, watch: Watch): Holder | undefined {
  try {
    const { text, stamp, seconds } = readStamped(path);
    const owner = parseOwner(text);
    if (owner === undefined) {
      // Where there are no hard links, the content comes a moment after the file; and it may be anybody's file.
      const gone = watch.look(path, path, stamp, lapseSeconds);
      return gone ? undefined : { name: 'a process that has not said its number', here: false, stamp, path, seconds };
    }
    if (owner.released === true) return undefined;
    const { host, pid, started, task } = owner;
    const mine = slurmTask();
    if (task !== undefined && mine !== undefined && isEarlierLife(task, mine)) return undefined;
    const optional = { path, seconds, ...(task === undefined ? {} : { task }) };
    if (isHere(owner)) {
      return isRunning(owner) ? { name: `process ${pid}`, here: true, stamp, ...optional } : undefined;
    }
    if (watch.look(path, `${host} ${pid} ${started}`, stamp, lapseSeconds)) return undefined;
    const where = task === undefined ? host : `${task.node}, job ${task.name}`;
    return { name: `process ${pid} on ${where}`, here: false, stamp, ...optional };
  } catch (error) {
    // Given up since it was listed.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESTALE') return undefined;
    throw new JobError(`${path}: cannot be read (${(error as Error).message})`);
  }
}

/** How a folder is claimed now. `attempts` counts the claims so far. */
export type Holding =
  | { readonly state: 'free'; readonly attempts: number }
  | { readonly state: 'held'; readonly attempts: number; readonly holder: Holder };

/**
 * Reads who holds the folder. A claim that was given up, or whose owner is gone, leaves it free. An owner on another machine is gone when
 * this process has looked on for the kind's lapse and seen no sign of life: `watch` remembers from look to look.
 */
export function holding(folder: string, kind: ClaimKind = CELL, watch: Watch = WATCH): Holding {
  const number = lastNumber(folder, kind);
  const holder = number === 0 ? undefined : holderOf(fileOf(folder, number, kind), kind, watch);
  return holder === undefined ? { state: 'free', attempts: number } : { state: 'held', attempts: number, holder };
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

/**
 * A thread of its own keeps the sign of life going while the main one computes: the file's time, which only has to change, so it goes on
 * where the clock was set back. It ends with the process.
 */
function beat(path: string): Worker {
  const code = `const { utimesSync } = require('node:fs'); const { workerData } = require('node:worker_threads'); let last = 0;
    setInterval(() => { last = Math.max(last + 1, Date.now() / 1000); try { utimesSync(workerData.path, last, last); } catch {} }, workerData.every);`;
  const worker = new Worker(code, { eval: true, execArgv: [], workerData: { path, every: HEARTBEAT_SECONDS * 1000 } });
  worker.unref();
  return worker;
}

/** Makes a file with its content, which no other has, unless it is there. Returns whether it did. */
function createWhole(path: string, text: string, draft: string): boolean {
  try {
    writeFileSync(draft, text);
    try {
      linkSync(draft, path);
    } catch (error) {
      // A file system without hard links (exFAT): still one of all makes the file.
      if (codeOf(error) === 'EEXIST') throw error;
      writeFileSync(path, text, { flag: 'wx' });
    }
    return true;
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw new JobError(`${path}: cannot be made (${(error as Error).message})`);
    // An answer of the file server may be lost, and the question asked again: then it is there since this process made it.
    return contentIs(path, text);
  } finally {
    rmSync(draft, { force: true });
  }
}

function contentIs(path: string, text: string): boolean {
  try {
    return readStamped(path).text === text;
  } catch {
    return false;
  }
}

/** Removes a file, unless it is gone. `rmSync` tries a folder's way where it may not, and says what it met there. */
function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** Takes the folder when it is free. Undefined when another process has it. */
export function takeClaim(folder: string, kind: ClaimKind = CELL, watch: Watch = WATCH): Claim | undefined {
  if (holding(folder, kind, watch).state === 'held') return undefined;
  freshen(folder);
  const held = holding(folder, kind, watch);
  if (held.state === 'held') return undefined;
  const number = held.attempts + 1;
  const path = fileOf(folder, number, kind);
  const draft = join(folder, `.${kind.name}-${randomUUID()}`);
  const owner = self();
  const text = `${JSON.stringify(owner)}\n`;
  if (!createWhole(path, text, draft)) return undefined;
  // Where files are removed, numbers begin again: another may have made a higher or a lower one at this moment. Both see the other's.
  const others = (): number[] => numbersIn(folder, kind).filter((other) => other !== number);
  if (!kind.kept && others().some((other) => holderOf(fileOf(folder, other, kind), kind, watch) !== undefined)) {
    rmSync(path, { force: true });
    return undefined;
  }
  const worker = beat(path);
  const stillHeld = (): boolean => {
    freshen(folder);
    try {
      return lastNumber(folder, kind) === number && contentIs(path, text);
    } catch (error) {
      // The folder is gone, or is none any more.
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return false;
      throw error;
    }
  };
  return {
    attempt: number,
    stillHeld,
    release: async () => {
      await worker.terminate();
      if (kind.kept) {
        writeFileSync(draft, `${JSON.stringify({ ...owner, released: true })}\n`);
        renameSync(draft, path);
      } else if (stillHeld()) {
        for (const other of others()) remove(fileOf(folder, other, kind));
        remove(path);
      }
    },
  };
}
