/** What tfjs's webgpu backend computes wrongly. */
import * as tf from '@tensorflow/tfjs';
import { manyAxesKernels } from '../composed/axes.ts';
import { composedKernels } from '../composed/index.ts';
import { matMulKernels } from '../composed/matMul.ts';
import { tensorOf, tensorOfOutput } from '../composed/tensorOf.ts';
import type { Kernel, KernelTable } from '../kernel.ts';
import { installTable } from '../kernel.ts';
import { widePools } from '../refused.ts';
import { averageWindows } from '../loops/pool.ts';

interface Cumulative {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** The backend's own counts from the wrong end where a running sum is both exclusive and reversed: turned round, run, turned back. */
const reversed =
  (running: typeof tf.cumsum): Kernel =>
  ({ inputs, attrs }) => {
    const { axis, exclusive, reverse } = attrs as Cumulative;
    if (!reverse) return undefined;
    return tf.tidy(() =>
      tf.reverse(running(tf.reverse(tensorOf(inputs['x'] as tf.TensorInfo), axis), axis, exclusive, false), axis),
    );
  };

/**
 * The gradient of an average that leaves the padding out, from the backend's own, which divides by the whole window: dy is multiplied by
 * how much of each window lies outside.
 */
const averageGradient =
  (kernelName: 'AvgPoolGrad' | 'AvgPool3DGrad', own: tf.KernelFunc): Kernel =>
  ({ inputs, attrs }) => {
    const { dy, input } = inputs as Record<'dy' | 'input', tf.TensorInfo>;
    const { counts, size } = averageWindows(kernelName, input.shape, attrs);
    if (counts.every((count) => count === size)) return undefined;
    return tf.tidy(() => {
      const factors = tf.tensor(
        counts.map((count) => size / Math.max(1, count)),
        [1, ...dy.shape.slice(1, -1), 1],
      );
      const scaled = tf.mul(tensorOf(dy), factors);
      const args = { inputs: { dy: scaled, input }, attrs, backend: tf.backend() };
      return tensorOfOutput(own(args as unknown as Parameters<tf.KernelFunc>[0]) as tf.TensorInfo);
    });
  };

function ownKernels(): KernelTable {
  return {
    Cumsum: reversed(tf.cumsum),
    Cumprod: reversed(tf.cumprod),
    // The backend's own forgets the axes that should be kept.
    Prod: ({ inputs, attrs }) => {
      const { axis, keepDims } = attrs as { readonly axis: number | number[]; readonly keepDims: boolean };
      const x = inputs['x'] as tf.TensorInfo;
      if (!keepDims) return undefined;
      const axes = tf.util.parseAxisParam(axis, x.shape);
      const shape = x.shape.map((extent, at) => (axes.includes(at) ? 1 : extent));
      return tf.tidy(() => tf.reshape(tf.prod(tensorOf(x), axis), shape));
    },
  };
}

/** Installs all kernels of ours on the webgpu backend, which must be running. Once a process. */
export function installWebGpuKernels(): void {
  const [average, average3d] = (['AvgPoolGrad', 'AvgPool3DGrad'] as const).map((kernelName) =>
    averageGradient(kernelName, tf.getKernel(kernelName, 'webgpu').kernelFunc),
  ) as [Kernel, Kernel];
  const table: KernelTable = {
    ...composedKernels,
    ...matMulKernels,
    ...ownKernels(),
    AvgPoolGrad: average,
    AvgPool3DGrad: average3d,
  };
  installTable('webgpu', () => table);
  installTable('webgpu', () => widePools);
  installTable('webgpu', () => manyAxesKernels);
}
