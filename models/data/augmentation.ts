import { UsageError } from '../errors.ts';
import type { Draws } from '../raster/draws.ts';

/** What training may do to an image, by the names that `--augment` takes. */
export const AUGMENTATIONS = ['none', 'crop-flip', 'resized-crop-flip'] as const;

/**
 * - `none`: the image as tests see it.
 * - `crop-flip`: a crop of the image's own size out of the image with four black pixels put around it, mirrored half of the time
 *   (CIFAR; the authors' main.py).
 * - `resized-crop-flip`: a crop of 8 to 100 % of the area, of an aspect between 3:4 and 4:3, resized, mirrored half of the time
 *   (ImageNet; Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6; torchvision's RandomResizedCrop).
 */
export type Augmentation = (typeof AUGMENTATIONS)[number];

/** How an image is to be seen: as tests see it, or augmented by what is drawn for it. */
export type View = 'plain' | { readonly augmentation: Augmentation; readonly draws: Draws };

/** A set for training under another augmentation. Throws a `UsageError` for one that the set does not know. */
export function withAugmentation<S extends { readonly name: string; readonly augmentations: readonly Augmentation[] }>(
  set: S,
  augmentation: string,
): S & { readonly augmentation: Augmentation } {
  const known = set.augmentations.find((name) => name === augmentation);
  if (known === undefined) {
    throw new UsageError(
      `--augment must be one of ${set.augmentations.join(', ')} for ${set.name}, got ${JSON.stringify(augmentation)}`,
    );
  }
  return { ...set, augmentation: known };
}

/** Pixels of black put around an image before it is cropped (the authors' main.py: RandomCrop(32, padding=4)). */
export const PADDING = 4;

/** Where a crop begins, in rows and columns of the unpadded image (from -4 to 4), and whether it is mirrored left to right. */
export interface CropFlip {
  readonly top: number;
  readonly left: number;
  readonly mirrored: boolean;
}

/** Word 0 chooses the row, word 1 the column, word 2 whether it is mirrored. */
export function drawCropFlip(draws: Draws): CropFlip {
  const offsets = 2 * PADDING + 1;
  const top = draws.choice(offsets) - PADDING;
  const left = draws.choice(offsets) - PADDING;
  return { top, left, mirrored: draws.choice(2) === 1 };
}

/** A window of an image, within it. */
export interface ResizedCrop extends CropFlip {
  readonly height: number;
  readonly width: number;
}

const AREA = [0.08, 1] as const;
const ASPECT = [3 / 4, 4 / 3] as const;
const ATTEMPTS = 10;

/**
 * Word 0 chooses whether it is mirrored. Then each attempt takes two words: the area's share, uniform, and the aspect, its logarithm
 * uniform; the first window of ten that fits is placed by two words more, row and column. None fits: the largest window in the
 * middle whose aspect is allowed.
 */
export function drawResizedCrop(draws: Draws, height: number, width: number): ResizedCrop {
  const mirrored = draws.choice(2) === 1;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const area = height * width * draws.between(...AREA);
    const aspect = Math.exp(draws.between(Math.log(ASPECT[0]), Math.log(ASPECT[1])));
    const [h, w] = [Math.round(Math.sqrt(area / aspect)), Math.round(Math.sqrt(area * aspect))];
    if (h < 1 || w < 1 || h > height || w > width) continue;
    const top = draws.choice(height - h + 1);
    const left = draws.choice(width - w + 1);
    return { top, left, height: h, width: w, mirrored };
  }
  const aspect = Math.min(Math.max(width / height, ASPECT[0]), ASPECT[1]);
  const h = Math.max(1, Math.min(height, Math.round(width / aspect)));
  const w = Math.max(1, Math.min(width, Math.round(height * aspect)));
  return { top: Math.floor((height - h) / 2), left: Math.floor((width - w) / 2), height: h, width: w, mirrored };
}
