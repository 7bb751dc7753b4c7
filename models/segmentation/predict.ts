import * as tf from '@tensorflow/tfjs';
import type { Net } from '../nets/net.ts';
import type { Mask, Picture, Window } from '../raster/raster.ts';
import { MEAN_COLOUR, cropPicture } from '../raster/raster.ts';
import { toInputs } from '../raster/normalize.ts';
import { fittingWindow } from './augment.ts';
import type { SegmentationLogits } from './loss.ts';
import { resizeAligned } from './resample.ts';

type SegmentationNet = Pick<Net<SegmentationLogits>, 'forward'>;

/** The network's scores of a picture whose sides fit, at full size: [height, width, classes]. */
function fullScores(net: SegmentationNet, picture: Picture): tf.Tensor3D {
  return tf.tidy(() => {
    const { main } = net.forward(toInputs([picture]), { training: false, step: 1 });
    return tf.squeeze<tf.Tensor3D>(resizeAligned(main, picture.height, picture.width), [0]);
  });
}

/** The class of each pixel, from the picture at once, with a margin where it is smaller than `least` or does not fit. */
export async function predictWhole(net: SegmentationNet, picture: Picture, least: number): Promise<Mask> {
  const { width, height } = picture;
  const window = fittingWindow(picture, least);
  const classes = tf.tidy(() => {
    const scores = fullScores(net, cropPicture(picture, window, MEAN_COLOUR));
    return tf.argMax(tf.slice(scores, [-window.y, -window.x, 0], [height, width, -1]), -1);
  });
  const data = Uint8Array.from(await classes.data());
  classes.dispose();
  return { width, height, data };
}

/** Where windows of `side` begin along an axis: every `stride` pixels, the last one at the end; one around the middle where all fits in. */
export function windowStarts(extent: number, side: number, stride: number): number[] {
  if (extent <= side) return [-Math.floor((side - extent) / 2)];
  const count = Math.ceil((extent - side) / stride) + 1;
  return Array.from({ length: count }, (_, i) => Math.min(i * stride, extent - side));
}

/**
 * The class of each pixel from windows of `side x side` that slide over the picture, two thirds of a side at a time (as in the authors'
 * evaluation): the class of the largest mean softmax probability over the windows that saw the pixel.
 */
export async function predictSliding(net: SegmentationNet, picture: Picture, side: number): Promise<Mask> {
  const { width, height } = picture;
  const stride = Math.ceil((side * 2) / 3);
  let total: Float32Array | undefined;
  for (const y of windowStarts(height, side, stride)) {
    for (const x of windowStarts(width, side, stride)) {
      const window: Window = { x, y, width: side, height: side };
      const probabilities = tf.tidy(() => tf.softmax(fullScores(net, cropPicture(picture, window, MEAN_COLOUR))));
      const classes = probabilities.shape[2];
      const values = (await probabilities.data()) as Float32Array;
      probabilities.dispose();
      total ??= new Float32Array(width * height * classes);
      for (let row = Math.max(0, y); row < Math.min(height, y + side); row++) {
        for (let column = Math.max(0, x); column < Math.min(width, x + side); column++) {
          const to = row * width + column;
          const from = ((row - y) * side + (column - x)) * classes;
          for (let k = 0; k < classes; k++)
            total[to * classes + k] = (total[to * classes + k] as number) + (values[from + k] as number);
        }
      }
    }
  }
  const sums = total as Float32Array;
  const classes = sums.length / (width * height);
  // The mean over the windows has the same largest class as the sum.
  const data = Uint8Array.from({ length: width * height }, (_, pixel) => {
    let best = 0;
    for (let k = 1; k < classes; k++) {
      if ((sums[pixel * classes + k] as number) > (sums[pixel * classes + best] as number)) best = k;
    }
    return best;
  });
  return { width, height, data };
}
