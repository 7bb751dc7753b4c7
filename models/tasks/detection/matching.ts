import type { Box, CentredBox } from '../../raster/boxes.ts';
import { iou, toCorners } from '../../raster/boxes.ts';

/** The overlap from which a default box is matched to an object (SSD section 2.2). */
export const MATCHING_IOU = 0.5;

/** Stands for a default box without an object. */
export const UNMATCHED = -1;

/**
 * Which object each default box stands for, or `UNMATCHED`. First every object takes the default box that overlaps it best, the best
 * pairs first, so that two objects never share one (the authors' bipartite matching); then every default box left takes the object that it overlaps
 * most, if that is by at least `threshold`. An object that overlaps no default box at all stays without.
 */
export function match(truths: readonly Box[], priors: readonly CentredBox[], threshold = MATCHING_IOU): Int32Array {
  const matched = new Int32Array(priors.length).fill(UNMATCHED);
  const corners = priors.map(toCorners);
  const overlaps = truths.map((truth) => Float64Array.from(corners, (corner) => iou(truth, corner)));

  const waiting = new Set(truths.keys());
  while (waiting.size > 0) {
    let best = { overlap: 0, truth: UNMATCHED, prior: UNMATCHED };
    for (const truth of waiting) {
      (overlaps[truth] as Float64Array).forEach((overlap, prior) => {
        if (overlap > best.overlap && matched[prior] === UNMATCHED) best = { overlap, truth, prior };
      });
    }
    if (best.overlap === 0) break;
    matched[best.prior] = best.truth;
    waiting.delete(best.truth);
  }

  for (let prior = 0; prior < priors.length; prior++) {
    if (matched[prior] !== UNMATCHED) continue;
    let best = threshold;
    overlaps.forEach((row, truth) => {
      const overlap = row[prior] as number;
      // The first of equals: strictly more is needed once an object is there.
      if (overlap > best || (overlap === best && matched[prior] === UNMATCHED)) {
        best = overlap;
        matched[prior] = truth;
      }
    });
  }
  return matched;
}
