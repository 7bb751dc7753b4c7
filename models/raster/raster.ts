/** Colour pictures and class masks on the host, and the few operations on them that augmentation and evaluation need. */

/** An RGB picture, `height x width x 3` row-major, values in [0, 255] (not rounded). */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** A class number a pixel, `height x width` row-major. */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Pixels from `x`, `y` (which may be negative) on. */
export interface Window {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type Colour = readonly [number, number, number];

/** ImageNet's mean colour: what a pixel without content is filled with, so that it is 0 once normalised. */
export const MEAN_COLOUR: Colour = [0.485 * 255, 0.456 * 255, 0.406 * 255];

export function blankPicture(width: number, height: number, colour: Colour): Picture {
  const data = new Float32Array(width * height * 3);
  for (let i = 0; i < data.length; i++) data[i] = colour[i % 3] as number;
  return { width, height, data };
}

export function blankMask(width: number, height: number, value: number): Mask {
  return { width, height, data: new Uint8Array(width * height).fill(value) };
}

/** The part of `[0, from)` that a window's axis covers: where it starts in the source and in the window, and its length. */
function overlap(start: number, length: number, from: number): { source: number; target: number; length: number } {
  const source = Math.max(0, start);
  const target = source - start;
  return { source, target, length: Math.max(0, Math.min(from, start + length) - source) };
}

function copyRows<A extends Float32Array | Uint8Array>(
  from: { readonly width: number; readonly height: number; readonly data: A },
  into: A,
  window: Window,
  channels: number,
): void {
  const across = overlap(window.x, window.width, from.width);
  const down = overlap(window.y, window.height, from.height);
  if (across.length === 0) return;
  for (let row = 0; row < down.length; row++) {
    const start = ((down.source + row) * from.width + across.source) * channels;
    const target = ((down.target + row) * window.width + across.target) * channels;
    into.set(from.data.subarray(start, start + across.length * channels), target);
  }
}

/** A window of a picture; what lies outside of the picture is `fill`. */
export function cropPicture(picture: Picture, window: Window, fill: Colour): Picture {
  const result = blankPicture(window.width, window.height, fill);
  copyRows(picture, result.data, window, 3);
  return result;
}

/** A window of a mask; what lies outside of the mask is `fill`. */
export function cropMask(mask: Mask, window: Window, fill: number): Mask {
  const result = blankMask(window.width, window.height, fill);
  copyRows(mask, result.data, window, 1);
  return result;
}

/** Mirrored, left to right. */
export function flipPicture({ width, height, data }: Picture): Picture {
  const flipped = new Float32Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      flipped.set(data.subarray(from, from + 3), (y * width + (width - 1 - x)) * 3);
    }
  }
  return { width, height, data: flipped };
}

/** Mirrored, left to right. */
export function flipMask({ width, height, data }: Mask): Mask {
  const flipped = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) flipped[y * width + (width - 1 - x)] = data[y * width + x] as number;
  }
  return { width, height, data: flipped };
}

interface Tap {
  readonly low: number;
  readonly high: number;
  /** Weight of `high`. */
  readonly weight: number;
}

/** For each of `to` pixels the two of `from` pixels that it lies between, pixel centres at halves, edges repeated. */
function linearTaps(from: number, to: number): Tap[] {
  return Array.from({ length: to }, (_, i) => {
    const at = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const low = Math.floor(at);
    return { low, high: Math.min(low + 1, from - 1), weight: at - low };
  });
}

/**
 * A window of a picture, bilinearly resized: pixel centres at halves and no low-pass filter, as OpenCV's `INTER_LINEAR` and PyTorch's
 * `interpolate(mode='bilinear', align_corners=False)`. The same as cutting the window first, filled where it reaches out of the picture, without
 * making it.
 */
export function resizeWindow(picture: Picture, window: Window, fill: Colour, width: number, height: number): Picture {
  const across = linearTaps(window.width, width);
  const down = linearTaps(window.height, height);
  const data = new Float32Array(width * height * 3);
  const read = (x: number, y: number, channel: number): number =>
    x < 0 || y < 0 || x >= picture.width || y >= picture.height
      ? (fill[channel] as number)
      : (picture.data[(y * picture.width + x) * 3 + channel] as number);
  let at = 0;
  for (const row of down) {
    const [top, bottom] = [window.y + row.low, window.y + row.high];
    for (const column of across) {
      const [left, right] = [window.x + column.low, window.x + column.high];
      for (let channel = 0; channel < 3; channel++) {
        const above = read(left, top, channel) * (1 - column.weight) + read(right, top, channel) * column.weight;
        const below = read(left, bottom, channel) * (1 - column.weight) + read(right, bottom, channel) * column.weight;
        data[at++] = above * (1 - row.weight) + below * row.weight;
      }
    }
  }
  return { width, height, data };
}

/** A whole picture resized as by `resizeWindow`. The same size returns the picture itself. */
export function resizePicture(picture: Picture, width: number, height: number): Picture {
  if (width === picture.width && height === picture.height) return picture;
  return resizeWindow(picture, { x: 0, y: 0, width: picture.width, height: picture.height }, [0, 0, 0], width, height);
}

/** Nearest-neighbour resizing: pixel i of n takes the class of the pixel that its centre lies in. */
export function resizeMask(mask: Mask, width: number, height: number): Mask {
  if (width === mask.width && height === mask.height) return mask;
  const columns = Uint32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * mask.width) / width));
  const data = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const line = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++) data[y * width + x] = mask.data[line + (columns[x] as number)] as number;
  }
  return { width, height, data };
}
