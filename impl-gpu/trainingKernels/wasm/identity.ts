import * as tf from '@tensorflow/tfjs';

/**
 * Replaces wasm's `Identity`, which copies, by one that shares the data and counts, as the other backends' does. The gradient of
 * every operation keeps clones of its inputs, so each training step would copy every weight matrix.
 */
export function registerIdentity(): void {
  const stock = tf.getKernel('Identity', 'wasm').kernelFunc;
  tf.unregisterKernel('Identity', 'wasm');
  tf.registerKernel({
    kernelName: 'Identity',
    backendName: 'wasm',
    kernelFunc: (args) => {
      const x = args.inputs['x'] as tf.TensorInfo;
      if (x.dtype === 'string') return stock(args);
      (args.backend as tf.KernelBackend).incRef(x.dataId);
      return { dataId: x.dataId, shape: x.shape, dtype: x.dtype };
    },
  });
}
