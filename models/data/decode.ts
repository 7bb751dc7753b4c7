import { open as openFile } from 'node:fs/promises';
import type SharpDefault from 'sharp';
import type { Sharp } from 'sharp';
import { JobError } from '../errors.ts';
import { checkInput } from '../storage/inputs.ts';
import type { ResizedCrop } from './augmentation.ts';

/**
 * Decoding of JPEG, PNG, WebP, TIFF and GIF files by libvips, through sharp: in libuv's pool of threads (4, or `UV_THREADPOOL_SIZE`), never
 * on the thread that trains. A file is what its first bytes say, whatever its name is. All become RGB of 8 bits as `PIL.Image.convert('RGB')`
 * makes it, which the published results were made with: grey is repeated, transparency dropped, CMYK multiplied out, and embedded colour
 * profiles and orientations are not applied. Of 16 bits the upper 8 are taken (PIL's way with colours; greys above 255 it makes white). How
 * many threads there are changes nothing in the bytes.
 */

type SharpModule = typeof SharpDefault;

/** Height and width in pixels. */
export type Size = readonly [height: number, width: number];

let loaded: Promise<SharpModule> | undefined;
let versions: Readonly<Record<string, string>> = {};

/** Pixels of the largest image that is decoded; none of ImageNet's has as many. */
const PIXEL_LIMIT = 2 ** 26;

/** Only what reads image files waits for the library, and only that needs it. */
function loadSharp(): Promise<SharpModule> {
  return (loaded ??= import('sharp').then(
    ({ default: sharp }) => {
      // A cache of what is read once an epoch is memory for nothing, and the pool's threads are parallel enough.
      sharp.cache(false);
      sharp.concurrency(1);
      versions = { sharp: sharp.versions.sharp ?? 'unknown', libvips: sharp.versions.vips };
      return sharp;
    },
    (error: unknown) => {
      throw new JobError(
        `reading image files needs the package sharp: npm install sharp (${(error as Error).message.split('\n')[0]})`,
      );
    },
  ));
}

/** Loads the library. Rejects with a `JobError` that says how to get it. */
export async function prepareDecoder(): Promise<void> {
  await loadSharp();
}

/** Versions of the library, for a run's record: resized pixels are its own. Empty while no image file was asked for. */
export function decoderVersions(): Readonly<Record<string, string>> {
  return versions;
}

/** Larger images than this are decoded one at a time, so that memory holds one of them. */
const LARGE = 2 ** 24;

/** How the files begin that are decoded. */
const BEGINNINGS: readonly RegExp[] = [
  /^\xff\xd8\xff/,
  /^\x89PNG\r\n/,
  /^RIFF....WEBP/s,
  /^(II\*\0|MM\0\*)/,
  /^GIF8[79]a/,
];

let lastLarge: Promise<unknown> = Promise.resolve();

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const mine = lastLarge.then(work);
  lastLarge = mine.catch(() => undefined);
  return mine;
}

