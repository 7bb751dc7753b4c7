import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { JobError } from '../errors.ts';

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function refuse(path: string, error: unknown): JobError {
  return new JobError(`${path}: cannot be written (${(error as Error).message})`);
}

/**
 * Writes a file so that a crash or a power failure at any moment leaves the old one or the new one, whole: into a neighbour first,
 * flushed to the disk, then renamed. Throws a `JobError` (a full disk, say) and leaves the old file as it was.
 */
export function writeWhole(path: string, content: string | readonly Uint8Array[]): void {
  const part = `${path}.part`;
  let opened = false;
  try {
    const file = openSync(part, 'w');
    opened = true;
    try {
      for (const piece of typeof content === 'string' ? [Buffer.from(content)] : content) writeAll(file, piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
    flushFolder(dirname(path));
  } catch (error) {
    if (opened && existsSync(part)) rmSync(part, { force: true });
    throw refuse(path, error);
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

/** Adds a line to a file, flushed to the disk. Throws a `JobError` and takes half a line back when it does not fit. */
export function appendLine(path: string, line: string): void {
  try {
    const file = openSync(path, 'a');
    try {
      const { size } = fstatSync(file);
      try {
        writeAll(file, Buffer.from(`${line}\n`));
      } catch (error) {
        ftruncateSync(file, size);
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
