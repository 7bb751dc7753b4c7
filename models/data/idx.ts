import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { sizeOf } from 'learning-rate-dropout/internal';
import { JobError } from '../errors.ts';
import { readInput } from '../storage/inputs.ts';

const inflate = promisify(gunzip);

/** What an idx file of MNIST's kind must hold: extents after the count are [height, width], or none for labels. */
export interface IdxExpectation {
  readonly count: number;
  readonly extents: readonly number[];
}

/**
 * Reads an idx file of unsigned bytes (LeCun's format: big-endian magic 0x0000 08 rank, the extents, the data), gzipped or not, whatever
 * its name says: browsers unpack what they download and leave the name. Throws a `JobError` that names the file and the expected size
 * when anything is off.
 */
export async function readIdx(path: string, expected: IdxExpectation): Promise<Uint8Array> {
  const { wanted, size } = describe(path, expected);
  let bytes: Buffer;
  try {
    // What does not shrink is stored, with five bytes to each 65,535.
    bytes = readInput(path, size + 2 ** 16 + Math.ceil(size / 1000));
  } catch (error) {
    throw error instanceof JobError ? new JobError(`${error.message}; ${wanted}`) : error;
  }
  return parseIdx(bytes, path, expected);
}

function describe(path: string, { count, extents }: IdxExpectation): { shape: number[]; size: number; wanted: string } {
  const shape = [count, ...extents];
  const size = 4 + 4 * shape.length + sizeOf(shape);
  return {
    shape,
    size,
    wanted: `expected ${size} bytes of ${shape.join(' x ')}${/\.gz$/i.test(path) ? ' once unpacked' : ''}`,
  };
}

/** As `readIdx`, of bytes that are in memory. */
export async function parseIdx(packed: Buffer, path: string, expected: IdxExpectation): Promise<Uint8Array> {
  const { shape, size, wanted } = describe(path, expected);
  const header = 4 + 4 * shape.length;
  let bytes = packed;
  const isPacked = (): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (isPacked()) {
    try {
      // More than the set's published size is never unpacked. Servers pack what is packed once more, and not every program notices.
      for (let layer = 0; layer < 2 && isPacked(); layer++) {
        bytes = await inflate(bytes, { maxOutputLength: size + 2 ** 16 });
      }
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const what = code === 'ERR_BUFFER_TOO_LARGE' ? 'unpacks to more' : `the gzip stream is broken (${message})`;
      throw new JobError(`${path}: ${what}; ${wanted}`);
    }
  } else if (/\.gz$/i.test(path) && (bytes[0] !== 0 || bytes[1] !== 0)) {
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
