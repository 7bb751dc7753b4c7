/** Single files out of an archive, into memory: what a set of a few binary files needs where it was never unpacked. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Parser } from 'tar';
import * as yauzl from 'yauzl';
import { JobError } from '../errors.ts';
import { checkInput, readStart } from '../storage/inputs.ts';

/** Bounds on what is read. */
export interface MemberLimits {
  /** Of one file that is wanted. */
  readonly bytes: number;
  /** Of the whole archive, unpacked. */
  readonly total: number;
}

/** Whether a file looks like an archive by its name. */
export function isArchiveName(name: string): boolean {
  return /\.(zip|tar|tar\.gz|tgz)$/i.test(name);
}

const lastName = (path: string): string => path.split(/[/\\]/).at(-1) ?? '';

/** A chunk at a time, so that nothing is asked for that was refused. */
async function* fromTar(
  path: string,
  wanted: (name: string) => boolean,
  { bytes: largest, total }: MemberLimits,
): AsyncGenerator<readonly [string, Buffer]> {
  // prettier-ignore
  const plain = createReadStream(path, { highWaterMark: 1 << 20 });
  const gzipped = readStart(path, 2).equals(Buffer.from([0x1f, 0x8b]));
  const unpacked: Readable = gzipped ? plain.pipe(createGunzip()) : plain;
  plain.on('error', (error) => unpacked.destroy(error));
  const done: (readonly [string, Buffer])[] = [];
  let failure: Error | undefined;
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry) => {
      const name = lastName(entry.path);
      const isFile = ['File', 'OldFile', 'ContiguousFile'].includes(entry.type);
      if (!isFile || !wanted(name)) {
        entry.resume();
        return;
      }
      if (entry.size > largest) failure ??= new JobError(`${name} in it has ${entry.size} bytes; at most ${largest} expected`); // prettier-ignore
      const chunks: Buffer[] = [];
      entry.on('data', (chunk) => failure ?? chunks.push(Buffer.from(chunk)));
      entry.on('end', () => done.push([name, Buffer.concat(chunks)]));
    },
  });
  parser.on('error', (error: Error) => (failure ??= error));
  let ended = false;
  parser.on('eof', () => {
    ended = true;
  });
  let read = 0;
  try {
    for await (const chunk of unpacked) {
      read += (chunk as Buffer).length;
      if (read > total) throw new JobError(`it unpacks to more than ${total.toLocaleString('en')} bytes`);
      // What follows the end is padding: the parser takes ever longer for each block of it.
      if (!ended) parser.write(chunk as Buffer);
      if (failure !== undefined) throw failure;
      yield* done.splice(0);
    }
    parser.end();
    if (failure !== undefined) throw failure;
    yield* done;
  } finally {
    plain.destroy();
    unpacked.destroy();
  }
}

async function* fromZip(
  path: string,
  wanted: (name: string) => boolean,
  { bytes: largest }: MemberLimits,
): AsyncGenerator<readonly [string, Buffer]> {
  // prettier-ignore
  const zip = await yauzl.openPromise(path);
  try {
    for await (const entry of zip.eachEntry()) {
      const name = lastName(entry.fileName);
      if (!wanted(name)) continue;
      if (entry.uncompressedSize > largest) {
        throw new JobError(`${name} in it has ${entry.uncompressedSize} bytes; at most ${largest} expected`);
      }
      const chunks: Buffer[] = [];
      for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
      yield [name, Buffer.concat(chunks)];
    }
  } finally {
    zip.close();
  }
}

/**
 * Reads the files of a .zip, .tar or .tar.gz whose last name is wanted, the first of each name. Throws a `JobError` that names the archive for one that
 * is broken, or larger than the limits.
 */
export async function readMembers(
  path: string,
  wanted: (name: string) => boolean,
  limits: MemberLimits,
): Promise<Map<string, Buffer>> {
  checkInput(path, 'file');
  const zipped = readStart(path, 2).toString('latin1') === 'PK';
  const files = new Map<string, Buffer>();
  const missing = (name: string): boolean => wanted(name) && !files.has(name);
  try {
    for await (const [name, bytes] of (zipped ? fromZip : fromTar)(path, missing, limits)) files.set(name, bytes);
  } catch (error) {
    throw new JobError(
      error instanceof JobError
        ? `${path}: ${error.message}`
        : `${path}: the archive is broken (${(error as Error).message})`,
    );
  }
  return files;
}
