import { inflateSync } from 'node:zlib';
import { JobError } from '../errors.ts';
import type { Mask } from '../raster/raster.ts';

/** Data types of MATLAB's MAT-file format, level 5 (its published description, table 1-1), and how a number of each is read. */
const TYPES: Readonly<Record<number, readonly [bytes: number, read: (b: Buffer, at: number) => number]>> = {
  1: [1, (b, at) => b.readInt8(at)],
  2: [1, (b, at) => b.readUInt8(at)],
  3: [2, (b, at) => b.readInt16LE(at)],
  4: [2, (b, at) => b.readUInt16LE(at)],
  5: [4, (b, at) => b.readInt32LE(at)],
  6: [4, (b, at) => b.readUInt32LE(at)],
  7: [4, (b, at) => b.readFloatLE(at)],
  9: [8, (b, at) => b.readDoubleLE(at)],
};
const MATRIX = 14;
const COMPRESSED = 15;
const STRUCT_CLASS = 2;
/** Classes of full numeric arrays: double to uint32. */
const NUMERIC_CLASSES = { first: 6, last: 13 } as const;

/** More than a mask with all that stands beside it takes, unpacked. */
const MAXIMUM_BYTES = 2 ** 25;
/** Values of a mask; VOC's have 250,000. */
const LARGEST = 2 ** 22;
/** Fields of a structure; an annotation's has three. */
const MOST_FIELDS = 100;

interface Element {
  readonly type: number;
  readonly data: Buffer;
}

class MatError extends Error {
  override readonly name = 'MatError';
}

/** The data elements in a buffer, one after the other. Small ones have their data within their tag; others are padded to eight bytes. */
function* elements(buffer: Buffer): Generator<Element> {
  let at = 0;
  while (at + 8 <= buffer.length) {
    const word = buffer.readUInt32LE(at);
    const small = word >>> 16;
    const type = small === 0 ? word : word & 0xffff;
    const length = small === 0 ? buffer.readUInt32LE(at + 4) : small;
    const start = small === 0 ? at + 8 : at + 4;
    if (start + length > buffer.length || (small !== 0 && small > 4)) throw new MatError('the file is cut short');
    yield { type, data: buffer.subarray(start, start + length) };
    // Compressed elements are not padded.
    const padded = type === COMPRESSED ? length : Math.ceil(length / 8) * 8;
    at = small === 0 ? start + padded : at + 8;
  }
}

function numbers({ type, data }: Element): number[] {
  const known = TYPES[type];
  if (known === undefined) throw new MatError(`data type ${type} where numbers are expected`);
  const [bytes, read] = known;
  return Array.from({ length: Math.floor(data.length / bytes) }, (_, i) => read(data, i * bytes));
}

interface Matrix {
  readonly kind: number;
  readonly extents: readonly number[];
  readonly name: string;
  /** What follows the name. */
  readonly rest: readonly Element[];
}

function matrix({ type, data }: Element): Matrix {
  const [flags, extents, name, ...rest] = [...elements(data)];
  if (type !== MATRIX || flags === undefined || extents === undefined || name === undefined) {
    throw new MatError(`an element of type ${type} where a matrix is expected`);
  }
  return {
    kind: (numbers(flags)[0] as number) & 0xff,
    extents: numbers(extents),
    name: name.data.toString('latin1'),
    rest,
  };
}

/** A field of a structure of one element. */
function field({ kind, rest, name }: Matrix, wanted: string): Matrix {
  const [lengthElement, names, ...values] = rest;
  if (kind !== STRUCT_CLASS || lengthElement === undefined || names === undefined)
    throw new MatError(`${name} is not a structure`);
  const length = numbers(lengthElement)[0] ?? 0;
  if (!(length > 0) || names.data.length / length > MOST_FIELDS) {
    throw new MatError(`${name} is said to have ${names.data.length / length} fields`);
  }
  const all = Array.from({ length: Math.floor(names.data.length / length) }, (_, i) =>
    names.data.toString('latin1', i * length, (i + 1) * length).replace(/\0.*$/s, ''),
  );
  const value = values[all.indexOf(wanted)];
  if (value === undefined) throw new MatError(`${name} has the fields ${all.join(', ')}; ${wanted} expected`);
  return matrix(value);
}

function readMask(bytes: Buffer): Mask {
  // 116 bytes of text, 8 of an offset, version 0x0100 and "MI" read as a little-endian number.
  if (bytes.length < 128 || bytes.toString('latin1', 126, 128) !== 'IM') {
    throw new MatError('not a MAT-file of level 5, little endian');
  }
  let unpacked = 0;
  for (const element of elements(bytes.subarray(128))) {
    let whole: Element | undefined = element;
    if (element.type === COMPRESSED) {
      const inner = inflateSync(element.data, { maxOutputLength: MAXIMUM_BYTES - unpacked });
      unpacked += inner.length;
      [whole] = elements(inner);
    }
    if (whole?.type !== MATRIX) continue;
    const variable = matrix(whole);
    if (variable.name !== 'GTcls') continue;
    const { kind, extents, rest } = field(variable, 'Segmentation');
    const [height, width] = extents as [number, number];
    const [data] = rest;
    if (kind < NUMERIC_CLASSES.first || kind > NUMERIC_CLASSES.last || data === undefined || extents.length !== 2) {
      throw new MatError('GTcls.Segmentation is not a full matrix of numbers');
    }
    if (width * height > LARGEST) throw new MatError(`GTcls.Segmentation is said to have ${height} x ${width} values`);
    const values = numbers(data);
    if (values.length !== width * height)
      throw new MatError(`GTcls.Segmentation has ${values.length} values for ${height} x ${width}`);
    // MATLAB stores column by column.
    const mask = new Uint8Array(width * height);
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) {
        const value = values[x * height + y] as number;
        if (!Number.isInteger(value) || value < 0 || value > 255)
          throw new MatError(`GTcls.Segmentation has the value ${value}`);
        mask[y * width + x] = value;
      }
    }
    return { width, height, data: mask };
  }
  throw new MatError('no variable GTcls');
}

/**
 * Reads the class mask of an annotation of SBD (Hariharan et al. 2011): `GTcls.Segmentation` of a MATLAB file, compressed or not. Throws a `JobError` that
 * names the file.
 */
export function readSbdMask(bytes: Buffer, path: string): Mask {
  try {
    return readMask(bytes);
  } catch (error) {
    const what = error instanceof MatError ? error.message : `it cannot be unpacked (${(error as Error).message})`;
    throw new JobError(`${path}: ${what}; a mask of SBD (GTcls.Segmentation) expected`);
  }
}
