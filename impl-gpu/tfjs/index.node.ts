/** The package in Node: the same, and TensorFlow's stepper at hand wherever tfjs-node brings the backend. */
import { extendByTensorflow } from './tensorflowExtension.ts';

export * from './index.ts';

extendByTensorflow();
