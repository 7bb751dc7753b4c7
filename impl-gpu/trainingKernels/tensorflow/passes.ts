/**
 * Passes over a layer's activations: by one operation of the addon (`impl-gpu/tensorflow/native/layers.cc`) where `lrd setup tensorflow` has built it, which
 * goes over them once and wakes other threads for large ones only, else by TensorFlow's own.
 */
import type { Handle, Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, withOwned } from '../../tfjs/bridges/tensorflow.ts';
import { hasNativeOperations } from '../../tfjs/bridges/tensorflowAddon.ts';
import { nativeOperations } from '../../tensorflow/native.ts';

/** Float32 tensors by their handles; what is given back is the caller's to free or to hand over. */
export interface ActivationPasses {
  /**
   * `values` + `added`, clamped at 0 where asked. May be written over `values`, whose memory nobody else may look at, then or later. `added` is a vector over
   * their last axis, or of their shape.
   */
  addInPlace(values: Handle, added: Handle, clamp: boolean): Handle;
  /** dy times the step function of y: 1 above 0, NaN of NaN, else 0. */
  slope(dy: Handle, y: Handle): Handle;
  /** The same, and its sums over all axes but the last, for matrices. */
  slopeAndSums(dy: Handle, y: Handle): readonly [dz: Handle, sums: Handle];
}

function byAddon(tensorflow: Tensorflow): ActivationPasses {
  const { bias, clamp: biasAndClamp, slope, slopeSums } = nativeOperations();
  return {
    addInPlace: (values, added, clamp) => tensorflow.run(clamp ? biasAndClamp : bias, [], values, added),
    slope: (dy, y) => tensorflow.run(slope, [], dy, y),
    slopeAndSums: (dy, y) => tensorflow.runMany(slopeSums, [], 2, [dy, y]) as [Handle, Handle],
  };
}

function byTensorflow(tensorflow: Tensorflow): ActivationPasses {
  const { attribute } = tensorflow;
  const type = [attribute.type('T', TYPES.float32)];
  const reduction = [...type, attribute.type('Tidx', TYPES.int32), attribute.flag('keep_dims', false)];
  // What a clamp at 0 leaves has no other sign than the step function: 1, 0, or NaN of NaN.
  const slope = (dy: Handle, y: Handle): Handle =>
    withOwned(tensorflow, (own) => tensorflow.run('Mul', type, dy, own(tensorflow.run('Sign', type, y))));
  return {
    addInPlace: (values, added, clamp) =>
      withOwned(tensorflow, (own) => {
        const sum = tensorflow.run('AddV2', type, values, added);
        return clamp ? tensorflow.run('Relu', type, own(sum)) : sum;
      }),
    slope,
    slopeAndSums: (dy, y) => {
      const dz = slope(dy, y);
      const sums = withOwned(tensorflow, (own) =>
        tensorflow.run('Sum', reduction, dz, own(tensorflow.tensor([1], TYPES.int32, Int32Array.of(0)))),
      );
      return [dz, sums];
    },
  };
}

/** As they are for one TensorFlow. */
export function activationPasses(tensorflow: Tensorflow): ActivationPasses {
  return hasNativeOperations(tensorflow) ? byAddon(tensorflow) : byTensorflow(tensorflow);
}
