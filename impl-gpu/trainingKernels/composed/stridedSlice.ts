import * as tf from '@tensorflow/tfjs';

/** What the kernel and its gradient are called with. */
export interface StridedSliceAttrs {
  readonly begin: number[];
  readonly end: number[];
  readonly strides: number[];
  readonly beginMask: number;
  readonly endMask: number;
  readonly ellipsisMask: number;
  readonly newAxisMask: number;
  readonly shrinkAxisMask: number;
}

/** Where it begins and ends along each axis of `shape`, and the shapes that come of it: tfjs-core's own account. */
export const stridesOf = (
  shape: number[],
  { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask }: StridedSliceAttrs,
): ReturnType<typeof tf.slice_util.sliceInfo> =>
  tf.slice_util.sliceInfo(shape, begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask);
