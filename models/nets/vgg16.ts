import * as tf from '@tensorflow/tfjs';
import type { NetBuilder, Pass } from './builder.ts';
import type { ConvolutionInitial, Layer } from './layers.ts';
import { convolution } from './layers.ts';

/** Glorot and Bengio 2010, equation (16): uniform of variance 2 / (fan in + fan out). Caffe's `xavier` in the SSD code is near it. */
export const glorot: ConvolutionInitial = ([height, width, inputs, outputs]) => ({
  kind: 'uniform',
  bound: Math.sqrt(6 / (height * width * (inputs + outputs))),
});

/** He et al. 2015, equation (10), as a uniform: variance 2 / fan in. Sixteen layers without normalisation die out with less. */
const heUniform: ConvolutionInitial = ([height, width, inputs]) => ({
  kind: 'uniform',
  bound: Math.sqrt(6 / (height * width * inputs)),
});

/** Convolutions of each of the five blocks, and their filters in units of the first block's. */
const BLOCKS = [
  { layers: 2, factor: 1 },
  { layers: 2, factor: 2 },
  { layers: 3, factor: 4 },
  { layers: 3, factor: 8 },
  { layers: 3, factor: 8 },
] as const;

export interface Vgg16Options {
  /** Filters of the first block; 64 in the paper. fc6 and fc7 have sixteen times as many. */
  readonly width: number;
}

/** A VGG-16 turned into features for detection. */
export interface Vgg16 {
  /** Channels of conv4_3 and of fc7. */
  readonly channels: { readonly conv4: number; readonly fc7: number };
  /** The outputs of conv4_3 (1/8 of the input, rounded up) and of fc7 (1/16). */
  forward(x: tf.Tensor4D, pass: Pass): { readonly conv4: tf.Tensor4D; readonly fc7: tf.Tensor4D };
}

/**
 * VGG-16 (Simonyan and Zisserman 2015, configuration D) as SSD section 3 changes it: pool5 is 3 x 3 with stride 1, fc6 a 3 x 3 convolution with
 * dilation 6 and fc7 a 1 x 1 one, no dropout, no fc8. Pools round up (75 becomes 38). Tensors are named as in the
 * paper: `conv1_1/weight` to `conv5_3/bias`, `fc6/weight` and so on.
 */
export function vgg16(builder: NetBuilder, { width }: Vgg16Options): Vgg16 {
  let inputs = 3;
  const blocks = BLOCKS.map(({ layers, factor }, block) =>
    Array.from({ length: layers }, (_, index): Layer => {
      const outputs = factor * width;
      const name = `conv${block + 1}_${index + 1}`;
      const layer = convolution(builder, name, { inputs, outputs, size: 3, bias: true, initial: heUniform });
      inputs = outputs;
      return (x, pass) => tf.relu(layer(x, pass));
    }),
  );
  const wide = 16 * width;
  const initial = heUniform;
  const fc6 = convolution(builder, 'fc6', { inputs, outputs: wide, size: 3, dilation: 6, bias: true, initial });
  const fc7 = convolution(builder, 'fc7', { inputs: wide, outputs: wide, size: 1, bias: true, initial });
  return {
    channels: { conv4: 8 * width, fc7: wide },
    forward: (x, pass) => {
      let y = x;
      let conv4 = x;
      blocks.forEach((layers, block) => {
        y = layers.reduce((z, layer) => layer(z, pass), y);
        if (block === 3) conv4 = y;
        // "same" pads at the end only, where a side is odd: as PyTorch's ceil_mode.
        y = block < 4 ? tf.maxPool(y, 2, 2, 'same') : tf.maxPool(y, 3, 1, 1, 'floor');
      });
      return { conv4, fc7: tf.relu(fc7(tf.relu(fc6(y, pass)), pass)) };
    },
  };
}
