/** The package in Node: the same, TensorFlow's stepper at hand wherever tfjs-node brings the backend, and the kinds of mask. */
import { useMasks } from './masksExtension.ts';
import { extendByTensorflow } from './tensorflowExtension.ts';

export * from './index.ts';

extendByTensorflow();
useMasks();
