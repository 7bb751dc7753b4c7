import * as tf from '@tensorflow/tfjs';
import { drawNormals, drawWords, layOut, uniform } from 'learning-rate-dropout/stream';
import { sizeOf } from 'learning-rate-dropout/internal';
import { DropoutStream } from 'learning-rate-dropout';
import type { ForwardOptions, Net, NetOptions, Parameter } from './net.ts';

/** How a tensor starts. */
export type Initial =
  /** Uniform in [-bound, bound]. */
  | { readonly kind: 'uniform'; readonly bound: number }
  /** Normal about 0. */
  | { readonly kind: 'normal'; readonly deviation: number }
  | { readonly kind: 'constant'; readonly value: number };

/** One forward pass under way. */
export interface Pass extends ForwardOptions {
  /** Whether `drop` does anything. */
  readonly drops: boolean;
  /** Standard dropout in training mode where the network was built with it, else the activations themselves. */
  readonly drop: <T extends tf.Tensor>(activations: T) => T;
}

let instances = 0;

/** Elements of the tensors of a network. */
export interface NetSize {
  parameters: number;
  statistics: number;
}

let measured: NetSize | undefined;

/** Counts the elements of the tensors that networks are built of, without making any: nothing that is built meanwhile can be used. */
export function measureNets(build: () => void): NetSize {
  const size: NetSize = { parameters: 0, statistics: 0 };
  measured = size;
  try {
    build();
  } finally {
    measured = undefined;
  }
  return size;
}

/** What stands for a tensor that is not made. */
function unmade<R extends tf.Rank>(shape: tf.ShapeMap[R]): tf.Variable<R> {
  return {
    shape,
    size: sizeOf(shape),
    rank: shape.length,
    dtype: 'float32',
    dispose: () => undefined,
  } as unknown as tf.Variable<R>;
}

/**
 * Makes a network's tensors one after the other, from the initialisation stream: element i of the k-th parameter is a function of
 * (seed, base_k + i), bases laid out as in the mask stream. Uniform: bound * (2u - 1); normal: deviation times Box and Muller's.
 */
export class NetBuilder {
  readonly parameters: Parameter[] = [];
  readonly statistics: Parameter[] = [];
  readonly #name: string;
  readonly #prefix: string;
  readonly #seed: bigint;
  readonly #retain: number;
  #next = 0;

  constructor(name: string, { seed, standardDropout = 1 }: NetOptions) {
    this.#name = name;
    // tfjs wants variable names unique in the process; two networks of one kind may live side by side. One that is only measured takes no number:
    // a run that goes on is not measured again, and its optimizer's state has these names.
    this.#prefix = measured === undefined ? `${name}_${instances++}` : name;
    this.#seed = seed;
    this.#retain = standardDropout;
  }

  /** A trainable tensor. */
  parameter<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], initial: Initial): tf.Variable<R> {
    const size = sizeOf(shape);
    if (measured !== undefined) {
      measured.parameters += size;
      return this.#keep(this.parameters, name, unmade(shape));
    }
    const base = this.#next;
    this.#next = layOut([base + size, 0])[1] as number;
    return this.#add(this.parameters, name, shape, this.#draw(initial, base, size), true);
  }

  /** A tensor that training carries along, all elements alike at first. */
  statistic<R extends tf.Rank>(name: string, shape: tf.ShapeMap[R], value: number): tf.Variable<R> {
    if (measured !== undefined) {
      measured.statistics += sizeOf(shape);
      return this.#keep(this.statistics, name, unmade(shape));
    }
    const values = new Float32Array(sizeOf(shape)).fill(value);
    return this.#add(this.statistics, name, shape, values, false);
  }

  /** The network that the tensors made so far belong to. */
  net<Output>(forward: (inputs: tf.Tensor, pass: Pass) => Output): Net<Output> {
    const { parameters, statistics } = this;
    return {
      name: this.#name,
      parameters,
      statistics,
      forward: (inputs, options) => forward(inputs, this.pass(options)),
      dispose: () => {
        for (const { variable } of [...parameters, ...statistics]) variable.dispose();
      },
    };
  }

  /** Begins a forward pass: its layers draw one after the other, so that a step gives the same bits however often it is run. */
  pass({ training, step, rows }: ForwardOptions): Pass {
    if (!training || this.#retain === 1) return { training, step, drops: false, drop: (activations) => activations };
    const stream = new DropoutStream({ seed: `0x${this.#seed.toString(16)}`, iterations: step - 1 });
    const drop = <T extends tf.Tensor>(activations: T): T => stream.drop(activations, this.#retain, rows) as T;
    return { training, step, drops: true, drop };
  }

  #draw(initial: Initial, base: number, size: number): Float32Array {
    const position = { seed: this.#seed, stream: 'initialisation', step: 0 } as const;
    const values = new Float32Array(size);
    if (initial.kind === 'constant') return values.fill(initial.value);
    if (initial.kind === 'normal') {
      const normals = drawNormals(position, base, size);
      for (let i = 0; i < size; i++) values[i] = initial.deviation * (normals[i] as number);
    } else {
      const words = drawWords(position, base, size);
      for (let i = 0; i < size; i++) values[i] = initial.bound * (2 * uniform(words[i] as number) - 1);
    }
    return values;
  }

  #add<R extends tf.Rank>(
    list: Parameter[],
    name: string,
    shape: tf.ShapeMap[R],
    values: Float32Array,
    trainable: boolean,
  ): tf.Variable<R> {
    const variable = tf.tidy(() => tf.variable(tf.tensor<R>(values, shape), trainable, `${this.#prefix}/${name}`));
    return this.#keep(list, name, variable);
  }

  #keep<R extends tf.Rank>(list: Parameter[], name: string, variable: tf.Variable<R>): tf.Variable<R> {
    list.push({ name, variable });
    return variable;
  }
}
