/** Morphological dilation and its gradients, which wasm computes wrongly for strides, paddings and filters that are not square. */
import * as tf from '@tensorflow/tfjs';
import type { Kernel, KernelTable } from '../kernel.ts';
import type { Memory } from './memory.ts';

interface DilationAttrs {
  readonly strides: number | [number, number];
  readonly pad: 'valid' | 'same' | number;
  readonly dilations: number | [number, number];
}

type Shape4D = [number, number, number, number];

/** Calls `visit` for each output with its place and those of the element and of the tap that are the largest together; -1 for none. */
function eachLargest(
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations }: DilationAttrs,
  x: Float32Array,
  filter: Float32Array,
  visit: (place: number, element: number, tap: number, largest: number) => void,
): void {
  const info = dilationInfo(xShape, filterShape, { strides, pad, dilations });
  const { inHeight, inWidth, inChannels, padInfo } = info;
  let place = 0;
  for (let n = 0; n < info.batchSize; n++) {
    for (let p = 0; p < info.outHeight; p++) {
      for (let q = 0; q < info.outWidth; q++) {
        for (let c = 0; c < inChannels; c++, place++) {
          let [largest, element, tap] = [-Infinity, -1, -1];
          for (let i = 0; i < info.filterHeight; i++) {
            const row = p * info.strideHeight - padInfo.top + i * info.dilationHeight;
            if (row < 0 || row >= inHeight) continue;
            for (let j = 0; j < info.filterWidth; j++) {
              const column = q * info.strideWidth - padInfo.left + j * info.dilationWidth;
              if (column < 0 || column >= inWidth) continue;
              const at = ((n * inHeight + row) * inWidth + column) * inChannels + c;
              const of = (i * info.filterWidth + j) * inChannels + c;
              const value = (x[at] as number) + (filter[of] as number);
              if (value > largest) [largest, element, tap] = [value, at, of];
            }
          }
          visit(place, element, tap, largest);
        }
      }
    }
  }
}

function dilationInfo(
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations }: DilationAttrs,
): ReturnType<typeof tf.backend_util.computeDilation2DInfo> {
  return tf.backend_util.computeDilation2DInfo(
    [...xShape] as Shape4D,
    [...filterShape] as [number, number, number],
    strides,
    pad,
    'NHWC',
    dilations,
  );
}

export function dilationKernels({ compute }: Memory): KernelTable {
  const regular = (...tensors: readonly tf.TensorInfo[]): boolean => tensors.every(({ dtype }) => dtype === 'float32');
  const gradient =
    (of: 'x' | 'filter'): Kernel =>
    ({ inputs, attrs }) => {
      const { x, filter, dy } = inputs as Record<'x' | 'filter' | 'dy', tf.TensorInfo>;
      if (!regular(x, filter, dy)) return undefined;
      return compute((of === 'x' ? x : filter).shape, [x, filter, dy], (out, values, taps, slopes) => {
        out.fill(0);
        eachLargest(x.shape, filter.shape, attrs as DilationAttrs, values, taps, (place, element, tap) => {
          const at = of === 'x' ? element : tap;
          if (at >= 0) out[at] = (out[at] as number) + (slopes[place] as number);
        });
      });
    };
  return {
    Dilation2D: ({ inputs, attrs }) => {
      const { x, filter } = inputs as Record<'x' | 'filter', tf.TensorInfo>;
      if (!regular(x, filter)) return undefined;
      const { outShape } = dilationInfo(x.shape, filter.shape, attrs as DilationAttrs);
      return compute(outShape, [x, filter], (out, values, taps) => {
        eachLargest(x.shape, filter.shape, attrs as DilationAttrs, values, taps, (place, _, __, largest) => {
          out[place] = largest;
        });
      });
    },
    Dilation2DBackpropInput: gradient('x'),
    Dilation2DBackpropFilter: gradient('filter'),
  };
}
