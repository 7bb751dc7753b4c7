/** Sizes of 2-D convolutions, as kernels of several backends ask for them. */
import * as tf from '@tensorflow/tfjs';

/** A 2-D convolution's sizes, as `tf.backend_util.computeConv2DInfo` gives them; NHWC. */
export type Geometry = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

export type Shape4D = [number, number, number, number];

/** Attributes of tfjs-core's convolution kernels. */
export interface ConvAttrs {
  readonly strides: number | [number, number];
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: number | [number, number];
  readonly activation?: string;
}

/** Those, and what their gradients carry beside them. */
export interface ConvolutionAttrs extends ConvAttrs {
  readonly inputShape?: Shape4D;
  readonly filterShape?: Shape4D;
}

export function geometryOf(
  attrs: ConvolutionAttrs,
  inputShape: readonly number[],
  filterShape: readonly number[],
  depthwise: boolean,
): Geometry {
  const { strides, pad, dimRoundingMode, dilations } = attrs;
  return tf.backend_util.computeConv2DInfo(
    inputShape as Shape4D,
    filterShape as Shape4D,
    strides,
    // tfjs-core lets null pass.
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
    'channelsLast',
  );
}

/** Dense, float32, not empty, and channels last. */
export function isUsable({ dataFormat = 'NHWC' }: ConvolutionAttrs, ...tensors: readonly tf.TensorInfo[]): boolean {
  return dataFormat === 'NHWC' && tensors.every(({ dtype, shape }) => dtype === 'float32' && !shape.includes(0));
}

/** Multiplications of Winograd's F(2 x 2, 3 x 3) for a tile of 2 x 2 outputs, a pair of channels. */
export const WINOGRAD_MULTIPLICATIONS = 16;
const TAPS = 9;

/** The share of the definition's multiplications below which the transforms pay for themselves. */
const PAYS = 0.75;

export function winogradTiles({ batchSize, outHeight, outWidth }: Geometry): number {
  return batchSize * Math.ceil(outHeight / 2) * Math.ceil(outWidth / 2);
}

/**
 * Whether a convolution has a 3 x 3 filter, stride 1, channels in multiples of `channels`, and gains by Winograd's tiles: of fewer than `fewest`
 * transforming the filter costs more than it saves.
 */
export function suitsWinograd(info: Geometry, channels: number, fewest: number): boolean {
  const { filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth, padInfo } = info;
  const { batchSize, inHeight, inWidth, outHeight, outWidth, inChannels, outChannels } = info;
  const pad = padInfo.top;
  const shaped =
    filterHeight === 3 &&
    filterWidth === 3 &&
    strideHeight * strideWidth * dilationHeight * dilationWidth === 1 &&
    pad <= 2 &&
    padInfo.left === pad &&
    outHeight === inHeight + 2 * pad - 2 &&
    outWidth === inWidth + 2 * pad - 2;
  if (!shaped || inChannels % channels !== 0 || outChannels % channels !== 0) return false;
  const tiles = winogradTiles(info);
  return tiles >= fewest && WINOGRAD_MULTIPLICATIONS * tiles < PAYS * TAPS * batchSize * outHeight * outWidth;
}
