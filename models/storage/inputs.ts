/** Files of other people, looked at before they are opened: nothing here waits for a pipe, reads a device or takes more than it was told. */
import { closeSync, constants, fstatSync, openSync, readSync, statSync, statfsSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { JobError } from '../errors.ts';
import { pieceBytes } from './pieces.ts';

/** What the kernel makes up when it is read, without a size and without an end (Linux, statfs(2)). */
const MADE_UP: readonly number[] = [0x9fa0, 0x62656572];

/** The system's codes in words that need no manual. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EISDIR: 'is a folder, not a file',
  ELOOP: 'a loop of symbolic links',
  ENAMETOOLONG: 'a name that is too long',
  ENOSPC: 'the disk is full',
  EROFS: 'the file system is read-only',
  ENXIO: 'a pipe that nobody reads',
};

/** What the system said, in words. */
export function inWords(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : (WORDS[code] ?? code);
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  return stats.isFile() ? 'a file' : 'a device';
}

/** What is wrong with a path that must be a file of its own, behind links; undefined where it is one. */
function fault(path: string, stats: Stats): string | undefined {
  if (!stats.isFile()) return `is ${kindOf(stats)}, not a file`;
  if (process.platform === 'linux' && MADE_UP.includes(statfsSync(path).type)) {
    return 'is made up by the kernel when it is read, not a file';
  }
  return undefined;
}

/**
 * Checks that a path is a regular file, or a folder, without opening it. Throws a `JobError` that names it.
 *
 * @param name what messages call it; default: the path
 */
export function checkInput(path: string, kind: 'file' | 'folder', name: string = path): void {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    throw new JobError(`${name}: ${inWords(error)}`);
  }
  const wrong =
    kind === 'file' ? fault(path, stats) : stats.isDirectory() ? undefined : `is ${kindOf(stats)}, not a folder`;
  if (wrong !== undefined) throw new JobError(`${name}: ${wrong}`);
}

/** A file that is open for reading. */
export interface Input {
  /** In bytes. */
  readonly size: number;
  /** Reads `into.length` bytes from a place in the file. Throws a `JobError` where it ends before. */
  read(into: Uint8Array, at: number): void;
  close(): void;
}

/** Opens a regular file. Throws a `JobError` that names it; nothing else is opened. */
export function openInput(path: string, name: string = path): Input {
  checkInput(path, 'file', name);
  let file: number;
  try {
    // Should it have become a pipe since it was looked at, it is not waited for.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw new JobError(`${name}: cannot be read (${inWords(error)})`);
  }
  const stats = fstatSync(file);
  if (!stats.isFile()) {
    closeSync(file);
    throw new JobError(`${name}: is ${kindOf(stats)}, not a file`);
  }
  return {
    size: stats.size,
    read: (into, at) => {
      for (let done = 0; done < into.length;) {
        let count: number;
        try {
          count = readSync(file, into, done, Math.min(pieceBytes(), into.length - done), at + done);
        } catch (error) {
          throw new JobError(`${name}: cannot be read (${inWords(error)})`);
        }
        if (count === 0) throw new JobError(`${name}: ends after ${at + done} bytes`);
        done += count;
      }
    },
    close: () => closeSync(file),
  };
}

/** 1234567 -> "1.2 MB". */
export function megabytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/**
 * Reads a regular file of at most `limit` bytes. Throws a `JobError` that names it, and what it is where it is something else.
 *
 * @param name what messages call it; default: the path
 */
export function readInput(path: string, limit: number, name: string = path): Buffer {
  const input = openInput(path, name);
  try {
    if (input.size > limit) {
      throw new JobError(`${name}: has ${megabytes(input.size)}, such a file has at most ${megabytes(limit)}`);
    }
    const bytes = Buffer.allocUnsafeSlow(input.size);
    input.read(bytes, 0);
    return bytes;
  } finally {
    input.close();
  }
}

/** The first bytes of a regular file, fewer where it ends before. Throws a `JobError` that names it. */
export function readStart(path: string, count: number): Buffer {
  const input = openInput(path);
  try {
    const bytes = Buffer.alloc(Math.min(count, input.size));
    input.read(bytes, 0);
    return bytes;
  } finally {
    input.close();
  }
}
