import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { crc32, createGunzip } from 'node:zlib';
import type { ReadEntry } from 'tar';
import { Parser } from 'tar';
import * as yauzl from 'yauzl';
import { JobError } from '../../errors.ts';
import { isDropping } from '../listing.ts';

/** Bounds on what an archive may unpack to. */
export interface UnpackLimits {
  readonly bytes: number;
  readonly files: number;
}

/** A file that was unpacked; `path` is relative, with slashes. */
export interface Unpacked {
  readonly path: string;
  readonly sha256: string;
}

/** What came of an archive. */
export interface Unpacking {
  readonly files: readonly Unpacked[];
  /** Files of the system that the archive was made on, which were not unpacked (`._a.jpg`, `__MACOSX/`, `Thumbs.db`). */
  readonly passedOver: number;
}

/**
 * A name in an archive as a path below the folder that it is unpacked to. Throws unless it is a plain relative path: nothing absolute,
 * no "..", no drive, no backslash, no control character.
 */
export function entryPath(name: string): string {
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.');
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const strange = /[\u0000-\u001f\\]/.test(name) || name.startsWith('/') || /^[a-z]:/i.test(name);
  const long = name.length > 1024 || segments.some((segment) => Buffer.byteLength(segment) > 255);
  if (strange || long || segments.includes('..') || segments.length === 0) {
    throw new JobError(
      `the archive has an entry ${JSON.stringify(name.slice(0, 100))}, which is no path below a folder`,
    );
  }
  return segments.join('/');
}

/** Writes what an archive holds, within its limits, and remembers what it wrote. */
class Writer {
  readonly #into: string;
  readonly #limits: UnpackLimits;
  readonly #written: Unpacked[] = [];
  #entries = 0;
  #passedOver = 0;
  #bytes = 0;

  constructor(into: string, limits: UnpackLimits) {
    this.#into = into;
    this.#limits = limits;
    mkdirSync(into, { recursive: true });
  }

