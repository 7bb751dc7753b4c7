import type { CentredBox, GroundTruth } from '../../raster/boxes.ts';
import { encode } from './coding.ts';
import { MATCHING_IOU, UNMATCHED, match } from './matching.ts';

/** What the network should say about one picture, a row for each default box. */
export interface Targets {
  /** `boxes x 4` offsets; 0 where nothing is matched. */
  readonly offsets: Float32Array;
  /** Class of each default box; 0, the background, where nothing is matched. */
  readonly labels: Uint8Array;
  /** Default boxes that are matched. */
  readonly positives: number;
}

/** Matches objects (normalised boxes) to default boxes and encodes them. */
export function targetsOf(
  truths: readonly GroundTruth[],
  priors: readonly CentredBox[],
  threshold: number = MATCHING_IOU,
): Targets {
  const boxes = truths.map(({ box }) => box);
  const matched = match(boxes, priors, threshold);
  const offsets = new Float32Array(priors.length * 4);
  const labels = new Uint8Array(priors.length);
  let positives = 0;
  matched.forEach((index, prior) => {
    if (index === UNMATCHED) return;
    const truth = truths[index] as GroundTruth;
    offsets.set(encode(truth.box, priors[prior] as CentredBox), prior * 4);
    labels[prior] = truth.label;
    positives += 1;
  });
  return { offsets, labels, positives };
}
