import type { Augmentation, CropFlip } from './augmentation.ts';
import { drawCropFlip } from './augmentation.ts';
import type { ImageShape, Images, Split } from './dataSet.ts';

/** What images in memory know. */
export const MEMORY_AUGMENTATIONS: readonly Augmentation[] = ['none', 'crop-flip'];

/** Copies a crop of an image's own size; what lies outside the image is black. */
export function cropInto(out: Uint8Array, image: Uint8Array, shape: ImageShape, crop: CropFlip): void {
  const [height, width, channels] = shape;
  const row = width * channels;
  // The part of a row of the image that stays within the crop.
  const first = Math.max(0, crop.left);
  const last = Math.min(width, width + crop.left);
  out.fill(0);
  if (first >= last) return;
  for (let y = 0; y < height; y++) {
    const from = y + crop.top;
    if (from < 0 || from >= height) continue;
    if (!crop.mirrored) {
      const start = y * row + (first - crop.left) * channels;
      out.set(image.subarray(from * row + first * channels, from * row + last * channels), start);
      continue;
    }
    for (let x = first; x < last; x++) {
      const source = from * row + x * channels;
      const target = y * row + (width - 1 - (x - crop.left)) * channels;
      for (let c = 0; c < channels; c++) out[target + c] = image[source + c] as number;
    }
  }
}

/** Images held in memory, one after the other. */
function memoryImages(shape: ImageShape, bytes: Uint8Array): Images {
  const size = shape[0] * shape[1] * shape[2];
  return {
    streamed: false,
    read: (index, view, out) => {
      const image = bytes.subarray(index * size, (index + 1) * size);
      if (view === 'plain' || view.augmentation === 'none') out.set(image);
      else cropInto(out, image, shape, drawCropFlip(view.draws));
    },
  };
}

/** A split in memory: `labels.length` images of `shape`. */
export function memorySplit(shape: ImageShape, bytes: Uint8Array, labels: ArrayLike<number>): Split {
  return { count: labels.length, labels: Int32Array.from(labels), images: memoryImages(shape, bytes) };
}
