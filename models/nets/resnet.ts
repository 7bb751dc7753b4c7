import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../errors.ts';
import { NetBuilder } from './builder.ts';
import type { Pass } from './builder.ts';
import type { ConvolutionInitial, Layer, Norm } from './layers.ts';
import { batchNorm, classifier, convolution, heFanIn, heFanOut, pytorchInitial, stemPool } from './layers.ts';
import type { Net, NetOptions } from './net.ts';

/** Two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1 with four times the filters (He et al. 2016, figure 5). */
export type BlockKind = 'basic' | 'bottleneck';

/** What stands ahead of the stages: a 3 x 3 convolution at full size, or 7 x 7 with stride 2 and a pool with stride 2. */
export type Stem = 'cifar' | 'imagenet';

export interface BackboneOptions {
  readonly block: BlockKind;
  /** Blocks of each of the four stages. */
  readonly blocks: readonly [number, number, number, number];
  readonly stem: Stem;
  /** Filters of the first stage, doubled from stage to stage. Default 64. */
  readonly width?: number;
  /** ResNeXt's cardinality. Default 1. */
  readonly groups?: number;
  /** Filters a group in the first stage, of ResNeXt. Default: `width`, as fits one group. */
  readonly groupWidth?: number;
  /**
   * Input pixels to one of the last stage, where stages dilate from there on instead of striding (Chen et al. 2017). Default: all stages but the
   * first stride by 2, which makes 32 with the `imagenet` stem and 8 with the other. 8 or 16 for segmentation with the `imagenet` stem.
   */
  readonly outputStride?: number;
  /** Default: PyTorch's, uniform in +-1/sqrt(fan in). */
  readonly initial?: ConvolutionInitial;
}

/** The outputs of the four stages. */
export type Stages = readonly [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];

/** A ResNet without its classifier. */
export interface Backbone {
  /** Channels of each stage's output. */
  readonly channels: readonly [number, number, number, number];
  forward(x: tf.Tensor4D, pass: Pass): Stages;
}

interface BlockOptions {
  readonly inputs: number;
  /** Filters of the 3 x 3 convolutions; a bottleneck's output has `outputs`. */
  readonly filters: number;
  readonly outputs: number;
  readonly stride: number;
  readonly dilation: number;
  readonly groups: number;
  readonly initial: ConvolutionInitial;
}

/**
 * relu(last(x) + shortcut). Standard dropout is where the authors' `resnet_dropout` has it: behind inner ReLUs, ahead of the sum, and on a shortcut with a
 * projection only.
 */
function joined(norm: Norm, y: tf.Tensor4D, shortcut: tf.Tensor4D, pass: Pass): tf.Tensor4D {
  if (!pass.drops) return norm(y, pass, { relu: true, residual: shortcut });
  return tf.relu(tf.add<tf.Tensor4D>(pass.drop(norm(y, pass)), shortcut));
}

/** A 1 x 1 convolution with its normalisation where the sizes differ (option B), else x itself. */
function projection(builder: NetBuilder, name: string, { inputs, outputs, stride, initial }: BlockOptions): Layer {
  if (stride === 1 && inputs === outputs) return (x) => x;
  const project = convolution(builder, `${name}/downsample/0`, { inputs, outputs, size: 1, stride, initial });
  const norm = batchNorm(builder, `${name}/downsample/1`, outputs);
  return (x, pass) => pass.drop(norm(project(x, pass), pass));
}

function basicBlock(builder: NetBuilder, name: string, options: BlockOptions): Layer {
  const { inputs, filters, stride, dilation, initial } = options;
  const first = convolution(builder, `${name}/conv1`, { inputs, outputs: filters, size: 3, stride, dilation, initial });
  const firstNorm = batchNorm(builder, `${name}/bn1`, filters);
  const second = convolution(builder, `${name}/conv2`, {
    inputs: filters,
    outputs: filters,
    size: 3,
    dilation,
    initial,
  });
  const secondNorm = batchNorm(builder, `${name}/bn2`, filters);
  const shortcut = projection(builder, name, options);
  return (x, pass) => {
    const inner = pass.drop(firstNorm(first(x, pass), pass, { relu: true }));
    return joined(secondNorm, second(inner, pass), shortcut(x, pass), pass);
  };
}

