import type { Draws } from '../../raster/draws.ts';
import type { SegmentedPicture } from '../../data/vocExamples.ts';
import type { Picture, Window } from '../../raster/raster.ts';
import {
  MEAN_COLOUR,
  cropMask,
  cropPicture,
  flipMask,
  flipPicture,
  resizeMask,
  resizePicture,
} from '../../raster/raster.ts';
import { VOID } from './metrics.ts';

/** PSPNet's augmentation (Zhao et al. 2017, section 5.1), without its rotation by up to 10 degrees and its blur. */
export const SEGMENTATION_SAMPLING = { scale: [0.5, 2], flipProbability: 0.5 } as const;

/** A window of both; what lies outside is the mean colour, and void. */
function crop({ picture, mask }: SegmentedPicture, window: Window): SegmentedPicture {
  return { picture: cropPicture(picture, window, MEAN_COLOUR), mask: cropMask(mask, window, VOID) };
}

/** Scaled by .5 to 2, mirrored half of the time, and a crop of `side x side` at a random place, or with a margin at random sides of what is smaller. */
export function augment({ picture, mask }: SegmentedPicture, side: number, draws: Draws): SegmentedPicture {
  const { scale, flipProbability } = SEGMENTATION_SAMPLING;
  const factor = draws.between(scale[0], scale[1]);
  const mirrored = draws.chance(flipProbability);
  const width = Math.max(1, Math.round(picture.width * factor));
  const height = Math.max(1, Math.round(picture.height * factor));
  // Anywhere between the one end and the other, whichever of the two is longer.
  const place = (extent: number): number => {
    const room = draws.choice(Math.abs(extent - side) + 1);
    return extent >= side ? room : -room;
  };
  const window: Window = { x: place(width), y: place(height), width: side, height: side };
  const cut = crop({ picture: resizePicture(picture, width, height), mask: resizeMask(mask, width, height) }, window);
  return mirrored ? { picture: flipPicture(cut.picture), mask: flipMask(cut.mask) } : cut;
}

/** The middle `side x side` of a picture, with a margin where it is smaller. */
export function middle(example: SegmentedPicture, side: number): SegmentedPicture {
  const { width, height } = example.picture;
  // Rounded as in `fittingWindow`, so that a picture that is smaller lies where tests see it.
  const [x, y] = [-Math.floor((side - width) / 2), -Math.floor((side - height) / 2)];
  return crop(example, { x, y, width: side, height: side });
}

/** The size that a side of the network's input must have: 8k + 1, so that corner pixels stay on corner pixels, and `least` at least. */
export function fittingSide(extent: number, least: number): number {
  return 8 * Math.ceil((Math.max(extent, least) - 1) / 8) + 1;
}

/** The window that a whole picture lies in the middle of: sides that fit and are at least `least`. */
export function fittingWindow({ width, height }: Picture, least: number): Window {
  const [wide, high] = [fittingSide(width, least), fittingSide(height, least)];
  return { x: -Math.floor((wide - width) / 2), y: -Math.floor((high - height) / 2), width: wide, height: high };
}

/** A whole picture with a margin around it, up to sides that fit and are at least `least`. */
export function padToFit(example: SegmentedPicture, least: number): SegmentedPicture {
  return crop(example, fittingWindow(example.picture, least));
}
