import { decodeBase64 } from 'learning-rate-dropout/internal';
import type { ImageSet, ImageShape, Split } from './dataSet.ts';
import { digitsBase64 } from './digits.data.ts';
import { MEMORY_AUGMENTATIONS, memorySplit } from './memoryImages.ts';

const COUNT = 1797;
const PIXELS = 64;
/** The first 1,437 images (80 %) train; the last 360, by other writers, test. */
const TRAIN = 1437;

/** The embedded UCI digits: 8 x 8 grey images of 0..16, ten classes. Works without a file system. */
export async function loadDigits(): Promise<ImageSet> {
  const inflated = new Blob([decodeBase64(digitsBase64)]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const bytes = new Uint8Array(await new Response(inflated).arrayBuffer());
  const images = bytes.subarray(0, COUNT * PIXELS);
  const labels = bytes.subarray(COUNT * PIXELS);
  const shape: ImageShape = [8, 8, 1];
  const split = (from: number, to: number): Split =>
    memorySplit(shape, images.subarray(from * PIXELS, to * PIXELS), labels.subarray(from, to));
  return {
    name: 'digits',
    shape,
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
    maximum: 16,
    mean: [0],
    std: [1],
    augmentation: 'none',
    augmentations: MEMORY_AUGMENTATIONS,
    train: split(0, TRAIN),
    test: split(TRAIN, COUNT),
    source: 'embedded: UCI Optical Recognition of Handwritten Digits, CC BY 4.0, https://doi.org/10.24432/C50P49',
  };
}
