import type { GroundTruth } from '../../raster/boxes.ts';
import { iou } from '../../raster/boxes.ts';
import type { Detection } from './detect.ts';

/** What is in a picture and what was seen in it; boxes in any one unit. */
export interface JudgedPicture {
  readonly truths: readonly GroundTruth[];
  readonly detections: readonly Detection[];
}

/**
 * How the curve becomes a number. `11-point`: the mean of the best precisions at recall 0, .1, .. 1 (VOC 2007 to 2009). `area`: the area below the
 * curve once precision is made to fall (VOC 2010 and later).
 */
export type AveragePrecisionMethod = '11-point' | 'area';

export interface PrecisionRecall {
  /** After each detection, by falling score. */
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  /** Objects to find: those that are not difficult. */
  readonly objects: number;
}

/** A class that the truths don't show has no average precision; it is left out of the mean. */
export interface MeanAveragePrecision {
  /** In [0, 1]; NaN without any object. */
  readonly mean: number;
  /** By class number, background included; NaN where there is nothing to find. */
  readonly byClass: readonly number[];
}

/**
 * Precision and recall of one class as VOC's development kit counts them. Detections over all pictures go by falling score; each looks at the
 * object of its class that it overlaps most. At IoU .5 and more it is right if that object has not been found before, ignored if the object is
 * difficult, and else wrong: a second find of an object is wrong.
 */
export function precisionRecall(pictures: readonly JudgedPicture[], label: number, minimumIou = 0.5): PrecisionRecall {
  const truths = pictures.map((picture) => picture.truths.filter((truth) => truth.label === label));
  const objects = truths.flat().filter(({ difficult }) => !difficult).length;
  const claims = pictures
    .flatMap(({ detections }, picture) =>
      detections.filter((detection) => detection.label === label).map((detection) => ({ picture, detection })),
    )
    .sort((a, b) => b.detection.score - a.detection.score);
  const found = new Set<GroundTruth>();
  const precision: number[] = [];
  const recall: number[] = [];
  let [right, wrong] = [0, 0];
  for (const { picture, detection } of claims) {
    let best: GroundTruth | undefined;
    let overlap = -Infinity;
    for (const truth of truths[picture] as readonly GroundTruth[]) {
      const value = iou(truth.box, detection.box);
      if (value > overlap) [best, overlap] = [truth, value];
    }
    if (best === undefined || overlap < minimumIou || found.has(best)) wrong += 1;
    else if (best.difficult) continue;
    else {
      found.add(best);
      right += 1;
    }
    precision.push(right / (right + wrong));
    recall.push(right / objects);
  }
  return { precision, recall, objects };
}

/** The average precision of a curve; NaN without objects. */
export function averagePrecision(curve: PrecisionRecall, method: AveragePrecisionMethod): number {
  const { precision, recall, objects } = curve;
  if (objects === 0) return NaN;
  // The best precision at this recall or beyond.
  const falling = [...precision];
  for (let i = falling.length - 2; i >= 0; i--) falling[i] = Math.max(falling[i] as number, falling[i + 1] as number);
  if (method === '11-point') {
    let sum = 0;
    for (let tenth = 0; tenth <= 10; tenth++) {
      const at = recall.findIndex((value) => value >= tenth / 10);
      sum += at < 0 ? 0 : (falling[at] as number);
    }
    return sum / 11;
  }
  return falling.reduce((sum, value, i) => sum + value * ((recall[i] as number) - (recall[i - 1] ?? 0)), 0);
}

/** Mean over the classes that occur. `classes` counts the background, class 0, which is left out. */
export function meanAveragePrecision(
  pictures: readonly JudgedPicture[],
  classes: number,
  method: AveragePrecisionMethod,
): MeanAveragePrecision {
  const byClass = Array.from({ length: classes }, (_, label) =>
    label === 0 ? NaN : averagePrecision(precisionRecall(pictures, label), method),
  );
  const known = byClass.filter((value) => !Number.isNaN(value));
  return { mean: known.reduce((sum, value) => sum + value, 0) / known.length, byClass };
}