/** The stride is in the 3 x 3 convolution, as in torchvision ("ResNet v1.5"); the paper has it in the first. */
function bottleneckBlock(builder: NetBuilder, name: string, options: BlockOptions): Layer {
  const { inputs, filters, outputs, stride, dilation, groups, initial } = options;
  const first = convolution(builder, `${name}/conv1`, { inputs, outputs: filters, size: 1, initial });
  const firstNorm = batchNorm(builder, `${name}/bn1`, filters);
  const middle = { inputs: filters, outputs: filters, size: 3, stride, dilation, groups, initial };
  const second = convolution(builder, `${name}/conv2`, middle);
  const secondNorm = batchNorm(builder, `${name}/bn2`, filters);
  const third = convolution(builder, `${name}/conv3`, { inputs: filters, outputs, size: 1, initial });
  const thirdNorm = batchNorm(builder, `${name}/bn3`, outputs);
  const shortcut = projection(builder, name, options);
  return (x, pass) => {
    const reduced = pass.drop(firstNorm(first(x, pass), pass, { relu: true }));
    const inner = pass.drop(secondNorm(second(reduced, pass), pass, { relu: true }));
    return joined(thirdNorm, third(inner, pass), shortcut(x, pass), pass);
  };
}

/**
 * The stem and the four stages of a ResNet (He et al. 2016), or ResNeXt (Xie et al. 2017), on a builder; tensors are named as in torchvision, with slashes
 * for points: `conv1/weight`, `layer1/0/bn1/running_mean`, `layer2/0/downsample/0/weight`.
 */
export function resNetBackbone(builder: NetBuilder, options: BackboneOptions): Backbone {
  const { block, blocks, stem, width = 64, groups = 1, groupWidth = width, initial = pytorchInitial } = options;
  const large = stem === 'imagenet';
  const conv1 = convolution(builder, 'conv1', {
    inputs: 3,
    outputs: width,
    ...(large ? { size: 7, stride: 2 } : { size: 3 }),
    initial,
  });
  const bn1 = batchNorm(builder, 'bn1', width);
  let reached = large ? 4 : 1;
  const { outputStride = 8 * reached } = options;
  if (![reached, 2 * reached, 4 * reached, 8 * reached].includes(outputStride)) {
    throw new UsageError(`outputStride must be ${reached} times 1, 2, 4 or 8 with this stem, got ${outputStride}`);
  }
  const expansion = block === 'bottleneck' ? 4 : 1;
  let inputs = width;
  let dilation = 1;
  const stages = blocks.map((count, stage) => {
    const planes = width * 2 ** stage;
    // ResNeXt's middle convolution has as many filters a group, times the groups, in proportion to the stage's width.
    const filters = Math.floor((planes * groupWidth) / width) * groups;
    const outputs = planes * expansion;
    const stride = stage > 0 && reached < outputStride ? 2 : 1;
    // A stage that would have strided dilates, from its second block on by the new rate: its first still sees what the stage before left.
    const before = dilation;
    if (stage > 0 && stride === 1) dilation *= 2;
    reached *= stride;
    const layers = Array.from({ length: count }, (_, index) => {
      const first = index === 0;
      const settings: BlockOptions = {
        inputs: first ? inputs : outputs,
        filters,
        outputs,
        stride: first ? stride : 1,
        dilation: first ? before : dilation,
        groups,
        initial,
      };
      const make = block === 'bottleneck' ? bottleneckBlock : basicBlock;
      return make(builder, `layer${stage + 1}/${index}`, settings);
    });
    inputs = outputs;
    return layers;
  });
  return {
    channels: [1, 2, 4, 8].map((factor) => factor * width * expansion) as [number, number, number, number],
    forward: (x, pass) => {
      const start = pass.drop(bn1(conv1(x, pass), pass, { relu: true }));
      let y = large ? stemPool(start, pass) : start;
      return stages.map((layers) => (y = layers.reduce((z, layer) => layer(z, pass), y))) as unknown as Stages;
    },
  };
}

export interface ResNetOptions extends NetOptions {
  /** Outputs. */
  readonly classes: number;
  /** Filters of the first stage. Default 64, the papers'. */
  readonly width?: number;
}

/** The layouts by name; `name` is also the recipe's. */
const LAYOUTS = {
  resnet18: { block: 'basic', blocks: [2, 2, 2, 2], stem: 'cifar' },
  resnet34: { block: 'basic', blocks: [3, 4, 6, 3], stem: 'cifar' },
  resnet101: { block: 'bottleneck', blocks: [3, 4, 23, 3], stem: 'cifar' },
  resnet50: { block: 'bottleneck', blocks: [3, 4, 6, 3], stem: 'imagenet', initial: heFanOut },
  resnext50: { block: 'bottleneck', blocks: [3, 4, 6, 3], stem: 'imagenet', groups: 32, initial: heFanOut },
} as const satisfies Readonly<Record<string, Omit<BackboneOptions, 'width' | 'groupWidth'>>>;

