/**
 * The safetensors format (huggingface/safetensors, README "Format"): 8 bytes of header length, a JSON header, then the data.
 * Float32 and int32 only: what checkpoints hold.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { sizeOf } from '../../impl-gpu/shape.ts';
import { JobError } from '../errors.ts';

/** A tensor on the host, row-major. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array | Int32Array;
}

export interface Archive {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** The format's `__metadata__`: strings by name. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const BYTES = 4;
const DTYPES = { F32: Float32Array, I32: Int32Array } as const;

/** The bytes of an archive, as pieces that are written one after the other. */
function encode({ tensors, metadata }: Archive): Uint8Array[] {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: metadata };
  const data: Uint8Array[] = [];
  for (const [name, { shape, values }] of tensors) {
    const dtype = values instanceof Float32Array ? 'F32' : 'I32';
    header[name] = { dtype, shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
    data.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  const text = Buffer.from(JSON.stringify(header));
  // Spaces up to a multiple of 8, as the format recommends, so that the data is aligned.
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return [length, padded, ...data];
}

/**
 * Writes an archive so that a crash at any moment leaves the old file or the new one, whole: into a neighbour first, flushed to
 * the disk, then renamed. Throws a `JobError` (a full disk, say) and leaves the old file as it was.
 */
export function writeArchive(path: string, archive: Archive): void {
  const part = `${path}.part`;
  let opened = false;
  try {
    const file = openSync(part, 'w');
    opened = true;
    try {
      for (const piece of encode(archive)) {
        for (let at = 0; at < piece.length;) at += writeSync(file, piece, at);
      }
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(part, path);
    const folder = openSync(dirname(path), 'r');
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    if (opened) rmSync(part, { force: true });
    throw new JobError(`${path}: cannot be written (${(error as Error).message}); the checkpoint before is kept`);
  }
}

/** Reads an archive. Throws a `JobError` that names the file and what is wrong with it. */
export function readArchive(path: string): Archive {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new JobError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const broken = (what: string): JobError => new JobError(`${path}: not a safetensors file that can be used: ${what}`);
  if (bytes.length < 8) throw broken(`${bytes.length} bytes`);
  const length = Number(bytes.readBigUInt64LE(0));
  if (length > bytes.length - 8) throw broken(`its header is said to be ${length} bytes, the file has ${bytes.length}`);
  let header: Record<string, Entry>;
  try {
    header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, Entry>;
  } catch {
    throw broken('its header is not JSON');
  }
  const { __metadata__: metadata = {}, ...entries } = header as Record<string, Entry> & {
    __metadata__?: Record<string, string>;
  };
  const start = 8 + length;
  const tensors = Object.entries(entries).map(([name, { dtype, shape, data_offsets }]): [string, HostTensor] => {
    const [from, to] = data_offsets;
    const size = sizeOf(shape);
    if (dtype !== 'F32' && dtype !== 'I32') throw broken(`tensor ${name} is of type ${dtype}; F32 and I32 are read`);
    if (to - from !== size * BYTES || from < 0 || start + to > bytes.length) {
      throw broken(
        `tensor ${name} of shape [${shape.join(', ')}] has bytes ${from} to ${to} of ${bytes.length - start}`,
      );
    }
    // A copy: the data need not be aligned in the file, and the file's buffer can go.
    const data = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to) as ArrayBuffer;
    return [name, { shape, values: new DTYPES[dtype](data) }];
  });
  return { tensors: new Map(tensors), metadata };
}
