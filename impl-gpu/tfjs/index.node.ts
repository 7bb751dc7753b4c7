/** The package in Node: the same, TensorFlow's stepper at hand wherever tfjs-node brings the backend, and the kinds of mask. */
import { useMasks } from './masksExtension.ts';
import { extendByTensorflow } from './tensorflowExtension.ts';

export * from './index.ts';
// In place of the one of that name that only throws.
export { useTensorflow } from './tensorflowBackend.ts';

extendByTensorflow();
useMasks();
