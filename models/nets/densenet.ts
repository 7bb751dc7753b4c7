import * as tf from '@tensorflow/tfjs';
import { NetBuilder } from './builder.ts';
import type { Layer } from './layers.ts';
import { batchNorm, classifier, convolution, pytorchInitial } from './layers.ts';
import type { Net, NetOptions } from './net.ts';

export interface DenseNetOptions extends NetOptions {
  /** Outputs. */
  readonly classes: number;
  /** Feature maps that a layer adds. Default 32, the paper's. */
  readonly growth?: number;
  /** Layers of each block. Default 6, 12, 24 and 16, DenseNet-121's. */
  readonly blocks?: readonly number[];
}

/** Layers of the four blocks of DenseNet-121. */
const BLOCKS = [6, 12, 24, 16] as const;

/** A bottleneck's 1 x 1 convolution has four times the growth, a transition half of its inputs (DenseNet-BC). */
const BOTTLENECK = 4;
const COMPRESSION = 0.5;

/**
 * DenseNet-121 (Huang et al. 2017) for CIFAR, of the repository that the authors' code builds on: a 3 x 3 stem with twice the growth, initial values of
 * PyTorch. With growth 32, 6,956,298 parameters for 10 classes, 7,048,548 for 100. Tensors are named as in torchvision, whose order of channels
 * it has too (a layer's own behind those before); the repository's has them in front, which permutes weights and nothing else. Standard dropout, if any,
 * is behind each layer's last convolution, as in the DenseNet paper.
 */
export function denseNet(name: string, { classes, growth = 32, blocks = BLOCKS, ...options }: DenseNetOptions): Net {
  const builder = new NetBuilder(name, options);
  const initial = pytorchInitial;

  const denseLayer = (at: string, inputs: number): Layer => {
    const norm1 = batchNorm(builder, `${at}/norm1`, inputs);
    const conv1 = convolution(builder, `${at}/conv1`, { inputs, outputs: BOTTLENECK * growth, size: 1, initial });
    const norm2 = batchNorm(builder, `${at}/norm2`, BOTTLENECK * growth);
    const conv2 = convolution(builder, `${at}/conv2`, {
      inputs: BOTTLENECK * growth,
      outputs: growth,
      size: 3,
      initial,
    });
    return (x, pass) => {
      const inner = conv1(norm1(x, pass, { relu: true }), pass);
      const added = pass.drop(conv2(norm2(inner, pass, { relu: true }), pass));
      return tf.concat4d([x, added], 3);
    };
  };

  const transition = (at: string, inputs: number, outputs: number): Layer => {
    const norm = batchNorm(builder, `${at}/norm`, inputs);
    const conv = convolution(builder, `${at}/conv`, { inputs, outputs, size: 1, initial });
    return (x, pass) => tf.avgPool(conv(norm(x, pass, { relu: true }), pass), 2, 2, 'valid');
  };

  let channels = 2 * growth;
  const layers: Layer[] = [
    convolution(builder, 'features/conv0', { inputs: 3, outputs: channels, size: 3, initial }),
    ...blocks.flatMap((count, block) => {
      const dense = Array.from({ length: count }, (_, index) => {
        const layer = denseLayer(`features/denseblock${block + 1}/denselayer${index + 1}`, channels);
        channels += growth;
        return layer;
      });
      if (block === blocks.length - 1) return dense;
      const inputs = channels;
      channels = Math.floor(inputs * COMPRESSION);
      return [...dense, transition(`features/transition${block + 1}`, inputs, channels)];
    }),
  ];
  const norm5 = batchNorm(builder, 'features/norm5', channels);
  const classify = classifier(builder, 'classifier', channels, classes);
  return builder.net((inputs, pass) => {
    const features = layers.reduce((x, layer) => layer(x, pass), inputs as tf.Tensor4D);
    return classify(norm5(features, pass, { relu: true }));
  });
}
