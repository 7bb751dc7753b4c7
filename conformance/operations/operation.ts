import type * as tf from '@tensorflow/tfjs';
import type { Nd, Random } from './array.ts';

/** An operation on certain inputs, and what should come out. */
export interface Case {
  /** What it is, for a failure's message: shapes are added. */
  readonly what: string;
  /** What is differentiated. Values are float32 numbers. */
  readonly inputs: readonly Nd[];
  readonly run: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** The same in float64. */
  readonly reference: (...inputs: Nd[]) => Nd;
  /** False where the operation has no gradient and needs none: its values are judged alone. */
  readonly differentiable?: boolean;
}

/** A kind of tfjs's operations. */
export interface Operation {
  readonly name: string;
  /** Kernels with a gradient in tfjs-core whose gradient this judges. */
  readonly kernels: readonly string[];
  readonly make: (random: Random) => Case;
  /**
   * Whether elements that are infinite or NaN are tried too, where the backend promises something for them; `elements`: huge ones as well;
   * `pixels`: in the first input alone, as padding times an infinite filter is NaN by some definitions. */
  readonly hostile?: boolean | 'elements' | 'pixels';
  /** Backends on which tfjs has no such operation, with the words with which it says so. */
  readonly missing?: Readonly<Record<string, RegExp>>;
}
