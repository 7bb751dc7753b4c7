/**
 * The safetensors format (huggingface/safetensors, README "Format"): 8 bytes of header length, a JSON header of at most 100 MB, then the
 * data, which the tensors cover without holes, overlaps or a rest. Checkpoints hold float32 and int32; what other programs write in other
 * types of numbers is read as one of these. Tensors go to the disk and come from it one by one, so a file may be as large as memory.
 */
import { Type } from '@sinclair/typebox';
import { parseTree } from 'jsonc-parser';
import { crc32 } from 'node:zlib';
import { sizeOf } from 'learning-rate-dropout/internal';
import { JobError } from '../errors.ts';
import { beginFile, dropQuietly } from './files.ts';
import { form, parseAs } from './form.ts';
import { openInput } from './inputs.ts';
import { inPieces, pieceBytes } from './pieces.ts';

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

/** A tensor that is not in memory yet. */
export interface ComingTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  /** Is asked for its values when it is its turn; they may be forgotten afterwards. */
  readonly values: () => HostTensor['values'] | Promise<HostTensor['values']>;
}

/** Float16 by its bits (IEEE 754 binary16). */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Says of a value that the type read has no place for. */
type Refuse = (index: number, value: number | bigint, type: 'float32' | 'int32') => JobError;

interface Dtype {
  /** Of an element in the file. */
  readonly bytes: number;
  readonly as: 'float32' | 'int32';
  /** The values of a piece of the file, from the tensor's element `first` on. */
  readonly read: (piece: ArrayBuffer, refuse: Refuse, first: number) => HostTensor['values'];
}

function narrowed(doubles: Float64Array, refuse: Refuse, first: number): Float32Array {
  const floats = Float32Array.from(doubles);
  for (let i = 0; i < floats.length; i++) {
    const value = doubles[i] as number;
    if (!Number.isFinite(floats[i]) && Number.isFinite(value)) throw refuse(first + i, value, 'float32');
  }
  return floats;
}

function shortened(longs: BigInt64Array, refuse: Refuse, first: number): Int32Array {
  const ints = new Int32Array(longs.length);
  for (let i = 0; i < ints.length; i++) {
    const value = longs[i] as bigint;
    ints[i] = Number(BigInt.asIntN(32, value));
    if (BigInt(ints[i] as number) !== value) throw refuse(first + i, value, 'int32');
  }
  return ints;
}

const DTYPES: Readonly<Record<string, Dtype>> = {
  F32: { bytes: 4, as: 'float32', read: (piece) => new Float32Array(piece) },
  F64: { bytes: 8, as: 'float32', read: (piece, refuse, first) => narrowed(new Float64Array(piece), refuse, first) },
  F16: { bytes: 2, as: 'float32', read: (piece) => Float32Array.from(new Uint16Array(piece), half) },
  BF16: {
    bytes: 2,
    as: 'float32',
    read: (piece) => new Float32Array(Uint32Array.from(new Uint16Array(piece), (bits) => bits << 16).buffer),
  },
  I32: { bytes: 4, as: 'int32', read: (piece) => new Int32Array(piece) },
  I64: { bytes: 8, as: 'int32', read: (piece, refuse, first) => shortened(new BigInt64Array(piece), refuse, first) },
};

/** Names of the types that are read. */
export const DTYPE_NAMES: readonly string[] = Object.keys(DTYPES);

/** Bytes of an element of the format's other types, which are left where they are. */
const OTHERS: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  F8_E8M0: 1,
  U16: 2,
  I16: 2,
  U32: 4,
  U64: 8,
  C64: 8,
};

