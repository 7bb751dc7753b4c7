/**
 * A box by its corners. In a picture's pixels: edges between pixels, so that a box covers `[xmin, xmax) x [ymin, ymax)`; normalised: in
 * [0, 1] of the picture's width and height.
 */
export interface Box {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

/** A box by centre and size, as default boxes are. */
export interface CentredBox {
  readonly cx: number;
  readonly cy: number;
  readonly w: number;
  readonly h: number;
}

export function toCorners({ cx, cy, w, h }: CentredBox): Box {
  return { xmin: cx - w / 2, ymin: cy - h / 2, xmax: cx + w / 2, ymax: cy + h / 2 };
}

export function toCentred({ xmin, ymin, xmax, ymax }: Box): CentredBox {
  return { cx: (xmin + xmax) / 2, cy: (ymin + ymax) / 2, w: xmax - xmin, h: ymax - ymin };
}

/** Area; 0 for a box that is empty or turned inside out. */
export function area({ xmin, ymin, xmax, ymax }: Box): number {
  return Math.max(0, xmax - xmin) * Math.max(0, ymax - ymin);
}

/** What two boxes have in common; empty (zero area) where they have nothing. */
export function intersect(a: Box, b: Box): Box {
  const xmin = Math.max(a.xmin, b.xmin);
  const ymin = Math.max(a.ymin, b.ymin);
  return { xmin, ymin, xmax: Math.max(xmin, Math.min(a.xmax, b.xmax)), ymax: Math.max(ymin, Math.min(a.ymax, b.ymax)) };
}

/** Intersection over union (Jaccard overlap) in [0, 1]; 0 for two empty boxes. Millions of these are asked for: nothing is allocated. */
export function iou(a: Box, b: Box): number {
  const width = Math.min(a.xmax, b.xmax) - Math.max(a.xmin, b.xmin);
  const height = Math.min(a.ymax, b.ymax) - Math.max(a.ymin, b.ymin);
  if (!(width > 0 && height > 0)) return 0;
  return (width * height) / (area(a) + area(b) - width * height);
}

/** An object that is known to be in a picture. */
export interface GroundTruth {
  readonly box: Box;
  /** 1 .. classes - 1; 0 is the background. */
  readonly label: number;
  /** Marked as hard to recognise: used in training, ignored in evaluation. */
  readonly difficult: boolean;
}
