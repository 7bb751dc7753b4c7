/** What training may do to an image, by the names that `--augment` takes. */
export const AUGMENTATIONS = ['none', 'crop-flip', 'resized-crop-flip'] as const;

/**
 * - `none`: the image as tests see it.
 * - `crop-flip`: a crop of the image's own size out of the image with four black pixels put around it, mirrored half of the time.
 * - `resized-crop-flip`: a crop of 8 to 100 % of the area, of an aspect between 3:4 and 4:3, resized, mirrored half of the time.
 */
export type Augmentation = (typeof AUGMENTATIONS)[number];

/**
 * The augmentation stream for one image in one epoch (spec/stream.ts): the four words of attempt k. Attempt 0 is the image's own
 * block; what has to draw again reads the block whose high word is k.
 */
export type Draw = (attempt: number) => Uint32Array;

/** How an image is to be seen: as tests see it, or augmented by what is drawn. */
export type View = 'plain' | { readonly augmentation: Augmentation; readonly draw: Draw };

/** One of `choices` by a word of the stream: floor(word choices / 2^32). */
export function choose(word: number, choices: number): number {
  return Math.floor((word * choices) / 2 ** 32);
}

/** Pixels of black put around an image before it is cropped (the authors' main.py: RandomCrop(32, padding=4)). */
export const PADDING = 4;

/** Where a crop begins, in rows and columns of the unpadded image (from -4 to 4), and whether it is mirrored left to right. */
export interface CropFlip {
  readonly top: number;
  readonly left: number;
  readonly mirrored: boolean;
}

/** `crop-flip` from the words of attempt 0: word 0 chooses the row, word 1 the column, word 2 mirrors (1 of 2). */
export function drawCropFlip(draw: Draw): CropFlip {
  const words = draw(0);
  const offsets = 2 * PADDING + 1;
  return {
    top: choose(words[0] as number, offsets) - PADDING,
    left: choose(words[1] as number, offsets) - PADDING,
    mirrored: choose(words[2] as number, 2) === 1,
  };
}
