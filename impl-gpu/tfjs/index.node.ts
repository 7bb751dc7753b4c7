/** The package in Node: the same with everything at hand, TensorFlow's stepper too wherever tfjs-node brings the backend. */
import { letRest } from '../engines/wasmResting.ts';
import { useClipping } from './clippingExtension.ts';
import { useComparators } from './comparatorsExtension.ts';
import { useMasks } from './masksExtension.ts';
import { useSchedules } from './schedulesExtension.ts';
import { extendByTensorflow } from './tensorflowExtension.ts';

export * from './index.ts';
// In place of the one of that name that only throws.
export { useTensorflow } from './tensorflowBackend.ts';

extendByTensorflow();
letRest();
useClipping();
useComparators();
useMasks();
useSchedules();
