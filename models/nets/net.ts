import type * as tf from '@tensorflow/tfjs';

/** A tensor of a network with a name that is stable across runs, as in `fc1/weight`. */
export interface Parameter {
  /** As PyTorch's files have it. */
  readonly name: string;
  /** Its values. */
  readonly variable: tf.Variable;
}

/** What a forward pass is for. */
export interface ForwardOptions {
  /** Batch statistics and dropout, and the running statistics move; else the running statistics, and nothing changes. */
  readonly training: boolean;
  /** The optimizer step that the pass belongs to, from 1: standard dropout draws at it. Without meaning in evaluation mode. */
  readonly step: number;
  /** Where several processes have a part of the batch each: the place of its first row in the batch, and how many that has. */
  readonly rows?: { readonly first: number; readonly all: number };
}

/** A network as the trainer sees it. `Output` is what a forward pass gives: logits [batch, classes] of a classifier. */
export interface Net<Output = tf.Tensor2D> {
  /** As reports call it. */
  readonly name: string;
  /** Trainable, in list order: the order of the mask stream's layout. */
  readonly parameters: readonly Parameter[];
  /** What training carries along beside them, as batch normalisation's running means and variances: saved, never optimized. */
  readonly statistics: readonly Parameter[];
  /** Takes normalised inputs [batch, height, width, channels]. */
  forward(inputs: tf.Tensor, options: ForwardOptions): Output;
  /** Frees all variables. */
  dispose(): void;
}

/** What of a network is saved and restored, whatever its output. */
export type TrainedNet = Pick<Net, 'name' | 'parameters' | 'statistics' | 'dispose'>;

/** Settings that every network takes. */
export interface NetOptions {
  /** Decides the initial values, and standard dropout's draws. */
  readonly seed: bigint;
  /** Standard dropout (SD): the probability that a unit is retained, in [2^-16, 1]. Default 1: none. */
  readonly standardDropout?: number;
}

/** Number of scalar parameters, statistics not among them. */
export function countParameters(net: Pick<Net, 'parameters'>): number {
  return net.parameters.reduce((sum, { variable }) => sum + variable.size, 0);
}
