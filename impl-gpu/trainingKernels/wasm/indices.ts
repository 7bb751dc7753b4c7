/**
 * Indices that lie outside, which tfjs-wasm does not look at: it reads what lies beside a tensor, or leaves an update out. They are refused, as on the
 * cpu backend; what is right goes to its own kernels.
 */
import type * as tf from '@tensorflow/tfjs';
import { tensorOf } from '../composed/tensorOf.ts';
import type { Kernel, KernelTable } from '../kernel.ts';

/** Refuses rows of `depth` indices that do not lie within `shape`. */
function check(kernelName: string, indices: ArrayLike<number>, depth: number, shape: readonly number[]): void {
  for (let at = 0; at + depth <= indices.length; at += depth) {
    for (let axis = 0; axis < depth; axis++) {
      const index = indices[at + axis] as number;
      if (index >= 0 && index < (shape[axis] as number)) continue;
      const row = Array.from({ length: depth }, (_, i) => indices[at + i]);
      throw new Error(`${kernelName}: the index [${row}] lies outside [${shape.slice(0, depth)}]`);
    }
  }
}

/** A vector is as many indices of the first axis. */
const rowsOrVector = (shape: readonly number[]): number => (shape.length < 2 ? 1 : (shape.at(-1) as number));

/** `name`: the input with the indices, whose last axis has one for each axis that they index. `shapeOf`: what they index. */
const within =
  (
    kernelName: string,
    name: string,
    shapeOf: (inputs: tf.NamedTensorInfoMap, attrs: unknown) => readonly number[],
    depthOf: (shape: readonly number[]) => number = rowsOrVector,
  ): Kernel =>
  ({ inputs, attrs }) => {
    const indices = inputs[name] as tf.TensorInfo;
    const view = tensorOf(indices);
    const values = view.dataSync();
    view.dispose();
    check(kernelName, values, depthOf(indices.shape), shapeOf(inputs, attrs));
    return undefined;
  };

/** For the wasm backend, before its other kernels. */
export const indexKernels: KernelTable = {
  GatherNd: within(
    'GatherNd',
    'indices',
    ({ params }) => (params as tf.TensorInfo).shape,
    (shape) => shape.at(-1) ?? 1,
  ),
  ScatterNd: within('ScatterNd', 'indices', (_, attrs) => (attrs as { readonly shape: readonly number[] }).shape),
  TensorScatterUpdate: within('TensorScatterUpdate', 'indices', ({ tensor }) => (tensor as tf.TensorInfo).shape),
  SparseToDense: within(
    'SparseToDense',
    'sparseIndices',
    (_, attrs) => (attrs as { readonly outputShape: readonly number[] }).outputShape,
  ),
  CropAndResize: within(
    'CropAndResize',
    'boxInd',
    ({ image }) => (image as tf.TensorInfo).shape,
    () => 1,
  ),
};
