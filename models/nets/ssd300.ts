import * as tf from '@tensorflow/tfjs';
import { SSD300_MAPS, boxesPerCell } from './defaultBoxes.ts';
import { UsageError } from '../errors.ts';
import { NetBuilder } from './builder.ts';
import type { Layer } from './layers.ts';
import { convolution } from './layers.ts';
import type { Net, NetOptions } from './net.ts';
import { glorot, vgg16 } from './vgg16.ts';

/** What SSD says about a batch: offsets `[batch, boxes, 4]` and class scores `[batch, boxes, classes]`, before the softmax. */
export interface Predictions {
  readonly offsets: tf.Tensor3D;
  readonly logits: tf.Tensor3D;
}

export interface Ssd300Options extends NetOptions {
  /** The background counts: 21 for VOC. */
  readonly classes: number;
  /** Filters of VGG-16's first block, a multiple of 4; everything else is in proportion. Default 64, the paper's. */
  readonly width?: number;
}

/** Where conv4_3 is scaled to at first (SSD section 3.1, after ParseNet). */
export const L2_NORM_SCALE = 20;

const EPSILON = 1e-10;

/** Each pixel's channels divided by their length and multiplied by a learned factor each, 20 at first. */
export function l2Norm(builder: NetBuilder, name: string, channels: number): Layer {
  const scale = builder.parameter<tf.Rank.R1>(`${name}/weight`, [channels], { kind: 'constant', value: L2_NORM_SCALE });
  return (x) => {
    const length = tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), EPSILON));
    return tf.mul(tf.div(x, length), scale);
  };
}

/** The four pairs of layers behind fc7: a 1 x 1 convolution, then a 3 x 3 one that makes the map smaller. Filters for width 64. */
const EXTRAS = [
  { narrow: 256, wide: 512, stride: 2, padding: 1 },
  { narrow: 128, wide: 256, stride: 2, padding: 1 },
  { narrow: 128, wide: 256, stride: 1, padding: 0 },
  { narrow: 128, wide: 256, stride: 1, padding: 0 },
] as const;

const PAPER_WIDTH = 64;

/** Throws a `UsageError` for a width that does not divide into SSD300's narrow layers. */
export function checkSsd300Width(width: number): void {
  if (width % 4 !== 0) throw new UsageError(`--width must be a multiple of 4 for ssd300, got ${width}`);
}

/**
 * SSD300 (Liu et al. 2016) on VGG-16, for RGB images of 300 x 300, normalised: offsets and class scores of 8,732 default boxes, in the order of
 * `defaultBoxes`. 26,285,486 parameters with VOC's 21 classes (the count of amdegroot/ssd.pytorch, and of the layers added up by hand in the tests).
 *
 * Throws a `UsageError` for a width that is not a multiple of 4.
 */
export function ssd300({ classes, width = PAPER_WIDTH, ...options }: Ssd300Options): Net<Predictions> {
  checkSsd300Width(width);
  const builder = new NetBuilder('ssd300', options);
  const base = vgg16(builder, { width });
  const normalize = l2Norm(builder, 'l2norm', base.channels.conv4);
  const initial = glorot;

  let inputs = base.channels.fc7;
  const extras = EXTRAS.map((extra, index): Layer => {
    const narrow = (extra.narrow / PAPER_WIDTH) * width;
    const wide = (extra.wide / PAPER_WIDTH) * width;
    const { stride, padding } = extra;
    const reduce = convolution(builder, `extras/${index}/0`, { inputs, outputs: narrow, size: 1, bias: true, initial });
    const shrink = convolution(builder, `extras/${index}/1`, {
      inputs: narrow,
      outputs: wide,
      size: 3,
      stride,
      padding,
      bias: true,
      initial,
    });
    inputs = wide;
    return (x, pass) => tf.relu(shrink(tf.relu(reduce(x, pass)), pass));
  });

  const channels = [base.channels.conv4, base.channels.fc7, ...EXTRAS.map(({ wide }) => (wide / PAPER_WIDTH) * width)];
  const heads = SSD300_MAPS.map((map, index) => {
    const head = (kind: string, outputs: number): Layer =>
      convolution(builder, `${kind}/${index}`, {
        inputs: channels[index] as number,
        outputs: outputs * boxesPerCell(map),
        size: 3,
        bias: true,
        initial,
      });
    return { offsets: head('offsets', 4), logits: head('scores', classes) };
  });

  return builder.net((image, pass) => {
    const { conv4, fc7 } = base.forward(image as tf.Tensor4D, pass);
    const maps = [normalize(conv4, pass), fc7];
    let last = fc7;
    for (const extra of extras) {
      last = extra(last, pass);
      maps.push(last);
    }
    const batch = conv4.shape[0];
    const gather = (kind: 'offsets' | 'logits', values: number): tf.Tensor3D =>
      tf.concat(
        heads.map((head, index) =>
          tf.reshape<tf.Rank.R3>(head[kind](maps[index] as tf.Tensor4D, pass), [batch, -1, values]),
        ),
        1,
      );
    return { offsets: gather('offsets', 4), logits: gather('logits', classes) };
  });
}
