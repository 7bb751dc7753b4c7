import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { JobError } from '../errors.ts';
import { inWords } from './inputs.ts';
import { pieceBytes } from './pieces.ts';

/** Milliseconds after which a pipe is tried again that was full. */
const PIPE_PAUSE = 5;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(file, bytes, at, Math.min(pieceBytes(), bytes.length - at));
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_PAUSE);
    }
  }
}

function refuse(path: string, error: unknown): JobError {
  return error instanceof JobError ? error : new JobError(`${path}: cannot be written (${inWords(error)})`);
}

function statOf(path: string, look: (path: string) => Stats): Stats | undefined {
  try {
    return look(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Links that are followed from one to the next, at most, as Linux does. */
const LINKS = 40;

/** The place that a path means behind symbolic links, whether there is a file or not. */
function behindLinks(path: string): string {
  let at = resolve(path);
  for (let k = 0; k < LINKS; k++) {
    if (statOf(at, lstatSync)?.isSymbolicLink() !== true) return at;
    at = resolve(dirname(at), readlinkSync(at));
  }
  throw new JobError(`${path}: cannot be written (a loop of symbolic links)`);
}

/** A file under way: written into a neighbour of its own, which takes the file's place in the end. */
export interface Draft {
  write(bytes: Uint8Array): void;
  /** Writes over what was written before. */
  rewrite(bytes: Uint8Array, at: number): void;
  /** Flushes it to the disk and puts it in its place. */
  keep(): void;
  /** Takes it away; nothing after `keep`. */
  drop(): void;
}

/** What drafts of a file are called: never what a user would call a file. */
const draftOf = (target: string, id: string): string => join(dirname(target), `.${basename(target)}.${id}.part`);

/**
 * Begins a file that a crash or a power failure at any moment leaves old or new, whole. A symbolic link is followed, and the file behind
 * it replaced. What is no regular file (a device, a pipe) is written into instead, since nothing can take its place. Throws a `JobError`.
 */
export function beginFile(path: string): Draft {
  try {
    const stats = statOf(path, statSync);
    if (stats?.isDirectory() === true) throw new JobError(`${path}: cannot be written (is a folder, not a file)`);
    return stats === undefined || stats.isFile() ? draft(path, behindLinks(path)) : into(path);
  } catch (error) {
    throw refuse(path, error);
  }
}

function draft(path: string, target: string): Draft {
  const part = draftOf(target, randomUUID());
  const file = openSync(part, 'wx', 0o666);
  let open = true;
  const close = (): void => {
    if (open) closeSync(file);
    open = false;
  };
  const careful = (job: () => void): void => {
    try {
      job();
    } catch (error) {
      throw refuse(path, error);
    }
  };
  return {
    write: (bytes) => careful(() => writeAll(file, bytes)),
    rewrite: (bytes, at) => careful(() => void writeSync(file, bytes, 0, bytes.length, at)),
    keep: () =>
      careful(() => {
        fsyncSync(file);
        close();
        renameSync(part, target);
        flushFolder(dirname(target));
      }),
    drop: () => {
      close();
      rmSync(part, { force: true });
    },
  };
}

/** A pipe whose reader has gone is refused, not waited for. */
function into(path: string): Draft {
  const file = openSync(path, constants.O_WRONLY | (constants.O_NONBLOCK ?? 0));
  const pieces: Buffer[] = [];
  return {
    write: (bytes) => void pieces.push(Buffer.from(bytes)),
    rewrite: (bytes, at) => {
      const whole = Buffer.concat(pieces.splice(0));
      whole.set(bytes, at);
      pieces.push(whole);
    },
    keep: () => {
      try {
        for (const piece of pieces) writeAll(file, piece);
      } catch (error) {
        throw refuse(path, error);
      } finally {
        closeSync(file);
        pieces.length = 0;
      }
    },
    drop: () => undefined,
  };
}

/**
 * Writes a file so that a crash or a power failure at any moment leaves the old one or the new one, whole: into a neighbour first,
 * flushed to the disk, then renamed. Throws a `JobError` (a full disk, say) and leaves the old file as it was.
 */
export function writeWhole(path: string, content: string | readonly Uint8Array[]): void {
  const file = beginFile(path);
  try {
    for (const piece of typeof content === 'string' ? [Buffer.from(content)] : content) file.write(piece);
    file.keep();
  } catch (error) {
    dropQuietly(file);
    throw error;
  }
}

/** Finds out whether a file could be written, and leaves everything as it is. Throws a `JobError`. */
export function checkWritable(path: string): void {
  let stats: Stats | undefined;
  try {
    stats = statOf(path, statSync);
  } catch (error) {
    throw refuse(path, error);
  }
  // A pipe or a device is not opened before there is something to write.
  if (stats === undefined || stats.isFile() || stats.isDirectory()) beginFile(path).drop();
}

/** What went wrong first is what is told. */
export function dropQuietly(file: Draft): void {
  try {
    file.drop();
  } catch {
    // The folder is gone, or cannot be written any more.
  }
}

/** Removes what killed processes have left of a file under way. Only for whoever alone writes that file. */
export function removeDrafts(path: string): void {
  const name = basename(path);
  for (const found of readdirSync(dirname(path))) {
    if (found.startsWith(`.${name}.`) && found.endsWith('.part')) rmSync(join(dirname(path), found), { force: true });
  }
}

/**
 * Makes a folder, with those above it that are not there. Node's own `recursive` never returns where the system denies a folder that it lists, as
 * in /proc. Throws a `JobError`: `name` is what it calls the folder, by default its path.
 */
export function makeFolders(path: string, name: string = path): void {
  try {
    const missing: string[] = [];
    for (let at = resolve(path); statOf(at, statSync) === undefined; at = dirname(at)) missing.push(at);
    for (const folder of missing.reverse()) {
      try {
        mkdirSync(folder);
      } catch (error) {
        // Another process was faster.
        if (codeOf(error) !== 'EEXIST') throw error;
      }
    }
    if (!statSync(path).isDirectory()) throw new JobError(`${name}: cannot be made (there is a file of that name)`);
  } catch (error) {
    throw error instanceof JobError ? error : new JobError(`${name}: cannot be made (${inWords(error)})`);
  }
}

/** Makes a folder in one that must be there. Throws a `JobError` where it cannot be made. */
export function makeFolderIn(folder: string, name: string): void {
  const path = join(folder, name);
  try {
    if (statOf(path, statSync) !== undefined) return;
    mkdirSync(path);
    flushFolder(folder);
  } catch (error) {
    throw new JobError(`${path}: cannot be made (${inWords(error)})`);
  }
}

/** Makes what was renamed or made in a folder outlast a power failure. Windows cannot open a folder, and does not need it. */
export function flushFolder(path: string): void {
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Adds a line to a regular file, which must be there, flushed to the disk. Throws a `JobError` and takes half a line back when it does not fit. */
export function appendLine(path: string, line: string): void {
  try {
    const file = openSync(path, constants.O_WRONLY | constants.O_APPEND | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = fstatSync(file);
      if (!stats.isFile()) throw new JobError(`${path}: cannot be written (it is no longer a file)`);
      try {
        writeAll(file, Buffer.from(`${line}\n`));
      } catch (error) {
        ftruncateSync(file, stats.size);
        throw error;
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw refuse(path, error);
  }
}