/** Where an archive says its own checksum: CRC-32 of header and data, with zeros in this place. */
const CHECKSUM = /^(\{"__metadata__":\{"crc32":")([0-9a-f]{8})"/;
const NO_CHECKSUM = '00000000';

/** zlib takes nothing at all for a new beginning. */
function checksum(bytes: Uint8Array, before?: number): number {
  return bytes.length === 0 ? (before ?? 0) : crc32(bytes, before);
}

const inHex = (sum: number): string => sum.toString(16).padStart(8, '0');

/** Bytes of a tensor's values. */
const bytesOf = (values: HostTensor['values']): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** The header's text, padded to a multiple of 8 as the format recommends, so that the data is aligned. */
function headerOf(tensors: readonly Omit<ComingTensor, 'values'>[], metadata: Archive['metadata']): string {
  let offset = 0;
  const header: Record<string, unknown> = { __metadata__: { crc32: NO_CHECKSUM, ...metadata } };
  for (const { name, shape, dtype } of tensors) {
    const bytes = 4 * sizeOf(shape);
    header[name] = { dtype: dtype === 'float32' ? 'F32' : 'I32', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  return JSON.stringify(header);
}

function padded(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8, ' ')]);
}

/**
 * Writes an archive whole or not at all, one tensor after the other. Throws a `JobError` (a full disk, say), or what a tensor's `values`
 * throws, and leaves the old file as it was.
 */
export async function writeTensors(
  path: string,
  tensors: readonly ComingTensor[],
  metadata: Archive['metadata'],
): Promise<void> {
  const blank = headerOf(tensors, metadata);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded(blank).length));
  const file = beginFile(path);
  try {
    file.write(length);
    file.write(padded(blank));
    let sum = crc32(Buffer.from(blank));
    for (const { name, shape, values } of tensors) {
      const bytes = bytesOf(await values());
      if (bytes.length !== 4 * sizeOf(shape)) throw new RangeError(`${name} has ${bytes.length} bytes`);
      for await (const piece of inPieces(bytes)) {
        sum = checksum(piece, sum);
        file.write(piece);
      }
    }
    file.rewrite(padded(blank.replace(CHECKSUM, `$1${inHex(sum)}"`)), 8);
    file.keep();
  } catch (error) {
    dropQuietly(file);
    throw error;
  }
}

/** As `writeTensors`, for tensors that are in memory. */
export async function writeArchive(path: string, { tensors, metadata }: Archive): Promise<void> {
  const coming = [...tensors].map(([name, { shape, values }]): ComingTensor => {
    const dtype = values instanceof Float32Array ? 'float32' : 'int32';
    return { name, shape, dtype, values: () => values };
  });
  await writeTensors(path, coming, metadata);
}

