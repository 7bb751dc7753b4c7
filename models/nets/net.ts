import * as tf from '@tensorflow/tfjs';
import { drawWords, layOut, uniform } from '../../impl-gpu/random.ts';
import { sizeOf } from '../../impl-gpu/shape.ts';

/** A trainable tensor with a name that is stable across runs, as in `fc1/weight`. */
export interface Parameter {
  readonly name: string;
  readonly variable: tf.Variable;
}

/** A network as the trainer sees it. */
export interface Net {
  readonly name: string;
  /** In list order: the order of the mask stream's layout. */
  readonly parameters: readonly Parameter[];
  /** Logits [batch, classes] of inputs [batch, height, width, channels] in [0, 1]. */
  forward(inputs: tf.Tensor, training: boolean): tf.Tensor2D;
  dispose(): void;
}

/** A parameter before it has values. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Values start uniform in [-bound, bound]. */
  readonly bound: number;
}

let instances = 0;

/**
 * Makes a network's parameters, drawn from the initialisation stream: element i of tensor k is bound * (2u - 1) with u the
 * uniform of element base_k + i, in float64, rounded once.
 */
export function createParameters(net: string, specs: readonly ParameterSpec[], seed: bigint): Parameter[] {
  // tfjs wants variable names unique in the process; two networks of one kind may live side by side.
  const prefix = `${net}_${instances++}`;
  const sizes = specs.map(({ shape }) => sizeOf(shape));
  const bases = layOut(sizes);
  return specs.map(({ name, shape, bound }, k) => {
    const words = drawWords({ seed, stream: 'initialisation', step: 0 }, bases[k] as number, sizes[k] as number);
    const values = Float32Array.from(words, (word) => bound * (2 * uniform(word) - 1));
    const variable = tf.tidy(() => tf.variable(tf.tensor(values, [...shape]), true, `${prefix}/${name}`));
    return { name, variable };
  });
}

/** Number of scalar parameters. */
export function countParameters(net: Net): number {
  return net.parameters.reduce((sum, { variable }) => sum + variable.size, 0);
}
