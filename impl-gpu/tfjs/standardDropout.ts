import * as tf from '@tensorflow/tfjs';
import { LAYOUT, THRESHOLD } from '../../spec/stream.ts';
import { thresholdOf } from '../engines/plan.ts';
import { drawKept, parseSeed } from '../random.ts';
import { choose } from './steppers/keptTensor.ts';
import { InvalidArgumentError } from '../validate.ts';
import type { LrdOptimizer } from './optimizer.ts';

/** Where standard dropout finds its bits: the optimizer's seed and step, and how far this step has been used already. */
export class DropoutStream {
  readonly #optimizer: Pick<LrdOptimizer, 'seed' | 'iterations'>;
  #step = 0;
  #next = 0;

  constructor(optimizer: Pick<LrdOptimizer, 'seed' | 'iterations'>) {
    this.#optimizer = optimizer;
  }

  /**
   * Inverted dropout of activations: kept with probability `retain` and divided by the probability that holds, else 0. Layers are
   * laid out one after the other in the order of their calls within an optimizer step, as parameters are in the mask stream.
   *
   * @param rows - where several processes have a part of the batch each: the place of the first row of these in it, and how many it has. The
   *   first axis is then that of rows, and each row draws as it does in the whole batch.
   */
  drop(activations: tf.Tensor, retain: number, rows?: { readonly first: number; readonly all: number }): tf.Tensor {
    const step = this.#optimizer.iterations + 1;
    if (step !== this.#step) {
      this.#step = step;
      this.#next = 0;
    }
    const base = this.#next;
    const rowSize = activations.size / Math.max(1, activations.shape[0] ?? 1);
    const whole = rows === undefined ? activations.size : rows.all * rowSize;
    this.#next += Math.ceil(whole / LAYOUT.tensorAlignment) * LAYOUT.tensorAlignment;
    const threshold = thresholdOf(retain);
    if (threshold === THRESHOLD.scale) return activations.clone();
    const position = { seed: parseSeed(this.#optimizer.seed), stream: 'standardDropout', step } as const;
    const start = base + (rows === undefined ? 0 : rows.first * rowSize);
    // Draws begin at a block of eight.
    const block = Math.floor(start / 8) * 8;
    const kept = drawKept(position, block, start - block + activations.size, threshold).subarray(start - block);
    return tf.tidy(() => {
      const mask = tf.tensor(kept, activations.shape, 'bool');
      return choose(mask, tf.mul(activations, THRESHOLD.scale / threshold), tf.zerosLike(activations));
    });
  }
}

/** What a `StandardDropout` layer is made of. */
export interface StandardDropoutOptions {
  /** Probability of keeping a unit, in [2^-16, 1]. Default .9, the papers'. */
  readonly retain?: number;
}

/** Standard dropout (SD; Srivastava et al. 2014) as a layer that draws from the streams. `attachDropout` tells it of the optimizer. */
export class StandardDropout extends tf.layers.Layer {
  /** The name under which tfjs saves and finds it. */
  static readonly className = 'StandardDropout';
  /** The probability that a unit is kept, in [2^-16, 1]. */
  readonly retain: number;
  /** Where its masks come from, set by `attachDropout`; without one a training call throws. */
  stream: DropoutStream | undefined;

  constructor(config: StandardDropoutOptions = {}) {
    super(config as object);
    const { retain = 0.9 } = config;
    if (!(retain >= 2 ** -16 && retain <= 1)) {
      throw new InvalidArgumentError(`retain must be in [2^-16, 1], got ${retain}`);
    }
    this.retain = retain;
  }

  override computeOutputShape(inputShape: tf.Shape): tf.Shape {
    return inputShape;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { readonly training?: boolean }): tf.Tensor {
    const [first] = Array.isArray(inputs) ? inputs : [inputs];
    const activations = first as tf.Tensor;
    if (kwargs.training !== true) return activations.clone();
    if (this.stream === undefined) {
      throw new Error(`layer ${this.name} must be attached before training: attachDropout(model, optimizer)`);
    }
    return this.stream.drop(activations, this.retain);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), retain: this.retain };
  }
}

tf.serialization.registerClass(StandardDropout);

/** What a layer may hold other layers in: models, wrappers and stacked cells. */
const HOLDERS = ['layers', 'layer', 'forwardLayer', 'backwardLayer', 'cell', 'cells'] as const;

/** A layer with all that are inside of it, each once. */
function layersOf(layer: tf.layers.Layer, found = new Set<tf.layers.Layer>()): Set<tf.layers.Layer> {
  if (found.has(layer)) return found;
  found.add(layer);
  const holder = layer as unknown as Partial<Record<(typeof HOLDERS)[number], tf.layers.Layer | tf.layers.Layer[]>>;
  for (const inner of HOLDERS.flatMap((name) => holder[name] ?? [])) {
    if (inner instanceof tf.layers.Layer) layersOf(inner, found);
  }
  return found;
}

/** One for each optimizer: two models that it trains must not draw the same bits. */
const streams = new WeakMap<LrdOptimizer, DropoutStream>();

/**
 * Lets a model's `StandardDropout` layers, those of models and wrappers within it too, draw with the optimizer's seed, at its step, each at a
 * place of its own. To be called again after loading a model.
 */
export function attachDropout(model: tf.LayersModel, optimizer: LrdOptimizer): void {
  let stream = streams.get(optimizer);
  if (stream === undefined) streams.set(optimizer, (stream = new DropoutStream(optimizer)));
  for (const layer of layersOf(model)) if (layer instanceof StandardDropout) layer.stream = stream;
}
