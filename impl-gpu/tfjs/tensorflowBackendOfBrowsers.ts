import type { LoadedTensorflow } from '../tensorflow/load.ts';
import type { TensorflowLane } from '../tensorflow/installation.ts';
import { UnsupportedError } from '../validate.ts';

/**
 * `useTensorflow` where there is no Node: it throws. The package's entry for Node has the other one in its place, and a bundle for
 * browsers nothing of TensorFlow.
 */
export function useTensorflow(_lane: TensorflowLane = 'node'): Promise<LoadedTensorflow> {
  return Promise.reject(new UnsupportedError('useTensorflow runs in Node only: it loads tfjs-node'));
}
