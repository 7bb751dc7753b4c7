/** What a training step asks of tfjs-node often, and TensorFlow does with less. */
import * as tf from '@tensorflow/tfjs';
import type { Attribute, Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import { DENSE_KERNELS } from '../dense.ts';
import type { KernelTable } from '../kernel.ts';
import { activationPasses } from './passes.ts';

/** Types whose tensors are a handle of TensorFlow and nothing else. */
const isNumeric = ({ dtype }: tf.TensorInfo): boolean => dtype === 'float32' || dtype === 'int32' || dtype === 'bool';

/**
 * Gradients end in a reshape to the shape that they have and a cast to their own type, each two calls of TensorFlow: here the tensor itself, as tfjs's other backends
 * have it. And a product of two matrices is `MatMul`, a tenth faster than `BatchMatMulV2`, to which tfjs-node takes all products.
 */
export function shortcutKernels(tensorflow: Tensorflow): KernelTable {
  const { attribute } = tensorflow;
  const type = attribute.type('T', TYPES.float32);
  const flags = (name: string): readonly [Attribute, Attribute] => [
    attribute.flag(name, false),
    attribute.flag(name, true),
  ];
  const [transposeA, transposeB] = [flags('transpose_a'), flags('transpose_b')];
  const passes = activationPasses(tensorflow);
  const multiply = (
    a: tf.TensorInfo,
    b: tf.TensorInfo,
    turnA: boolean,
    turnB: boolean,
  ): { readonly handle: Handle; readonly shape: readonly number[] } => ({
    handle: tensorflow.run(
      'MatMul',
      [type, transposeA[turnA ? 1 : 0], transposeB[turnB ? 1 : 0]],
      tensorflow.handle(a),
      tensorflow.handle(b),
    ),
    shape: [a.shape[turnA ? 1 : 0] as number, b.shape[turnB ? 0 : 1] as number],
  });
  return {
    Reshape: ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      const { shape } = attrs as { readonly shape: number[] };
      return isNumeric(x) && tf.util.arraysEqual(x.shape, shape) ? tensorflow.share(x) : undefined;
    },
    Cast: ({ inputs, attrs }) => {
      const x = inputs['x'] as tf.TensorInfo;
      const { dtype } = attrs as { readonly dtype: tf.DataType };
      return isNumeric(x) && x.dtype === dtype ? tensorflow.share(x) : undefined;
    },
    BatchMatMul: ({ inputs, attrs }) => {
      const [a, b] = [inputs['a'] as tf.TensorInfo, inputs['b'] as tf.TensorInfo];
      const both = a.dtype === 'float32' && b.dtype === 'float32' && a.shape.length === 2 && b.shape.length === 2;
      if (!both) return undefined;
      const { transposeA: turnA, transposeB: turnB } = attrs as Readonly<Record<'transposeA' | 'transposeB', boolean>>;
      const { handle, shape } = multiply(a, b, turnA, turnB);
      return tensorflow.adopt(shape, 'float32', handle);
    },
    [DENSE_KERNELS.forward]: ({ inputs, attrs }) => {
      const [a, b, bias] = [inputs['a'], inputs['b'], inputs['bias']] as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
      const relu = (attrs as { readonly activation: string }).activation === 'relu';
      const { handle, shape } = multiply(a, b, false, false);
      const result = withOwned(tensorflow, (own) => passes.addInPlace(own(handle), tensorflow.handle(bias), relu));
      return tensorflow.adopt(shape, 'float32', result);
    },
    [DENSE_KERNELS.slope]: ({ inputs }) => {
      const [dy, y] = [inputs['dy'], inputs['y']] as [tf.TensorInfo, tf.TensorInfo];
      const [dz, sums] = passes.slopeAndSums(tensorflow.handle(dy), tensorflow.handle(y));
      return [tensorflow.adopt(y.shape, 'float32', dz), tensorflow.adopt(y.shape.slice(1), 'float32', sums)];
    },
  };
}
