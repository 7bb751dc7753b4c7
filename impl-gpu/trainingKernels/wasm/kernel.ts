import type * as tf from '@tensorflow/tfjs';

/** What a kernel is called with. */
export interface KernelArgs {
  /** tfjs leaves out what an operation's caller left out. */
  readonly inputs: tf.NamedTensorInfoMap;
  readonly attrs: unknown;
}

/** A kernel on one backend's heap. Undefined: not a case of ours, which goes to tfjs's own kernel. */
export type Kernel = (args: KernelArgs) => tf.TensorInfo | tf.TensorInfo[] | undefined;

/** Kernels by name, as they are for one backend. */
export type KernelTable = Readonly<Record<string, Kernel>>;
