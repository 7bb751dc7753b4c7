import type { Augmentation } from './augmentation.ts';
import { drawCropFlip, drawResizedCrop } from './augmentation.ts';
import type { ImageShape, Images } from './dataSet.ts';
import type { Size } from './decode.ts';
import { decodeCentre, decodeWhole, decodeWindow } from './decode.ts';
import { cropInto } from './memoryImages.ts';

/** What images in files know. */
export const FILE_AUGMENTATIONS: readonly Augmentation[] = ['none', 'crop-flip', 'resized-crop-flip'];

/** Image files of one split. */
export interface ImageFiles {
  readonly path: (index: number) => string;
  /** What the network sees; three channels. */
  readonly shape: ImageShape;
  /**
   * `fixed`: every file has the shape's size. Else files have any size, and are seen plain as the middle of the image after its
   * shorter side was resized to so many pixels.
   */
  readonly sizes: 'fixed' | { readonly resized: number };
}

/** Images that are decoded when they are asked for, by the pool of threads. Nothing is kept. */
export function fileImages({ path, shape, sizes }: ImageFiles): Images {
  const size: Size = [shape[0], shape[1]];
  const plain = (file: string, out: Uint8Array): Promise<void> =>
    sizes === 'fixed' ? decodeWhole(file, size, out) : decodeCentre(file, sizes.resized, size, out);
  return {
    streamed: true,
    read: async (index, view, out) => {
      const file = path(index);
      if (view === 'plain' || view.augmentation === 'none') return plain(file, out);
      if (view.augmentation === 'crop-flip') {
        const whole = new Uint8Array(out.length);
        await plain(file, whole);
        cropInto(out, whole, shape, drawCropFlip(view.draws));
        return undefined;
      }
      const { draws } = view;
      return decodeWindow(file, ([height, width]) => drawResizedCrop(draws, height, width), size, out);
    },
  };
}
