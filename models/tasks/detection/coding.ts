import type { Box, CentredBox } from '../../raster/boxes.ts';
import { toCentred, toCorners } from '../../raster/boxes.ts';

/** Scales of the regression targets: of centres and of log sizes (`prior_variance` in the authors' code). */
export const VARIANCES = { centre: 0.1, size: 0.2 } as const;

/** A box relative to a default box: [dx, dy, dw, dh], SSD section 2.2 (g-hat) divided by the variances. */
export type Offsets = readonly [number, number, number, number];

/** What the network should say at `prior` to mean `box`. The box must have a positive width and height. */
export function encode(box: Box, prior: CentredBox): Offsets {
  const { cx, cy, w, h } = toCentred(box);
  return [
    (cx - prior.cx) / prior.w / VARIANCES.centre,
    (cy - prior.cy) / prior.h / VARIANCES.centre,
    Math.log(w / prior.w) / VARIANCES.size,
    Math.log(h / prior.h) / VARIANCES.size,
  ];
}

/** The box that the network means when it says `offsets` at `prior`: the inverse of `encode`. */
export function decode([dx, dy, dw, dh]: Offsets, prior: CentredBox): Box {
  return toCorners({
    cx: prior.cx + dx * VARIANCES.centre * prior.w,
    cy: prior.cy + dy * VARIANCES.centre * prior.h,
    w: prior.w * Math.exp(dw * VARIANCES.size),
    h: prior.h * Math.exp(dh * VARIANCES.size),
  });
}