async function beginningOf(path: string): Promise<string> {
  const file = await openFile(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The product of two bytes as parts of 255, rounded as PIL rounds it (MULDIV255). */
function ofWhole(a: number, b: number): number {
  const product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

/** RGB of inks, as PIL makes it (Convert.c, cmyk2rgb). libvips and PIL both take the inks of every JPEG for inverted, as Photoshop writes them. */
function fromInks(inks: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4, to += 3) {
    const light = 255 - (inks[from + 3] as number);
    for (let c = 0; c < 3; c++) rgb[to + c] = light - ofWhole(inks[from + c] as number, light);
  }
  return rgb;
}

/** An image that is open; its pixels are not read yet. */
interface Opened {
  readonly image: Sharp;
  readonly size: Size;
}

/** Images of which libvips would make something else on its way are made RGB before anything is done to them. */
async function asRgb(sharp: SharpModule, path: string, image: Sharp, inks: boolean): Promise<Sharp> {
  const plain = inks
    ? image.pipelineColourspace('cmyk').toColourspace('cmyk')
    : image.toColourspace('srgb').removeAlpha();
  const { data, info } = await plain.raw().toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  if (!inks) return sharp(data, { raw: { width, height, channels: 3 } });
  if (info.channels !== 4) throw new JobError(`${path}: ${info.channels} inks; 4 expected`);
  return sharp(fromInks(data), { raw: { width, height, channels: 3 } });
}

/** Does something with an image, opened. Rejects with a `JobError` that names the file. */
async function withImage<T>(path: string, limit: number, work: (opened: Opened) => Promise<T>): Promise<T> {
  try {
    checkInput(path, 'file');
    const beginning = await beginningOf(path);
    if (!BEGINNINGS.some((pattern) => pattern.test(beginning))) {
      throw new JobError(`${path}: is no JPEG, PNG, WebP, TIFF or GIF file`);
    }
    const sharp = await loadSharp();
    // Warnings stay warnings: ImageNet has files with a few stray bytes. Truncated and corrupt ones fail.
    const image = sharp(path, {
      failOn: 'error',
      ignoreIcc: true,
      limitInputPixels: PIXEL_LIMIT,
      sequentialRead: true,
    });
    const { height, width, space, hasAlpha, depth } = await image.metadata();
    if (height * width > limit) {
      throw new JobError(`${path}: ${width} x ${height} pixels; at most ${limit.toLocaleString('en')} expected`);
    }
    const decoded = async (): Promise<T> => {
      const inks = space === 'cmyk';
      return work({
        image: inks || hasAlpha || depth !== 'uchar' ? await asRgb(sharp, path, image, inks) : image,
        size: [height, width],
      });
    };
    return await (height * width > LARGE ? inTurn(decoded) : decoded());
  } catch (error) {
    if (error instanceof JobError) throw error;
    const [line] = (error as Error).message.split('\n');
    throw new JobError(`${path}: cannot be decoded (${(line ?? '').replace(`: ${path}`, '')})`);
  }
}

/** Writes an image's RGB bytes, `height x width x 3`. */
async function write(image: Sharp, path: string, [height, width]: Size, out: Uint8Array): Promise<void> {
  const { data, info } = await image.toColourspace('srgb').removeAlpha().raw().toBuffer({ resolveWithObject: true });
  if (info.width !== width || info.height !== height || info.channels !== 3)
    throw wrongSize(path, [info.height, info.width], [height, width]);
  out.set(data);
}

function wrongSize(path: string, found: Size, expected: Size): JobError {
  return new JobError(`${path}: ${found[1]} x ${found[0]} pixels; ${expected[1]} x ${expected[0]} expected`);
}

/** Decodes an image that has the size wanted already. Rejects with a `JobError` naming the file, as all of these do. */
export function decodeWhole(path: string, size: Size, out: Uint8Array): Promise<void> {
  return withImage(path, PIXEL_LIMIT, async ({ image, size: found }) => {
    if (found[0] !== size[0] || found[1] !== size[1]) throw wrongSize(path, found, size);
    await write(image, path, size, out);
  });
}

/** Decodes an image of any size up to a number of pixels. */
export function decodeAny(path: string, limit: number): Promise<{ readonly size: Size; readonly bytes: Uint8Array }> {
  return withImage(path, limit, async ({ image, size }) => {
    const bytes = new Uint8Array(size[0] * size[1] * 3);
    await write(image, path, size, bytes);
    return { size, bytes };
  });
}

/** Decodes the middle: resized so that it just covers a square of `resized` pixels, then `size` cut out of the middle. */
export function decodeCentre(path: string, resized: number, size: Size, out: Uint8Array): Promise<void> {
  return withImage(path, PIXEL_LIMIT, async ({ image }) => {
    const [height, width] = size;
    const [top, left] = [Math.floor((resized - height) / 2), Math.floor((resized - width) / 2)];
    const middle = image
      .resize(resized, resized, { fit: 'cover', position: 'centre', kernel: 'linear', fastShrinkOnLoad: false })
      .extract({ left, top, width, height });
    await write(middle, path, size, out);
  });
}

/** Decodes a window, chosen by the image's size, and resizes it (bilinear, averaging where it shrinks), mirrored if it says so. */
export function decodeWindow(
  path: string,
  windowOf: (size: Size) => ResizedCrop,
  size: Size,
  out: Uint8Array,
): Promise<void> {
  return withImage(path, PIXEL_LIMIT, async (opened) => {
    const { top, left, height, width, mirrored } = windowOf(opened.size);
    const image = opened.image
      .extract({ left, top, width, height })
      .resize(size[1], size[0], { fit: 'fill', kernel: 'linear' });
    await write(mirrored ? image.flop() : image, path, size, out);
  });
}

/** An image's size, from its header. */
export function imageSize(path: string): Promise<Size> {
  return withImage(path, PIXEL_LIMIT, async ({ size }) => size);
}
