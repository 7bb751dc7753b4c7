import type SharpDefault from 'sharp';
import type { Sharp } from 'sharp';
import { JobError } from '../errors.ts';
import type { ResizedCrop } from './augmentation.ts';

/**
 * Decoding of JPEG and PNG files by libvips, through sharp: in libuv's pool of threads (4, or `UV_THREADPOOL_SIZE`), never on the
 * thread that trains. Grey and CMYK images become RGB, transparency is dropped, embedded colour profiles and orientations are not
 * applied (nor does PIL, which the published results were made with). How many threads there are changes nothing in the bytes.
 */

type SharpModule = typeof SharpDefault;

/** Height and width in pixels. */
export type Size = readonly [height: number, width: number];

let loaded: Promise<SharpModule> | undefined;
let versions: Readonly<Record<string, string>> = {};

/** Pixels of the largest image that is decoded; ImageNet's has fewer than half of them. */
const PIXEL_LIMIT = 2 ** 27;

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

async function open(path: string): Promise<Sharp> {
  const sharp = await loadSharp();
  // Warnings stay warnings: ImageNet has files with a few stray bytes. Truncated and corrupt ones fail.
  return sharp(path, { failOn: 'error', ignoreIcc: true, limitInputPixels: PIXEL_LIMIT, sequentialRead: true });
}

async function explain<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError) throw error;
    const [line] = (error as Error).message.split('\n');
    throw new JobError(`${path}: cannot be decoded (${(line ?? '').replace(`: ${path}`, '')})`);
  }
}

/** Writes an image's RGB bytes, `height x width x 3`; it must have that size. */
async function write(image: Sharp, path: string, [height, width]: Size, out: Uint8Array): Promise<void> {
  const { data, info } = await image.toColourspace('srgb').removeAlpha().raw().toBuffer({ resolveWithObject: true });
  if (info.width !== width || info.height !== height || info.channels !== 3) {
    throw new JobError(
      `${path}: ${info.width} x ${info.height} pixels of ${info.channels} channels; ${width} x ${height} of 3 expected`,
    );
  }
  out.set(data);
}

/** Decodes an image that has the size wanted already. Rejects with a `JobError` naming the file, as all of these do. */
export function decodeWhole(path: string, size: Size, out: Uint8Array): Promise<void> {
  return explain(path, async () => write(await open(path), path, size, out));
}

/** Decodes the middle: resized so that it just covers a square of `resized` pixels, then `size` cut out of the middle. */
export function decodeCentre(path: string, resized: number, size: Size, out: Uint8Array): Promise<void> {
  return explain(path, async () => {
    const [height, width] = size;
    const [top, left] = [Math.floor((resized - height) / 2), Math.floor((resized - width) / 2)];
    const image = (await open(path))
      .resize(resized, resized, { fit: 'cover', position: 'centre', kernel: 'linear', fastShrinkOnLoad: false })
      .extract({ left, top, width, height });
    await write(image, path, size, out);
  });
}

/** Decodes a window and resizes it (bilinear, averaging where it shrinks), mirrored if it says so. */
export function decodeWindow(path: string, window: ResizedCrop, size: Size, out: Uint8Array): Promise<void> {
  return explain(path, async () => {
    const { top, left, height, width, mirrored } = window;
    const image = (await open(path))
      .extract({ left, top, width, height })
      .resize(size[1], size[0], { fit: 'fill', kernel: 'linear' });
    await write(mirrored ? image.flop() : image, path, size, out);
  });
}

/** An image's size, from its header. */
export function imageSize(path: string): Promise<Size> {
  return explain(path, async () => {
    const { height, width } = await (await open(path)).metadata();
    return [height, width] as const;
  });
}