/** What the header says of a tensor. */
export interface ArchiveEntry {
  /** As the format names it, one of `DTYPE_NAMES` or another. */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** An archive whose tensors are still on the disk. */
export interface OpenArchive {
  readonly metadata: Archive['metadata'];
  readonly entries: ReadonlyMap<string, ArchiveEntry>;
  /** Reads a tensor. Throws a `JobError` for a type that is not read, or a value that float32 or int32 has no place for. */
  read(name: string): HostTensor;
  close(): void;
}

const extent = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const HEADER = form(
  'a safetensors header',
  Type.Object(
    { __metadata__: Type.Optional(Type.Record(Type.String(), Type.String())) },
    {
      additionalProperties: Type.Object({
        dtype: Type.String({ maxLength: 20 }),
        shape: Type.Array(extent, { maxItems: 32 }),
        data_offsets: Type.Tuple([extent, extent]),
      }),
    },
  ),
);

interface Entry extends ArchiveEntry {
  readonly data_offsets: readonly [number, number];
}

/** The format's own bound. */
const LARGEST_HEADER = 100_000_000;

/** A key that stands twice in the header, or twice in what it says of a tensor. */
function duplicateKey(text: string): string | undefined {
  const root = parseTree(text);
  const twice = (node: typeof root): string | undefined => {
    const seen = new Set<string>();
    for (const { children = [] } of node?.children ?? []) {
      const [key, value] = children;
      const name = String(key?.value);
      if (seen.has(name)) return name;
      seen.add(name);
      const inner = value?.type === 'object' ? twice(value) : undefined;
      if (inner !== undefined) return inner;
    }
    return undefined;
  };
  return twice(root);
}

/** Throws unless the tensors cover the data without holes, overlaps or a rest. */
function checkCover(
  entries: readonly (readonly [string, Entry])[],
  bytes: number,
  broken: (what: string) => JobError,
): void {
  let end = 0;
  const inOrder = [...entries].sort(
    ([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  );
  for (const [name, { dtype, shape, data_offsets }] of inOrder) {
    const [from, to] = data_offsets;
    const width = DTYPES[dtype]?.bytes ?? OTHERS[dtype];
    if (to < from || to > bytes) throw broken(`tensor ${name} has bytes ${from} to ${to} of ${bytes}`);
    if (from !== end) throw broken(`tensor ${name} begins at byte ${from}, the one before it ends at ${end}`);
    const size = shape.reduce((product, n) => product * n, 1);
    if (width !== undefined && to - from !== size * width) {
      throw broken(
        `tensor ${name} of type ${dtype} and shape [${shape.join(', ')}] has bytes ${from} to ${to} of ${bytes}`,
      );
    }
    end = to;
  }
  if (end !== bytes) throw broken(`its tensors end at byte ${end} of ${bytes}`);
}

/** Opens an archive: its header is checked, and its checksum where it has one. Throws a `JobError` that names the file and what is wrong with it. */
export function openArchive(path: string): OpenArchive {
  const input = openInput(path);
  const broken = (what: string): JobError => new JobError(`${path}: not a safetensors file that can be used: ${what}`);
  try {
    if (input.size < 8) throw broken(`${input.size} bytes`);
    const head = Buffer.alloc(8);
    input.read(head, 0);
    const length = Number(head.readBigUInt64LE(0));
    if (length > LARGEST_HEADER)
      throw broken(`its header is said to be ${length} bytes, the format allows ${LARGEST_HEADER}`);
    if (length > input.size - 8) throw broken(`its header is said to be ${length} bytes, the file has ${input.size}`);
    const bytes = Buffer.allocUnsafeSlow(length);
    input.read(bytes, 8);
    const text = decode(bytes, broken).trimEnd();
    const start = 8 + length;
    checkSum(text, start);
    if (!text.startsWith('{')) throw broken('its header does not begin with {');
    const { __metadata__: metadata = {}, ...rest } = parseAs(text, HEADER, path);
    const entries = Object.entries<Entry>(rest);
    const twice = duplicateKey(text);
    if (twice !== undefined) throw broken(`${twice} stands twice in its header`);
    checkCover(entries, input.size - start, broken);
    const byName = new Map(entries);
    const { crc32: _, ...own } = metadata;
    return {
      metadata: own,
      entries: byName,
      read: (name) => readTensor(name, byName.get(name), start),
      close: () => input.close(),
    };
  } catch (error) {
    input.close();
    throw error;
  }

  /** An archive of another program has no checksum of this kind. */
  function checkSum(text: string, start: number): void {
    const written = CHECKSUM.exec(text)?.[2];
    if (written === undefined) return;
    let sum = crc32(Buffer.from(text.replace(CHECKSUM, `$1${NO_CHECKSUM}"`)));
    const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes(), Math.max(1, input.size - start)));
    for (let at = start; at < input.size; at += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, input.size - at));
      input.read(piece, at);
      sum = checksum(piece, sum);
    }
    if (inHex(sum) !== written) throw broken(`its checksum is ${inHex(sum)}, it was written with ${written}`);
  }

  function readTensor(name: string, entry: Entry | undefined, start: number): HostTensor {
    if (entry === undefined) throw broken(`there is no tensor ${name}`);
    const { dtype, shape, data_offsets } = entry;
    const [from, to] = data_offsets;
    const type = Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
    if (type === undefined) throw broken(`tensor ${name} is of type ${dtype}; ${DTYPE_NAMES.join(', ')} are read`);
    const count = (to - from) / type.bytes;
    let values: HostTensor['values'];
    try {
      values = type.as === 'float32' ? new Float32Array(count) : new Int32Array(count);
    } catch {
      throw broken(`there is no memory for tensor ${name} of ${to - from} bytes`);
    }
    const refuse: Refuse = (index, value, kind) =>
      broken(`element ${index} of tensor ${name} is ${value}, which ${kind} has no place for`);
    const elements = Math.max(1, Math.floor(pieceBytes() / type.bytes));
    for (let first = 0; first < count; first += elements) {
      const piece = new ArrayBuffer(type.bytes * Math.min(elements, count - first));
      input.read(new Uint8Array(piece), start + from + type.bytes * first);
      values.set(type.read(piece, refuse, first), first);
    }
    return { shape, values };
  }
}

function decode(bytes: Buffer, broken: (what: string) => JobError): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw broken('its header is not UTF-8');
  }
}

/** Reads all of an archive. Throws a `JobError` that names the file and what is wrong with it. */
export function readArchive(path: string): Archive {
  const archive = openArchive(path);
  try {
    const tensors = [...archive.entries.keys()].map((name) => [name, archive.read(name)] as const);
    return { tensors: new Map(tensors), metadata: archive.metadata };
  } finally {
    archive.close();
  }
}
