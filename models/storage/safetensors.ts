/**
 * The safetensors format (huggingface/safetensors, README "Format"): 8 bytes of header length, a JSON header, then the data.
 * Checkpoints hold float32 and int32; what other programs write in other types of numbers is read as one of these.
 */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { sizeOf } from 'learning-rate-dropout/internal';
import { JobError } from '../errors.ts';
import { writeWhole } from './files.ts';

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

/** Float16 by its bits (IEEE 754 binary16). */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

interface Dtype {
  readonly bytes: number;
  readonly read: (data: ArrayBuffer) => HostTensor['values'];
}

const DTYPES: Readonly<Record<string, Dtype>> = {
  F32: { bytes: 4, read: (data) => new Float32Array(data) },
  F64: { bytes: 8, read: (data) => Float32Array.from(new Float64Array(data)) },
  F16: { bytes: 2, read: (data) => Float32Array.from(new Uint16Array(data), half) },
  BF16: {
    bytes: 2,
    read: (data) => new Float32Array(Uint32Array.from(new Uint16Array(data), (bits) => bits << 16).buffer),
  },
  I32: { bytes: 4, read: (data) => new Int32Array(data) },
  I64: { bytes: 8, read: (data) => Int32Array.from(new BigInt64Array(data), (value) => Number(value)) },
};

/** Where an archive says its own checksum: CRC-32 of header and data, with zeros in this place. */
const CHECKSUM = /^(\{"__metadata__":\{"crc32":")([0-9a-f]{8})"/;
const NO_CHECKSUM = '00000000';

function checksumOf(header: string, data: readonly Uint8Array[]): string {
  // zlib takes nothing at all for a new beginning.
  const pieces = data.filter((piece) => piece.length > 0);
  const sum = pieces.reduce((value, piece) => crc32(piece, value), crc32(Buffer.from(header)));
  return sum.toString(16).padStart(8, '0');
}

/** The bytes of an archive, as pieces that are written one after the other. */
function encode({ tensors, metadata }: Archive): Uint8Array[] {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { crc32: NO_CHECKSUM, ...metadata } };
  const data: Uint8Array[] = [];
  for (const [name, { shape, values }] of tensors) {
    const dtype = values instanceof Float32Array ? 'F32' : 'I32';
    header[name] = { dtype, shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
    data.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  const blank = JSON.stringify(header);
  const text = Buffer.from(blank.replace(CHECKSUM, `$1${checksumOf(blank, data)}"`));
  // Spaces up to a multiple of 8, as the format recommends, so that the data is aligned.
  const padded = Buffer.concat([text, Buffer.alloc((8 - (text.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return [length, padded, ...data];
}

/** Writes an archive whole or not at all. Throws a `JobError` (a full disk, say) and leaves the old file as it was. */
export function writeArchive(path: string, archive: Archive): void {
  writeWhole(path, encode(archive));
}

function isEntry(value: unknown): value is Entry {
  const { dtype, shape, data_offsets: place } = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  const whole = (list: unknown): boolean => Array.isArray(list) && list.every((n) => Number.isInteger(n) && n >= 0);
  return typeof dtype === 'string' && whole(shape) && whole(place) && (place as unknown[]).length === 2;
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
  const text = bytes.toString('utf8', 8, 8 + length).trimEnd();
  // An archive of another program has no checksum of this kind.
  const written = CHECKSUM.exec(text)?.[2];
  if (written !== undefined) {
    const found = checksumOf(text.replace(CHECKSUM, `$1${NO_CHECKSUM}"`), [bytes.subarray(8 + length)]);
    if (found !== written) throw broken(`its checksum is ${found}, it was written with ${written}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw broken('its header is not JSON');
  }
  if (typeof header !== 'object' || header === null) throw broken('its header is not an object');
  const { __metadata__: metadata = {}, ...entries } = header as { __metadata__?: Record<string, string> };
  const start = 8 + length;
  const tensors = Object.entries(entries as Record<string, unknown>).map(([name, entry]): [string, HostTensor] => {
    if (!isEntry(entry)) throw broken(`tensor ${name} has no type, shape and place`);
    const { dtype, shape } = entry;
    const [from, to] = entry.data_offsets;
    const size = sizeOf(shape);
    const type = Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
    if (type === undefined) {
      throw broken(`tensor ${name} is of type ${dtype}; ${Object.keys(DTYPES).join(', ')} are read`);
    }
    if (to - from !== size * type.bytes || from < 0 || start + to > bytes.length) {
      throw broken(
        `tensor ${name} of shape [${shape.join(', ')}] has bytes ${from} to ${to} of ${bytes.length - start}`,
      );
    }
    // A copy: the data need not be aligned in the file, and the file's buffer can go.
    const data = bytes.buffer.slice(bytes.byteOffset + start + from, bytes.byteOffset + start + to) as ArrayBuffer;
    return [name, { shape, values: type.read(data) }];
  });
  const { crc32: _, ...rest } = metadata;
  return { tensors: new Map(tensors), metadata: rest };
}
