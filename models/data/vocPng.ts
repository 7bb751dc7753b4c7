import { crc32, inflateSync } from 'node:zlib';
import { JobError } from '../errors.ts';
import type { Mask } from '../raster/raster.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Pixels of a mask, at most; VOC's have 250,000. */
const LARGEST = 2 ** 24;

const GREY = 0;
const INDEXED = 3;

/** The neighbour that predicts a byte best (PNG specification, 9.4). */
function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

/** Undoes a line's filter in place; `above` is the line before, or zeros. One byte is one pixel or less, so the left neighbour is one byte away. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array): boolean {
  if (filter > 4) return false;
  for (let i = 0; i < line.length; i++) {
    const left = i === 0 ? 0 : (line[i - 1] as number);
    const up = above[i] as number;
    const corner = i === 0 ? 0 : (above[i - 1] as number);
    const predicted = [0, left, up, (left + up) >> 1, filter === 4 ? paeth(left, up, corner) : 0][filter] as number;
    line[i] = (line[i] as number) + predicted;
  }
  return true;
}

/**
 * Reads the palette indices of an indexed PNG, or the values of a grey one: class masks in VOC's manner. Image libraries, libvips (sharp) among them, give
 * the palette's colours instead. 1, 2, 4 or 8 bits a pixel, not interlaced. Throws a `JobError` that names the file for anything else, and for a file
 * that is cut short or whose sums don't hold.
 */
export function readIndexedPng(bytes: Buffer, path: string): Mask {
  const fail = (what: string): JobError => new JobError(`${path}: ${what}`);
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) throw fail('not a PNG file');
  let header: Buffer | undefined;
  const data: Buffer[] = [];
  let ended = false;
  for (let at = 8; at < bytes.length && !ended;) {
    if (at + 12 > bytes.length) throw fail('the file is cut short');
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) throw fail(`the file is cut short within its ${type} chunk`);
    if (crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end))
      throw fail(`the sum of its ${type} chunk is wrong`);
    const body = bytes.subarray(at + 8, end);
    if (type === 'IHDR') header = body;
    else if (type === 'IDAT') data.push(body);
    else if (type === 'IEND') ended = true;
    at = end + 4;
  }
  if (header?.length !== 13 || data.length === 0 || !ended) throw fail('an IHDR, IDAT or IEND chunk is missing');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colour, interlaced] = [header[8], header[9], header[12]] as [number, number, number];
  if ((colour !== INDEXED && colour !== GREY) || ![1, 2, 4, 8].includes(depth) || interlaced !== 0) {
    throw fail(
      `colour type ${colour}, ${depth} bits, interlace ${interlaced}; an indexed (3) or grey (0) PNG of up to 8 bits, not interlaced, expected`,
    );
  }
  if (width * height > LARGEST) {
    throw fail(`${width} x ${height} pixels; a mask of at most ${LARGEST.toLocaleString('en')} expected`);
  }
  const lineBytes = Math.ceil((width * depth) / 8);
  let raw: Buffer;
  try {
    raw = inflateSync(Buffer.concat(data), { maxOutputLength: (lineBytes + 1) * height + 1 });
  } catch (error) {
    throw fail(`its pixels cannot be unpacked (${(error as Error).message})`);
  }
  if (raw.length !== (lineBytes + 1) * height) {
    throw fail(`${raw.length} bytes of pixels; ${(lineBytes + 1) * height} expected for ${width} x ${height}`);
  }
  const mask = new Uint8Array(width * height);
  const largest = (1 << depth) - 1;
  let above: Uint8Array = new Uint8Array(lineBytes);
  for (let y = 0; y < height; y++) {
    const start = y * (lineBytes + 1);
    const line = raw.subarray(start + 1, start + 1 + lineBytes);
    if (!unfilter(raw[start] as number, line, above)) throw fail(`filter ${raw[start]} in line ${y}`);
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      mask[y * width + x] = ((line[bit >> 3] as number) >> (8 - depth - (bit & 7))) & largest;
    }
    above = line;
  }
  return { width, height, data: mask };
}
