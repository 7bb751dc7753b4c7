import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { sizeOf } from 'learning-rate-dropout/internal';
import { JobError } from '../errors.ts';

const inflate = promisify(gunzip);

/** What an idx file of MNIST's kind must hold: extents after the count are [height, width], or none for labels. */
export interface IdxExpectation {
  readonly count: number;
  readonly extents: readonly number[];
}

/**
 * Reads an idx file of unsigned bytes (LeCun's format: big-endian magic 0x0000 08 rank, the extents, the data), gzipped or not.
 * Throws a `JobError` that names the file and the expected size when anything is off.
 */
export async function readIdx(path: string, expected: IdxExpectation): Promise<Uint8Array> {
  const shape = [expected.count, ...expected.extents];
  const header = 4 + 4 * shape.length;
  const size = header + sizeOf(shape);
  const wanted = `expected ${size} bytes of ${shape.join(' x ')}${path.endsWith('.gz') ? ' once unpacked' : ''}`;
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code}); ${wanted}`);
  }
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      // More than the set's published size is never unpacked.
      bytes = await inflate(bytes, { maxOutputLength: size + 1 });
    } catch (error) {
      throw new JobError(`${path}: the gzip stream is broken (${(error as Error).message}); ${wanted}`);
    }
  } else if (path.endsWith('.gz')) {
    throw new JobError(`${path}: not a gzip file; ${wanted}`);
  }
  const magic = 0x0800 + shape.length;
  if (bytes.length < header) throw new JobError(`${path}: ${bytes.length} bytes; ${wanted}`);
  const found = bytes.readUInt32BE(0);
  if (found !== magic) {
    throw new JobError(
      `${path}: magic number 0x${found.toString(16).padStart(8, '0')} instead of 0x0000${magic.toString(16).padStart(4, '0')}; ${wanted}`,
    );
  }
  const extents = shape.map((_, axis) => bytes.readUInt32BE(4 + 4 * axis));
  if (extents.some((extent, axis) => extent !== shape[axis])) {
    throw new JobError(`${path}: its header says ${extents.join(' x ')}; ${wanted}`);
  }
  if (bytes.length !== size) throw new JobError(`${path}: ${bytes.length} bytes; ${wanted}`);
  return bytes.subarray(header);
}
