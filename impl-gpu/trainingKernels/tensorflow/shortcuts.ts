/** What a training step asks of tfjs-node often, and TensorFlow does with less. */
import * as tf from '@tensorflow/tfjs';
import type { Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import { DENSE_KERNELS } from '../dense.ts';
import type { KernelTable } from '../kernel.ts';
import { activationPasses } from './passes.ts';
import type { Following, NativeProducts } from './products.ts';

/** Types whose tensors are a handle of TensorFlow and nothing else. */
const isNumeric = ({ dtype }: tf.TensorInfo): boolean => dtype === 'float32' || dtype === 'int32' || dtype === 'bool';

/**
 * Gradients end in a reshape to the shape that they have and a cast to their own type, each two calls of TensorFlow: here the tensor itself, as tfjs's other backends
 * have it. And a product of two matrices is the addon's, else `MatMul`, a tenth faster than `BatchMatMulV2`, to which tfjs-node takes all products.
 */
export function shortcutKernels(tensorflow: Tensorflow, products: NativeProducts | undefined): KernelTable {
  const { attribute } = tensorflow;
  const type = attribute.type('T', TYPES.float32);
  const passes = activationPasses(tensorflow);
  const multiply = (
    a: tf.TensorInfo,
    b: tf.TensorInfo,
    turn: Readonly<Record<'a' | 'b', boolean>>,
    following?: Following,
  ): tf.Tensor => {
    const shape = [a.shape[turn.a ? 1 : 0] as number, b.shape[turn.b ? 0 : 1] as number];
    const empty = a.shape.includes(0) || b.shape.includes(0);
    if (products !== undefined && !empty) {
      return tensorflow.adopt(shape, 'float32', products.multiply(a, b, turn, following));
    }
    const attributes = [type, attribute.flag('transpose_a', turn.a), attribute.flag('transpose_b', turn.b)];
    const made = tensorflow.run('MatMul', attributes, tensorflow.handle(a), tensorflow.handle(b));
    if (following?.bias === undefined) return tensorflow.adopt(shape, 'float32', made);
    const { bias, clamp = false } = following;
    return withOwned(tensorflow, (own) =>
      tensorflow.adopt(shape, 'float32', passes.addInPlace(own(made), tensorflow.handle(bias), clamp)),
    );
  };
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
      const turned = attrs as Readonly<Record<'transposeA' | 'transposeB', boolean>>;
      return multiply(a, b, { a: turned.transposeA, b: turned.transposeB });
    },
    [DENSE_KERNELS.forward]: ({ inputs, attrs }) => {
      const [a, b, bias] = [inputs['a'], inputs['b'], inputs['bias']] as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
      const clamp = (attrs as { readonly activation: string }).activation === 'relu';
      return multiply(a, b, { a: false, b: false }, { bias, clamp });
    },
    [DENSE_KERNELS.slope]: ({ inputs }) => {
      const [dy, y] = [inputs['dy'], inputs['y']] as [tf.TensorInfo, tf.TensorInfo];
      const [dz, sums] = passes.slopeAndSums(tensorflow.handle(dy), tensorflow.handle(y));
      return [tensorflow.adopt(y.shape, 'float32', dz), tensorflow.adopt(y.shape.slice(1), 'float32', sums)];
    },
  };
}
