import * as tf from '@tensorflow/tfjs';
import { MEAN_COLOUR } from './raster.ts';
import type { Picture } from './raster.ts';

/** ImageNet's deviation of each channel, in [0, 255]. */
const DEVIATION = [0.229 * 255, 0.224 * 255, 0.225 * 255] as const;

/**
 * Pictures of one size as a network's inputs [batch, height, width, 3]: minus ImageNet's mean colour, divided by its deviation, as
 * torchvision's weights expect.
 */
export function toInputs(pictures: readonly Picture[]): tf.Tensor4D {
  const [first] = pictures;
  if (first === undefined) throw new RangeError('pictures must not be empty');
  const { width, height } = first;
  const values = new Float32Array(pictures.length * width * height * 3);
  let at = 0;
  for (const { data } of pictures) {
    for (let i = 0; i < data.length; i++) {
      const channel = i % 3;
      values[at++] = ((data[i] as number) - (MEAN_COLOUR[channel] as number)) / (DEVIATION[channel] as number);
    }
  }
  return tf.tensor4d(values, [pictures.length, height, width, 3]);
}
