import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors.ts';
import { adaptiveAveragePool, resizeAligned } from './resample.ts';
import { NetBuilder } from './builder.ts';
import type { Layer } from './layers.ts';
import { batchNorm, convolution, heFanOut } from './layers.ts';
import type { Net, NetOptions } from './net.ts';
import { resNetBackbone } from './resnet.ts';

/** What PSPNet says, [batch, height, width, classes] at an eighth of the input's size; `auxiliary` in training only. */
export interface SegmentationLogits {
  readonly main: tf.Tensor4D;
  readonly auxiliary?: tf.Tensor4D;
}

export interface PspNetOptions extends NetOptions {
  /** The background counts: 21 for VOC. */
  readonly classes: number;
  /** Filters of the backbone's first stage; the heads are in proportion. Default 64, the paper's. */
  readonly width?: number;
}

/** Bins along each side of the pyramid's levels (Zhao et al. 2017, section 3.2). */
export const PYRAMID_BINS = [1, 2, 3, 6] as const;

/** Input pixels to one of the output. */
export const OUTPUT_STRIDE = 8;

/** A convolution without bias, its normalisation and a ReLU. */
function convNormRelu(builder: NetBuilder, name: string, inputs: number, outputs: number, size: 1 | 3): Layer {
  const apply = convolution(builder, `${name}/0`, { inputs, outputs, size, initial: heFanOut });
  const norm = batchNorm(builder, `${name}/1`, outputs);
  return (x, pass) => norm(apply(x, pass), pass, { relu: true });
}

/** 3 x 3 to `hidden` channels, and from these a score a class at each pixel. */
function scores(builder: NetBuilder, name: string, inputs: number, hidden: number, classes: number): Layer {
  const gather = convNormRelu(builder, name, inputs, hidden, 3);
  const last = { inputs: hidden, outputs: classes, size: 1, bias: true, initial: heFanOut };
  const score = convolution(builder, `${name}/4`, last);
  return (x, pass) => score(pass.drop(gather(x, pass)), pass);
}

/** Throws a `UsageError` for a width that PSPNet cannot have. */
export function checkPspNetWidth(width: number): void {
  if (width % 2 !== 0) throw new UsageError(`--width must be a multiple of 2 for pspnet, got ${width}`);
}

/**
 * PSPNet (Zhao et al. 2017) on a dilated ResNet-50, for RGB images: class scores at an eighth of the image's size, (side - 1) / 8 + 1 where that is
 * whole, as with crops of 473. 48,957,802 parameters with VOC's 21 classes, the auxiliary head's 2,365,205 among them.
 *
 * The backbone's tensors are named as torchvision's ResNet-50, so that its weights fit: its stem is one 7 x 7 convolution, where the authors' has three
 * 3 x 3. The heads' are named as in hszhao/semseg (`ppm`, `cls`, `aux`). Without the dropout of .1 that this has ahead of its last layers, unless the network is
 * built with `standardDropout`.
 */
export function pspnet({ classes, width = 64, ...options }: PspNetOptions): Net<SegmentationLogits> {
  checkPspNetWidth(width);
  const builder = new NetBuilder('pspnet', options);
  const backbone = resNetBackbone(builder, {
    block: 'bottleneck',
    blocks: [3, 4, 6, 3],
    stem: 'imagenet',
    width,
    outputStride: OUTPUT_STRIDE,
    initial: heFanOut,
  });
  const [, , third, fourth] = backbone.channels;
  const level = fourth / PYRAMID_BINS.length;
  const levels = PYRAMID_BINS.map((bins, index) => ({
    bins,
    reduce: convNormRelu(builder, `ppm/${index}`, fourth, level, 1),
  }));
  const main = scores(builder, 'cls', 2 * fourth, fourth / 4, classes);
  const auxiliary = scores(builder, 'aux', third, third / 4, classes);
  return builder.net((image, pass) => {
    const [, , early, late] = backbone.forward(image as tf.Tensor4D, pass);
    const [, height, width] = late.shape;
    const pyramid = levels.map(({ bins, reduce }) =>
      resizeAligned(reduce(adaptiveAveragePool(late, bins), pass), height, width),
    );
    const output = { main: main(tf.concat([late, ...pyramid], 3), pass) };
    return pass.training ? { ...output, auxiliary: auxiliary(early, pass) } : output;
  });
}
