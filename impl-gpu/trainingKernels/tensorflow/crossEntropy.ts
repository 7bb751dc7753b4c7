/** Kernels of `crossEntropyTraining` by TensorFlow's fused operation. */
import type * as tf from '@tensorflow/tfjs';
import type { Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import { CROSS_ENTROPY_KERNELS } from '../crossEntropy.ts';
import type { KernelArgs, KernelTable } from '../kernel.ts';

/** For all of TensorFlow's devices. A label that names no class is an error of TensorFlow's on a processor. */
export function crossEntropyKernels(tensorflow: Tensorflow): KernelTable {
  const { attribute } = tensorflow;
  const type = attribute.type('T', TYPES.float32);
  const both = [type, attribute.type('Tlabels', TYPES.int32)];
  const mean = [type, attribute.type('Tidx', TYPES.int32), attribute.flag('keep_dims', false)];
  const whole = (values: Int32Array, shape: readonly number[]): Handle => tensorflow.tensor(shape, TYPES.int32, values);
  /** Loss by row, and its gradient by the logits of that row. */
  const perRow = ({ inputs }: KernelArgs): readonly [losses: Handle, slopes: Handle] => {
    const [logits, labels] = [inputs['logits'], inputs['labels']] as [tf.TensorInfo, tf.TensorInfo];
    const handles = [tensorflow.handle(logits), tensorflow.handle(labels)];
    return tensorflow.runMany('SparseSoftmaxCrossEntropyWithLogits', both, 2, handles) as [Handle, Handle];
  };
  return {
    [CROSS_ENTROPY_KERNELS.forward]: (args) =>
      withOwned(tensorflow, (own) => {
        const [losses, slopes] = perRow(args);
        own(slopes);
        return tensorflow.adopt(
          [],
          'float32',
          tensorflow.run('Mean', mean, own(losses), own(whole(Int32Array.of(0), [1]))),
        );
      }),
    [CROSS_ENTROPY_KERNELS.slope]: (args) =>
      withOwned(tensorflow, (own) => {
        const { shape } = args.inputs['logits'] as tf.TensorInfo;
        const [losses, slopes] = perRow(args);
        own(losses);
        const share = own(tensorflow.tensor([], TYPES.float32, Float32Array.of(1 / (shape[0] as number))));
        return tensorflow.adopt(shape, 'float32', tensorflow.run('Mul', [type], own(slopes), share));
      }),
  };
}
