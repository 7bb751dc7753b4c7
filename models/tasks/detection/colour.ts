import type { Draws } from '../../raster/draws.ts';
import type { Picture } from '../../raster/raster.ts';

/** Hue in degrees [0, 360), saturation in [0, 1], value as the channels are. A grey has hue 0. */
export function toHsv([r, g, b]: readonly [number, number, number]): [number, number, number] {
  const value = Math.max(r, g, b);
  const range = value - Math.min(r, g, b);
  if (range === 0) return [0, 0, value];
  let sixth: number;
  if (value === r) sixth = (g - b) / range;
  else if (value === g) sixth = 2 + (b - r) / range;
  else sixth = 4 + (r - g) / range;
  return [(60 * sixth + 360) % 360, range / value, value];
}

/** The inverse of `toHsv`, for any hue. */
export function fromHsv([hue, saturation, value]: readonly [number, number, number]): [number, number, number] {
  const channel = (n: number): number => {
    const k = (((n + hue / 60) % 6) + 6) % 6;
    return value - value * saturation * Math.max(0, Math.min(k, 4 - k, 1));
  };
  return [channel(5), channel(3), channel(1)];
}

/** How far colours are changed, each with probability 1/2 (the authors' `distort_param` for VOC). */
export const DISTORTION = {
  probability: 0.5,
  /** Added to all channels, either way. */
  brightness: 32,
  /** Factors. */
  contrast: [0.5, 1.5],
  saturation: [0.5, 1.5],
  /** Degrees, either way: 18 steps of OpenCV's hue, which has 180 to the circle. */
  hue: 36,
} as const;

/** Changes each channel of each pixel in place, cut to [0, 255] (as a clamped array would, without rounding). */
function changeChannels(data: Float32Array, change: (value: number) => number): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.min(255, Math.max(0, change(data[i] as number)));
}

/** Changes each pixel in place by way of its hue, saturation and value. */
function changeHsv(data: Float32Array, change: (hsv: [number, number, number]) => [number, number, number]): void {
  for (let i = 0; i < data.length; i += 3) {
    const rgb = fromHsv(change(toHsv([data[i] as number, data[i + 1] as number, data[i + 2] as number])));
    data[i] = rgb[0];
    data[i + 1] = rgb[1];
    data[i + 2] = rgb[2];
  }
}

/** SSD's photometric distortion: brightness, contrast, saturation and hue, in this order, values cut to [0, 255] after each. */
export function distortColours(picture: Picture, draws: Draws): Picture {
  const { probability, brightness, contrast, saturation, hue } = DISTORTION;
  const data = picture.data.slice();
  if (draws.chance(probability)) {
    const delta = draws.between(-brightness, brightness);
    changeChannels(data, (value) => value + delta);
  }
  if (draws.chance(probability)) {
    const factor = draws.between(contrast[0], contrast[1]);
    changeChannels(data, (value) => value * factor);
  }
  if (draws.chance(probability)) {
    const factor = draws.between(saturation[0], saturation[1]);
    changeHsv(data, ([h, s, v]) => [h, Math.min(1, s * factor), v]);
  }
  if (draws.chance(probability)) {
    const turn = draws.between(-hue, hue);
    changeHsv(data, ([h, s, v]) => [h + turn, s, v]);
  }
  return { ...picture, data };
}