/** The residual networks of the papers, by name. */
export type ResNetName = keyof typeof LAYOUTS;

/** ResNeXt-50 32x4d has 4 filters in each of 32 groups where ResNet has 64. */
const RESNEXT_WIDTHS = 16;

/** Throws a `UsageError` for a width that the network's groups do not fit. */
export function checkResNetWidth(name: ResNetName, width: number): void {
  if (name === 'resnext50' && width % RESNEXT_WIDTHS !== 0) {
    throw new UsageError(
      `--width must be a multiple of ${RESNEXT_WIDTHS} for ${name}, one filter in each of 32 groups, got ${width}`,
    );
  }
}

/**
 * The papers' residual networks of four stages, for RGB images.
 *
 * - `resnet18` (11,173,962 parameters with 10 classes), `resnet34` (21,282,122), `resnet101` (42,512,970): CIFAR's version of the repository that the
 *   authors' code builds on, with PyTorch's default initial values.
 * - `resnet50` (25,557,032 with 1000 classes): for ImageNet, as in torchvision, initial values too.
 * - `resnext50` (23,389,704 with 200 classes): ResNeXt-50 32x4d as in torchvision; on the 64 x 64 images of Tiny ImageNet its last stage is 2 x 2.
 *
 * Standard dropout has the authors' places (see `joined`), in bottlenecks behind both inner ReLUs. Throws a `UsageError` for a width that the
 * groups do not fit.
 */
export function resNet(name: ResNetName, { classes, width = 64, ...options }: ResNetOptions): Net {
  const layout: Omit<BackboneOptions, 'width' | 'groupWidth'> = LAYOUTS[name];
  const grouped = name === 'resnext50';
  checkResNetWidth(name, width);
  const builder = new NetBuilder(name, options);
  const groups = grouped ? { groupWidth: width / RESNEXT_WIDTHS } : {};
  const backbone = resNetBackbone(builder, { ...layout, ...groups, width });
  const classify = classifier(builder, 'fc', backbone.channels[3], classes);
  return builder.net((x, pass) => classify(backbone.forward(x as tf.Tensor4D, pass)[3]));
}

export interface SmallResNetOptions extends ResNetOptions {
  /** Blocks of each stage: 6n + 2 layers. */
  readonly n: number;
}

/** Every second row and column; a strided slice has no gradient in tfjs, a pool of single values has. */
function halve(x: tf.Tensor4D, channels: number): tf.Tensor4D {
  const sampled = tf.avgPool(x, 1, 2, 'valid');
  return tf.pad(sampled, [
    [0, 0],
    [0, 0],
    [0, 0],
    [0, channels - x.shape[3]],
  ]);
}

/**
 * ResNet with 6n + 2 layers for CIFAR (He et al. 2016, section 4.2): three stages of n basic blocks with 16, 32 and 64 filters, and shortcuts without
 * parameters (option A: every second pixel, zeros for the new channels). He et al. 2015's initial values. The third paper's "Shallow Resnet" has n = 2
 * (172,506 parameters with 10 classes), its "Resnet" n = 5 (464,154).
 */
export function smallResNet(name: string, { n, classes, width = 16, ...options }: SmallResNetOptions): Net {
  const builder = new NetBuilder(name, options);
  const initial = heFanIn;
  const conv1 = convolution(builder, 'conv1', { inputs: 3, outputs: width, size: 3, initial });
  const bn1 = batchNorm(builder, 'bn1', width);
  const layers = Array.from({ length: 3 * n }, (_, index): Layer => {
    const stage = Math.floor(index / n);
    const at = `layer${stage + 1}/${index % n}`;
    const outputs = width * 2 ** stage;
    const half = stage > 0 && index % n === 0;
    const inputs = half ? outputs / 2 : outputs;
    const first = convolution(builder, `${at}/conv1`, { inputs, outputs, size: 3, stride: half ? 2 : 1, initial });
    const firstNorm = batchNorm(builder, `${at}/bn1`, outputs);
    const second = convolution(builder, `${at}/conv2`, { inputs: outputs, outputs, size: 3, initial });
    const secondNorm = batchNorm(builder, `${at}/bn2`, outputs);
    return (x, pass) => {
      const inner = pass.drop(firstNorm(first(x, pass), pass, { relu: true }));
      return joined(secondNorm, second(inner, pass), half ? halve(x, outputs) : x, pass);
    };
  });
  const classify = classifier(builder, 'fc', 4 * width, classes);
  return builder.net((inputs, pass) => {
    const start = pass.drop(bn1(conv1(inputs as tf.Tensor4D, pass), pass, { relu: true }));
    return classify(layers.reduce((x, layer) => layer(x, pass), start));
  });
}
