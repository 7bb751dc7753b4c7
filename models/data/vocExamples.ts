import type { GroundTruth } from '../raster/boxes.ts';
import type { Mask, Picture } from '../raster/raster.ts';

/** A picture with the class of each of its pixels, `VOID` for those that don't count. */
export interface SegmentedPicture {
  readonly picture: Picture;
  readonly mask: Mask;
}

/** A picture with its objects; boxes normalised. */
export interface LabelledPicture {
  readonly picture: Picture;
  readonly truths: readonly GroundTruth[];
}
