import type { Box, CentredBox } from '../../raster/boxes.ts';
import { area, intersect, iou } from '../../raster/boxes.ts';
import { decode } from './coding.ts';

/** An object that the network claims to see. */
export interface Detection {
  readonly box: Box;
  /** 1 .. classes - 1. */
  readonly label: number;
  /** Softmax probability of the class. */
  readonly score: number;
}

export interface DetectionOptions {
  /** Scores not above it are dropped. Default .01. */
  readonly minimumScore?: number;
  /** Of two boxes of a class that overlap by more than this the weaker one is dropped. Default .45. */
  readonly maximumIou?: number;
  /** Candidates of a class that enter the suppression. Default 400. */
  readonly candidates?: number;
  /** Detections of a picture. Default 200. */
  readonly maximum?: number;
}

const UNIT: Box = { xmin: 0, ymin: 0, xmax: 1, ymax: 1 };

/**
 * Greedy non-maximum suppression over boxes that are sorted by falling score: the indices that stay. On the host, since what follows is a
 * sequence of decisions; tfjs does the same with its own operation, which it also computes on the CPU on every backend, and one class at a time.
 */
export function suppress(boxes: readonly Box[], maximumIou: number): number[] {
  const kept: number[] = [];
  boxes.forEach((box, index) => {
    if (kept.every((other) => iou(boxes[other] as Box, box) <= maximumIou)) kept.push(index);
  });
  return kept;
}

/**
 * What a network says about one picture, turned into objects as SSD's authors do for VOC: for each class the best 400 scores above .01, boxes
 * decoded and cut at the picture's edge, suppression at IoU .45, then the best 200 of all classes. Sorted by falling score.
 *
 * @param offsets `boxes x 4`.
 * @param scores `boxes x classes`, softmax probabilities; class 0 is the background.
 */
export function detect(
  offsets: Float32Array,
  scores: Float32Array,
  priors: readonly CentredBox[],
  { minimumScore = 0.01, maximumIou = 0.45, candidates = 400, maximum = 200 }: DetectionOptions = {},
): Detection[] {
  const classes = scores.length / priors.length;
  const decoded = new Map<number, Box>();
  const boxOf = (prior: number): Box => {
    const known = decoded.get(prior);
    if (known !== undefined) return known;
    const [dx, dy, dw, dh] = offsets.subarray(prior * 4, prior * 4 + 4) as unknown as [number, number, number, number];
    const box = intersect(decode([dx, dy, dw, dh], priors[prior] as CentredBox), UNIT);
    decoded.set(prior, box);
    return box;
  };
  const found: Detection[] = [];
  for (let label = 1; label < classes; label++) {
    const scoreOf = (prior: number): number => scores[prior * classes + label] as number;
    const ranked = [...priors.keys()]
      .filter((prior) => scoreOf(prior) > minimumScore)
      .sort((a, b) => scoreOf(b) - scoreOf(a))
      .slice(0, candidates)
      .filter((prior) => area(boxOf(prior)) > 0);
    const boxes = ranked.map(boxOf);
    for (const index of suppress(boxes, maximumIou)) {
      found.push({ box: boxes[index] as Box, label, score: scoreOf(ranked[index] as number) });
    }
  }
  return found.sort((a, b) => b.score - a.score).slice(0, maximum);
}
