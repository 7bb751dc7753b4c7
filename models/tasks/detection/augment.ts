import type { Draws } from '../../raster/draws.ts';
import type { LabelledPicture } from '../../data/vocExamples.ts';
import type { Picture, Window } from '../../raster/raster.ts';
import { MEAN_COLOUR, flipPicture, resizeWindow } from '../../raster/raster.ts';
import type { Box, GroundTruth } from '../../raster/boxes.ts';
import { intersect, iou } from '../../raster/boxes.ts';
import { distortColours } from './colour.ts';

/** SSD's sampling (section 2.2, "Data augmentation"), with the figures of the authors' `ssd_pascal.py`. */
export const SAMPLING = {
  expandProbability: 0.5,
  /** A picture is put on a canvas of up to so many times its sides. */
  expandRatio: 4,
  /** Patches: at least this IoU with some object; 0 asks for nothing. */
  minimumIous: [0.1, 0.3, 0.5, 0.7, 0.9, 0],
  /** Square root of the patch's share of the picture; the paper's [.1, 1] is of the area, .3^2 = .09. */
  scale: [0.3, 1],
  aspectRatio: [0.5, 2],
  trials: 50,
  flipProbability: 0.5,
} as const;

const WHOLE: Box = { xmin: 0, ymin: 0, xmax: 1, ymax: 1 };

/** Boxes of a picture as boxes of a part of it (or of a canvas around it), itself given in the picture's coordinates. */
function relativeTo(box: Box, frame: Box): Box {
  const [width, height] = [frame.xmax - frame.xmin, frame.ymax - frame.ymin];
  return {
    xmin: (box.xmin - frame.xmin) / width,
    ymin: (box.ymin - frame.ymin) / height,
    xmax: (box.xmax - frame.xmin) / width,
    ymax: (box.ymax - frame.ymin) / height,
  };
}

/** The objects seen in a part of the picture: those whose centre lies in it, cut at its edges. */
export function truthsWithin(truths: readonly GroundTruth[], frame: Box): GroundTruth[] {
  return truths
    .filter(({ box }) => {
      const [cx, cy] = [(box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2];
      return cx >= frame.xmin && cx < frame.xmax && cy >= frame.ymin && cy < frame.ymax;
    })
    .map((truth) => ({ ...truth, box: intersect(relativeTo(truth.box, frame), WHOLE) }));
}

/** The larger canvas of the mean colour that a picture is put on, at a random place, in the picture's pixels: objects become small. */
function drawCanvas({ width, height }: Picture, draws: Draws): Window {
  const ratio = draws.between(1, SAMPLING.expandRatio);
  const [wide, high] = [Math.floor(width * ratio), Math.floor(height * ratio)];
  const left = Math.floor(draws.between(0, wide - width + 1));
  const top = Math.floor(draws.between(0, high - height + 1));
  return { x: -left, y: -top, width: wide, height: high };
}

/** A patch within the picture; its aspect ratio is that of normalised sides, as in the authors' code. */
function drawPatch(draws: Draws): Box {
  const scale = draws.between(SAMPLING.scale[0], SAMPLING.scale[1]);
  const low = Math.max(SAMPLING.aspectRatio[0], scale ** 2);
  const high = Math.min(SAMPLING.aspectRatio[1], 1 / scale ** 2);
  const root = Math.sqrt(draws.between(low, high));
  // Rounding must not let a side of about 1 exceed it.
  const [width, height] = [Math.min(1, scale * root), Math.min(1, scale / root)];
  const xmin = draws.between(0, 1 - width);
  const ymin = draws.between(0, 1 - height);
  return { xmin, ymin, xmax: xmin + width, ymax: ymin + height };
}

/**
 * A part of the picture to train on: each of the samplers tries up to 50 patches for one that overlaps an object by its minimum, and one of those
 * found is taken, the whole picture among them, all alike.
 */
export function samplePatch(truths: readonly GroundTruth[], draws: Draws): Box {
  const candidates = [WHOLE];
  for (const minimum of SAMPLING.minimumIous) {
    for (let trial = 0; trial < SAMPLING.trials; trial++) {
      const patch = drawPatch(draws);
      if (minimum > 0 && !truths.some(({ box }) => iou(box, patch) >= minimum)) continue;
      candidates.push(patch);
      break;
    }
  }
  return candidates[draws.choice(candidates.length)] as Box;
}

/** A patch of a window in whole pixels, at least one each way. */
function toPixels(patch: Box, { x, y, width, height }: Window): Window {
  const left = Math.min(width - 1, Math.floor(patch.xmin * width));
  const top = Math.min(height - 1, Math.floor(patch.ymin * height));
  return {
    x: x + left,
    y: y + top,
    width: Math.max(1, Math.min(width, Math.round(patch.xmax * width)) - left),
    height: Math.max(1, Math.min(height, Math.round(patch.ymax * height)) - top),
  };
}

/** A window of a picture in the picture's normalised coordinates. */
function toFrame({ x, y, width, height }: Window, picture: Picture): Box {
  return {
    xmin: x / picture.width,
    ymin: y / picture.height,
    xmax: (x + width) / picture.width,
    ymax: (y + height) / picture.height,
  };
}

/** Mirrored, left to right. */
export function flip({ picture, truths }: LabelledPicture): LabelledPicture {
  return {
    picture: flipPicture(picture),
    truths: truths.map((truth) => ({
      ...truth,
      box: { ...truth.box, xmin: 1 - truth.box.xmax, xmax: 1 - truth.box.xmin },
    })),
  };
}

/** Expansion, a sampled patch, resizing to `side x side` regardless of shape, mirroring. */
export function sample({ picture, truths }: LabelledPicture, side: number, draws: Draws): LabelledPicture {
  const whole: Window = { x: 0, y: 0, width: picture.width, height: picture.height };
  const canvas = draws.chance(SAMPLING.expandProbability) ? drawCanvas(picture, draws) : whole;
  const frame = toFrame(canvas, picture);
  const onCanvas = truths.map((truth) => ({ ...truth, box: relativeTo(truth.box, frame) }));
  const window = toPixels(samplePatch(onCanvas, draws), canvas);
  const patch: LabelledPicture = {
    picture: resizeWindow(picture, window, MEAN_COLOUR, side, side),
    truths: truthsWithin(truths, toFrame(window, picture)),
  };
  return draws.chance(SAMPLING.flipProbability) ? flip(patch) : patch;
}

/** SSD's training augmentation: colours first, so that the filling keeps the mean colour, then the sample. */
export function augment(example: LabelledPicture, side: number, draws: Draws): LabelledPicture {
  return sample({ ...example, picture: distortColours(example.picture, draws) }, side, draws);
}