  get unpacking(): Unpacking {
    return { files: this.#written, passedOver: this.#passedOver };
  }

  /** Whether an entry is none of the user's; it counts all the same. */
  passesOver(name: string): boolean {
    if (!name.split('/').some(isDropping)) return false;
    this.#count();
    this.#passedOver += 1;
    return true;
  }

  #count(): void {
    this.#entries += 1;
    // Folders count too, and there are fewer of them than files.
    if (this.#entries > 2 * this.#limits.files) {
      throw new JobError(`the archive has more than ${2 * this.#limits.files} entries`);
    }
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#limits.bytes) {
      throw new JobError(`the archive unpacks to more than ${this.#limits.bytes.toLocaleString('en')} bytes`);
    }
  }

  folder(name: string): void {
    this.#count();
    // The folder itself: "./", as many tools begin.
    if (/^\.\/*$/.test(name)) return;
    this.#make(entryPath(name));
  }

  #make(path: string): void {
    try {
      mkdirSync(join(this.#into, path), { recursive: true, mode: 0o755 });
    } catch (error) {
      throw new JobError(`${path}: cannot be made (${(error as NodeJS.ErrnoException).code})`);
    }
  }

  /** Opens a file that must not be there yet: links cannot be made, so nothing leads out of the folder. */
  file(name: string): { write: (chunk: Buffer) => void; close: () => void; abandon: () => void } {
    this.#count();
    const path = entryPath(name);
    this.#make(dirname(path));
    let handle: number;
    try {
      handle = openSync(join(this.#into, path), 'wx', 0o644);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new JobError(code === 'EEXIST' ? `the archive has ${path} twice` : `${path}: cannot be made (${code})`);
    }
    const hash: Hash = createHash('sha256');
    return {
      write: (chunk) => {
        this.#take(chunk.length);
        hash.update(chunk);
        try {
          for (let at = 0; at < chunk.length;) at += writeSync(handle, chunk, at);
        } catch (error) {
          throw new JobError(`${join(this.#into, path)}: cannot be written (${(error as NodeJS.ErrnoException).code})`);
        }
      },
      close: () => {
        closeSync(handle);
        this.#written.push({ path, sha256: hash.digest('hex') });
      },
      abandon: () => closeSync(handle),
    };
  }
}

const KINDS: Readonly<Record<string, string>> = {
  Link: 'a hard link',
  SymbolicLink: 'a symbolic link',
  CharacterDevice: 'a device',
  BlockDevice: 'a device',
  FIFO: 'a pipe',
};

const isGzip = async (path: string): Promise<boolean> => {
  for await (const chunk of createReadStream(path, { end: 1 })) return (chunk as Buffer).readUInt16BE(0) === 0x1f8b;
  return false;
};

/**
 * Unpacks a tar archive, gzipped or not: regular files and folders, and nothing else. Throws a `JobError` for an entry of another kind
 * or with a path that leads elsewhere, for one that comes twice, for more than the limits, and for a broken archive; what was
 * unpacked until then is the caller's to remove.
 */
export async function unpackTar(archive: string, into: string, limits: UnpackLimits): Promise<Unpacking> {
  const writer = new Writer(into, limits);
  let failure: Error | undefined;
  let abandon: (() => void) | undefined;
  const guard = (work: () => void): void => {
    if (failure !== undefined) return;
    try {
      work();
    } catch (error) {
      failure = error as Error;
    }
  };
  const onReadEntry = (entry: ReadEntry): void => {
    guard(() => {
      const { type, path } = entry;
      if (writer.passesOver(path)) {
        entry.resume();
        return;
      }
      if (type === 'Directory' || type === 'GNUDumpDir') writer.folder(path);
      else if (type === 'File' || type === 'OldFile' || type === 'ContiguousFile') {
        const file = writer.file(path);
        ({ abandon } = file);
        entry.on('data', (chunk) => guard(() => file.write(Buffer.from(chunk))));
        entry.on('end', () => {
          guard(file.close);
          abandon = undefined;
        });
        return;
      } else {
        throw new JobError(
          `the archive has ${KINDS[type] ?? `an entry of type ${type}`} ${JSON.stringify(path)}; files and folders only`,
        );
      }
    });
    entry.resume();
  };
  const parser = new Parser({ strict: true, onReadEntry });
  parser.on('error', (error: Error) => {
    failure ??= new JobError(`the archive is broken (${error.message})`);
  });
  let ended = false;
  parser.on('eof', () => {
    ended = true;
  });
  const plain = createReadStream(archive, { highWaterMark: 1 << 20 });
  const bytes: Readable = (await isGzip(archive)) ? plain.pipe(createGunzip()) : plain;
  plain.on('error', (error) => bytes.destroy(error));
  // Headers and padding come on top of what is written: an archive of nothing but those is a bomb too.
  const most = limits.bytes + 4096 * limits.files + (1 << 20);
  let read = 0;
  try {
    for await (const chunk of bytes) {
      read += (chunk as Buffer).length;
      if (read > most)
        failure ??= new JobError(`the archive unpacks to more than ${limits.bytes.toLocaleString('en')} bytes`);
      // What follows the end is padding: the parser takes ever longer for each block of it.
      if (!ended) guard(() => parser.write(chunk as Buffer));
      if (failure !== undefined) throw failure;
    }
    parser.end();
    if (failure !== undefined) throw failure;
  } catch (error) {
    if (error instanceof JobError) throw new JobError(`${archive}: ${error.message}`);
    throw new JobError(`${archive}: the archive is broken (${(error as Error).message})`);
  } finally {
    plain.destroy();
    abandon?.();
  }
  return writer.unpacking;
}

/** The kind of file that a zip entry made on Unix is, from the high half of its attributes; 0 where it does not say. */
const unixType = (entry: yauzl.Entry): number => (entry.externalFileAttributes >>> 16) & 0o170000;

/** Unpacks a zip archive under the same rules; its check sums must hold. */
export async function unpackZip(archive: string, into: string, limits: UnpackLimits): Promise<Unpacking> {
  const writer = new Writer(into, limits);
  let zip: yauzl.ZipFile | undefined;
  try {
    // Windows' own packer wrote backslashes for years: they are slashes, and what they lead to is checked.
    zip = await yauzl.openPromise(archive);
    for await (const entry of zip.eachEntry()) {
      const { fileName } = entry;
      if (writer.passesOver(fileName)) continue;
      const type = unixType(entry);
      const folder = fileName.endsWith('/');
      if (type !== 0 && type !== (folder ? 0o040000 : 0o100000)) {
        const kind = type === 0o120000 ? 'a symbolic link' : 'a special file';
        throw new JobError(`the archive has ${kind} ${JSON.stringify(fileName)}; files and folders only`);
      }
      if (folder) {
        writer.folder(fileName);
        continue;
      }
      const file = writer.file(fileName);
      let sum = 0;
      try {
        for await (const chunk of await zip.openReadStreamPromise(entry)) {
          sum = crc32(chunk as Buffer, sum);
          file.write(chunk as Buffer);
        }
        if (sum !== entry.crc32) throw new JobError(`the check sum of ${fileName} does not hold`);
      } catch (error) {
        file.abandon();
        throw error;
      }
      file.close();
    }
  } catch (error) {
    if (error instanceof JobError) throw new JobError(`${archive}: ${error.message}`);
    throw new JobError(`${archive}: the archive is broken (${(error as Error).message})`);
  } finally {
    zip?.close();
  }
  return writer.unpacking;
}
