import * as tf from '@tensorflow/tfjs';
import type { Net } from '../../nets/net.ts';
import type { Mask, Picture, Window } from '../../raster/raster.ts';
import { MEAN_COLOUR, cropPicture } from '../../raster/raster.ts';
import { toInputs } from '../../raster/normalize.ts';
import { fittingWindow } from './augment.ts';
import type { SegmentationLogits } from '../../nets/pspnet.ts';
import { VOID } from './metrics.ts';
import { resizeAligned } from '../../nets/resample.ts';

/** The smallest positive number of single precision that is no subnormal: a loss stays finite. */
const LEAST_PROBABILITY = 2 ** -126;

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
 * The probabilities [height, width, classes] of each pixel from windows of `side x side` that slide over the picture, two thirds of a side
 * at a time (as in the authors' evaluation): the mean of the softmax over the windows that saw the pixel.
 */
async function slidingProbabilities(net: SegmentationNet, picture: Picture, side: number): Promise<Float32Array> {
  const { width, height } = picture;
  const stride = Math.ceil((side * 2) / 3);
  const seen = new Uint8Array(width * height);
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
          seen[to] = (seen[to] as number) + 1;
          for (let k = 0; k < classes; k++)
            total[to * classes + k] = (total[to * classes + k] as number) + (values[from + k] as number);
        }
      }
    }
  }
  const sums = total as Float32Array;
  const classes = sums.length / seen.length;
  return sums.map((sum, i) => sum / (seen[Math.floor(i / classes)] as number));
}

/** What windows that slide over a picture say of it. */
export interface SlidingPrediction {
  /** The most probable class of each pixel. */
  readonly mask: Mask;
  /** Mean of -ln(the label's probability) over the pixels that are not void; 0 where all are. */
  loss(labels: Mask): number;
}

/** The class of each pixel by the mean probabilities of sliding windows. */
export async function predictSliding(
  net: SegmentationNet,
  { width, height, data: colours }: Picture,
  side: number,
): Promise<SlidingPrediction> {
  const probabilities = await slidingProbabilities(net, { width, height, data: colours }, side);
  const classes = probabilities.length / (width * height);
  const data = Uint8Array.from({ length: width * height }, (_, pixel) => {
    let best = 0;
    for (let k = 1; k < classes; k++) {
      if ((probabilities[pixel * classes + k] as number) > (probabilities[pixel * classes + best] as number)) best = k;
    }
    return best;
  });
  return {
    mask: { width, height, data },
    loss: ({ data: labels }) => {
      let [sum, count] = [0, 0];
      labels.forEach((label, pixel) => {
        if (label === VOID) return;
        sum -= Math.log(Math.max(probabilities[pixel * classes + label] as number, LEAST_PROBABILITY));
        count += 1;
      });
      return count === 0 ? 0 : sum / count;
    },
  };
}
