/** Convolutions with a 3 x 3 filter and stride 1 by Winograd's tiles, where the addon has them. */
import type * as tf from '@tensorflow/tfjs';
import type { Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { forwardKernel, gradientKernel } from '../convolutionKernels.ts';
import type { Geometry } from '../geometry.ts';
import { suitsWinograd } from '../geometry.ts';
import type { KernelTable } from '../kernel.ts';
import type { NativeProducts } from './products.ts';

/** The multiple that channels come in. */
const CHANNELS = 16;
/** Tiles below which transforming the filter costs more than it saves. */
const FEW_TILES = 64;
/** Pairs of channels above which a transformed filter takes too much memory: 64 MB. */
const MOST_PAIRS = 2 ** 20;

const suits = (info: Geometry): boolean =>
  info.inChannels * info.outChannels <= MOST_PAIRS && suitsWinograd(info, CHANNELS, FEW_TILES);

export function convolutionKernels(tensorflow: Tensorflow, products: NativeProducts): KernelTable {
  const adopt = (shape: readonly number[], made: Handle | undefined): tf.Tensor | undefined =>
    made === undefined ? undefined : tensorflow.adopt(shape, 'float32', made);
  const forward = forwardKernel((info, x, filter, bias, clamp) =>
    suits(info)
      ? adopt(info.outShape, products.convolve(x, filter, info.padInfo.top, false, { bias, clamp }))
      : undefined,
  );
  return {
    Conv2D: forward,
    FusedConv2D: forward,
    Conv2DBackpropInput: gradientKernel(['dy', 'filter'], false, (info, dy, filter) =>
      // The pixels around the gradient of an output are what its filter reaches beyond those around the input.
      suits(info) ? adopt(info.inShape, products.convolve(dy, filter, 2 - info.padInfo.top, true)) : undefined,
    ),
    Conv2DBackpropFilter: gradientKernel(['x', 'dy'], false, (info, x, dy) =>
      suits(info) ? adopt(info.filterShape, products.filterGradient(x, dy, info.padInfo.top)) : undefined,
    ),
  };
}
