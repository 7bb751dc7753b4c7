import * as tf from '@tensorflow/tfjs';
import { denseTraining } from 'learning-rate-dropout';
import { UsageError } from '../errors.ts';
import type { Initial } from './builder.ts';
import { NetBuilder } from './builder.ts';
import type { Net, NetOptions } from './net.ts';

/** Of attention, in every block. */
export const GPT_HEADS = 4;
/** Bytes are its words. */
export const GPT_VOCABULARY = 256;
/** What the network has where nothing else is asked for. */
export const GPT_DEFAULTS = { width: 128, layers: 4, context: 128 } as const;
/** Of layer normalisation, as PyTorch has it. */
const EPSILON = 1e-5;

export interface GptOptions extends NetOptions {
  /** Of the residual stream; a multiple of the 4 heads. Default 128. */
  readonly width?: number;
  /** Blocks. Default 4. */
  readonly layers?: number;
  /** Bytes that it sees at once. Default 128. */
  readonly context?: number;
}

/** Throws a `UsageError` for a width that the heads cannot share. */
export function checkGptWidth(width: number): void {
  if (width % GPT_HEADS !== 0) {
    throw new UsageError(`--width must be a multiple of ${GPT_HEADS}, the heads of gpt, got ${width}`);
  }
}

/** Radford et al. 2019 start all weights so. */
const NORMAL: Initial = { kind: 'normal', deviation: 0.02 };
const ZERO: Initial = { kind: 'constant', value: 0 };
const ONE: Initial = { kind: 'constant', value: 1 };

type Map2 = (x: tf.Tensor2D) => tf.Tensor2D;

/** `weight` [inputs, outputs] and `bias` [outputs]. */
function linear(builder: NetBuilder, name: string, inputs: number, outputs: number, initial: Initial): Map2 {
  const weight = builder.parameter<tf.Rank.R2>(`${name}/weight`, [inputs, outputs], initial);
  const bias = builder.parameter<tf.Rank.R1>(`${name}/bias`, [outputs], ZERO);
  return (x) => denseTraining(x, weight, bias);
}

/** (x - mean) / sqrt(variance + epsilon) over the last axis, with its gradient in six operations where tfjs would take a dozen. */
const normalise = tf.customGrad((x, save) => {
  const centred = tf.sub(x as tf.Tensor, tf.mean(x as tf.Tensor, 1, true));
  const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), EPSILON));
  const normal = tf.mul(centred, scale);
  (save as tf.GradSaveFunc)([normal, scale]);
  return {
    value: normal,
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [y, factor] = saved as [tf.Tensor, tf.Tensor];
      const along = tf.mul(y, tf.mean(tf.mul(dy, y), 1, true));
      return tf.mul(tf.sub(tf.sub(dy, tf.mean(dy, 1, true)), along), factor);
    },
  };
}) as Map2;

/** Ba et al. 2016 over the last axis, `weight` and `bias` [width]. */
function layerNorm(builder: NetBuilder, name: string, width: number): Map2 {
  const weight = builder.parameter<tf.Rank.R1>(`${name}/weight`, [width], ONE);
  const bias = builder.parameter<tf.Rank.R1>(`${name}/bias`, [width], ZERO);
  return (x) => tf.add(tf.mul(normalise(x), weight), bias);
}

const GELU = { slope: 2 * Math.sqrt(2 / Math.PI), cubic: 0.044715 } as const;

/** Hendrycks and Gimpel 2016, by its tanh: x (1 + tanh z) / 2 = x sigmoid(2 z), with z = sqrt(2 / pi) (x + .044715 x^3). */
const gelu = tf.customGrad((given, save) => {
  const x = given as tf.Tensor;
  const { slope, cubic } = GELU;
  const gate = tf.sigmoid(tf.mul(x, tf.add(tf.mul(tf.square(x), slope * cubic), slope)));
  (save as tf.GradSaveFunc)([x, gate]);
  return {
    value: tf.mul(x, gate),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
      const [at, opened] = saved as [tf.Tensor, tf.Tensor];
      // gate + x gate (1 - gate) 2 z'.
      const steepness = tf.add(tf.mul(tf.square(at), 3 * slope * cubic), slope);
      const moved = tf.mul(tf.mul(tf.mul(at, tf.sub(1, opened)), steepness), opened);
      return tf.mul(dy, tf.add(opened, moved));
    },
  };
}) as Map2;

