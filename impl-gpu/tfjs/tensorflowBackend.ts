import * as tf from '@tensorflow/tfjs';
import type { TensorflowLane } from '../tensorflow/installation.ts';
import { UnsupportedError } from '../validate.ts';
import type { LoadedTensorflow } from '../tensorflow/load.ts';
import { extendByTensorflow } from './tensorflowExtension.ts';

/**
 * Makes TensorFlow itself tfjs's backend: `node` on the processor, `node-gpu` on a CUDA GPU. Node only. Throws `UnsupportedError`,
 * with what was tried and how to get it, where it is not installed, and for `node-gpu` where TensorFlow found no GPU.
 */
export async function useTensorflow(lane: TensorflowLane = 'node'): Promise<LoadedTensorflow> {
  // Imported only now: it looks for Node's modules, and for where this file lies, as soon as it is read.
  const { loadTensorflow } = await import('../tensorflow/load.ts');
  const loaded = loadTensorflow(lane);
  if (lane === 'node-gpu' && !loaded.gpu) {
    throw new UnsupportedError(
      `TensorFlow ${loaded.version} of ${loaded.origin} found no GPU, or not the CUDA that it was built for`,
    );
  }
  if (!(await tf.setBackend('tensorflow'))) throw new Error('the tensorflow backend of tfjs did not start');
  extendByTensorflow();
  return loaded;
}
