/** What tfjs-node refuses, or computes wrongly. */
import * as tf from '@tensorflow/tfjs';
import { cumulativeKernels } from '../composed/axes.ts';
import { widelyStridedConv3dKernels } from '../composed/conv3d.ts';
import { depthToSpaceKernels } from '../composed/depthToSpace.ts';
import { gatherKernels } from '../composed/gather.ts';
import { channelsFirstKernels } from '../composed/layout.ts';
import { preluKernels } from '../composed/prelu.ts';
import { tensorOf } from '../composed/tensorOf.ts';
import type { KernelTable } from '../kernel.ts';
import { cropKernels } from '../composed/crop.ts';
import { installTable } from '../kernel.ts';
import { roundedPools, widePools } from '../refused.ts';
import { tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { batchNormKernels } from './batchNorm.ts';
import { convolutionKernels } from './convolution.ts';
import { crossEntropyKernels } from './crossEntropy.ts';
import { installPadding } from './padding.ts';
import { nativeProducts } from './products.ts';
import { shortcutKernels } from './shortcuts.ts';
import { stepKernels } from './step.ts';

const signKernels: KernelTable = {
  // The sign of NaN is 0 in tfjs.
  Sign: ({ inputs }) => {
    const x = inputs['x'] as tf.TensorInfo;
    return tf.tidy(() => {
      const values = tensorOf(x);
      const [above, below] = [tf.greater(values, 0), tf.less(values, 0)].map((truth) => tf.cast(truth, x.dtype));
      return tf.sub(above as tf.Tensor, below as tf.Tensor);
    });
  },
};

/** Installs all kernels of ours on the tensorflow backend, which must be running. Once a process. */
export function installTensorflowKernels(): void {
  installPadding();
  const table = {
    ...gatherKernels,
    ...cumulativeKernels(),
    ...depthToSpaceKernels,
    ...signKernels,
    ...preluKernels,
    ...widelyStridedConv3dKernels,
    ...widePools,
  };
  installTable('tensorflow', () => table);
  installTable('tensorflow', (backend) => {
    const bridge = tensorflow(backend as Parameters<typeof tensorflow>[0]);
    const products = nativeProducts(bridge);
    return {
      ...shortcutKernels(bridge, products),
      ...(products === undefined ? {} : convolutionKernels(bridge, products)),
      ...stepKernels(bridge),
      ...crossEntropyKernels(bridge),
      ...(bridge.gpu ? {} : batchNormKernels(bridge)),
    };
  });
  installTable('tensorflow', () => roundedPools);
  installTable('tensorflow', () => channelsFirstKernels);
  installTable('tensorflow', () => cropKernels);
}
