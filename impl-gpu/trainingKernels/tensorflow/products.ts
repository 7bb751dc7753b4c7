/**
 * Products of matrices and 3 x 3 convolutions by the addon (`impl-gpu/tensorflow/native/productOperations.cc`) where `lrd setup tensorflow` has built it and the processor has
 * AVX2 or AVX-512.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Attribute, Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { withOwned } from '../../tfjs/bridges/tensorflow.ts';
import { hasNativeOperations } from '../../tfjs/bridges/tensorflowAddon.ts';
import { nativeOperations } from '../../tensorflow/native.ts';

/** What follows a product or a convolution. */
export interface Following {
  /** A vector of the columns, or the channels. */
  readonly bias?: tf.TensorInfo | undefined;
  /** Clamp at 0. */
  readonly clamp?: boolean;
}

/** On float32 tensors, none of them empty. What is given back is the caller's to free or to hand over. */
export interface NativeProducts {
  multiply(
    a: tf.TensorInfo,
    b: tf.TensorInfo,
    turn: Readonly<Record<'a' | 'b', boolean>>,
    following?: Following,
  ): Handle;
  /**
   * Of pictures [images, height, width, inputs], channels in multiples of 16, with `pad` pixels around them, stride 1; `turned`: from the gradient of an output to that of its input.
   * Undefined where something is not finite: what Winograd's sums make of an infinity is not what the definition does.
   */
  convolve(
    x: tf.TensorInfo,
    filter: tf.TensorInfo,
    pad: number,
    turned: boolean,
    following?: Following,
  ): Handle | undefined;
  /** The gradient of the filter of such a convolution. */
  filterGradient(x: tf.TensorInfo, dy: tf.TensorInfo, pad: number): Handle | undefined;
}

/** How the addon says it. */
const NOT_FINITE = 'not finite';

function unlessNotFinite(run: () => Handle): Handle | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Error && error.message.includes(NOT_FINITE)) return undefined;
    throw error;
  }
}

/** As they are for one TensorFlow; undefined where its own are to be taken. */
export function nativeProducts(tensorflow: Tensorflow): NativeProducts | undefined {
  if (!hasNativeOperations(tensorflow)) return undefined;
  const { lanes, product, convolution, convolutionGradient } = nativeOperations();
  const [width] = withOwned(tensorflow, (own) => tensorflow.words(own(tensorflow.run(lanes, []))));
  if (width === 0) return undefined;
  const { attribute } = tensorflow;
  const following = ({ bias, clamp = false }: Following): readonly [readonly Attribute[], readonly Handle[]] => [
    [attribute.whole('M', bias === undefined ? 0 : 1), attribute.flag('clamp', clamp)],
    bias === undefined ? [] : [tensorflow.handle(bias)],
  ];
  return {
    multiply: (a, b, turn, then = {}) => {
      const [attributes, rest] = following(then);
      return tensorflow.run(
        product,
        [...attributes, attribute.flag('transpose_a', turn.a), attribute.flag('transpose_b', turn.b)],
        tensorflow.handle(a),
        tensorflow.handle(b),
        ...rest,
      );
    },
    convolve: (x, filter, pad, turned, then = {}) => {
      const [attributes, rest] = following(then);
      return unlessNotFinite(() =>
        tensorflow.run(
          convolution,
          [...attributes, attribute.whole('pad', pad), attribute.flag('turned', turned)],
          tensorflow.handle(x),
          tensorflow.handle(filter),
          ...rest,
        ),
      );
    },
    filterGradient: (x, dy, pad) =>
      unlessNotFinite(() =>
        tensorflow.run(convolutionGradient, [attribute.whole('pad', pad)], tensorflow.handle(x), tensorflow.handle(dy)),
      ),
  };
}