/** Causal self-attention of [batch * context, width]. */
function attention(builder: NetBuilder, name: string, width: number, context: number, last: Initial): Map2 {
  const joint = linear(builder, `${name}/qkv`, width, 3 * width, NORMAL);
  const project = linear(builder, `${name}/project`, width, width, last);
  const size = width / GPT_HEADS;
  return (x) => {
    const heads = tf
      .split(joint(x), 3, 1)
      .map((part) => tf.transpose(tf.reshape(part, [-1, context, GPT_HEADS, size]), [0, 2, 1, 3]));
    const [query, key, value] = heads as [tf.Tensor, tf.Tensor, tf.Tensor];
    // What lies ahead has no weight: exp(-1e9) is 0.
    const ahead = tf.mul(tf.sub(1, tf.linalg.bandPart(tf.ones([context, context]), -1, 0)), -1e9);
    // Divided ahead of the product: there are fewer of them.
    const scores = tf.add(tf.matMul(tf.mul(query, 1 / Math.sqrt(size)), key, false, true), ahead);
    const mixed = tf.matMul(tf.softmax(scores), value);
    return project(tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, width]));
  };
}

/**
 * A decoder of bytes, in the form of GPT-2 (Radford et al. 2019): learned positions, pre-norm blocks of causal attention (4 heads) and a perceptron of
 * four times the width, a norm and a head of its own. Takes bytes [batch, context], gives logits [batch * context, 256] of the byte behind each.
 * Starts as GPT-2 does: normal with deviation .02, what a block adds to the stream with .02 / sqrt(2 layers); biases 0. Standard dropout, if any, is on what
 * a block adds.
 */
export function gpt(options: GptOptions): Net {
  const { width, layers, context } = { ...GPT_DEFAULTS, ...options };
  checkGptWidth(width);
  const builder = new NetBuilder('gpt', options);
  const last: Initial = { kind: 'normal', deviation: 0.02 / Math.sqrt(2 * layers) };
  // As linear layers have it, [in, out]: a PyTorch file's [256, width] is turned as every matrix is.
  const embedding = builder.parameter<tf.Rank.R2>('embedding/weight', [width, GPT_VOCABULARY], NORMAL);
  const positions = builder.parameter<tf.Rank.R2>('positions/weight', [width, context], NORMAL);
  const blocks = Array.from({ length: layers }, (_, k) => {
    const name = `blocks/${k}`;
    return {
      norm1: layerNorm(builder, `${name}/norm1`, width),
      attend: attention(builder, `${name}/attention`, width, context, last),
      norm2: layerNorm(builder, `${name}/norm2`, width),
      widen: linear(builder, `${name}/mlp/widen`, width, 4 * width, NORMAL),
      narrow: linear(builder, `${name}/mlp/narrow`, 4 * width, width, last),
    };
  });
  const norm = layerNorm(builder, 'norm', width);
  const head = builder.parameter<tf.Rank.R2>('head/weight', [width, GPT_VOCABULARY], NORMAL);
  return builder.net((bytes, { drop }) => {
    // A product, since gathering has no gradient on WebAssembly.
    const words = tf.oneHot(tf.reshape(tf.cast(bytes, 'int32'), [-1]), GPT_VOCABULARY).toFloat() as tf.Tensor2D;
    const read = tf.reshape(tf.matMul(words, embedding, false, true), [-1, context, width]);
    let stream = tf.reshape(tf.add(read, tf.transpose(positions)), [-1, width]) as tf.Tensor2D;
    for (const { norm1, attend, norm2, widen, narrow } of blocks) {
      stream = tf.add(stream, drop(attend(norm1(stream))));
      stream = tf.add(stream, drop(narrow(gelu(widen(norm2(stream))))));
    }
    return tf.matMul(norm(stream), head);
  });
}
