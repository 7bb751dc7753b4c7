import * as tf from '@tensorflow/tfjs';
import { adam, adamw, amsgrad, radam, rmsprop, sgdm } from 'learning-rate-dropout';
import type { LrdOptimizer, MaskRequest } from 'learning-rate-dropout';
import { fcNet } from '../../nets/fcnet.ts';
import type { Net } from '../../nets/net.ts';
import type { Digits, Samples } from './data.ts';
import type { TrainingSettings } from './messages.ts';

type Factory = (options: object) => LrdOptimizer;
const FACTORIES: Readonly<Record<TrainingSettings['rule'], Factory>> = { sgdm, rmsprop, adam, amsgrad, radam, adamw };

/** A tensor of an optimizer, off every backend. */
interface Saved {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  readonly values: Float32Array | Int32Array;
}

/** An arm of the comparison without a backend: what it takes to go on elsewhere. */
export interface ArmSnapshot {
  readonly parameters: readonly Float32Array[];
  readonly optimizer: readonly Saved[];
  readonly config: object;
}

/** Mean softmax cross-entropy over a batch. */
function crossEntropy(logits: tf.Tensor2D, targets: tf.Tensor2D): tf.Scalar {
  return tf.div(tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(logits)))), logits.shape[0]);
}

/** What tells one arm of the comparison from the other. */
export interface ArmSettings {
  /** Undefined for a mask that draws nothing. */
  readonly keepProbability: number | undefined;
  readonly learningRate: number;
  readonly mask: MaskRequest;
}

/** One of the two networks that are compared: the same start, the same batches, another mask. */
export class Arm {
  readonly #net: Net;
  readonly #optimizer: LrdOptimizer;
  readonly #digits: Digits;
  readonly #settings: TrainingSettings;

  constructor(digits: Digits, settings: TrainingSettings, own: ArmSettings, from?: ArmSnapshot) {
    this.#digits = digits;
    this.#settings = settings;
    const { rule, width, seed } = settings;
    this.#net = fcNet({ inputs: digits.pixels, classes: digits.classes, width, seed: BigInt(seed) });
    this.#optimizer = FACTORIES[rule](from?.config ?? { ...own, seed });
  }

  /** Puts a snapshot in place. Must be awaited before the first step. */
  async restore({ parameters, optimizer }: ArmSnapshot): Promise<void> {
    this.#net.parameters.forEach(({ variable }, k) => {
      const tensor = tf.tensor(parameters[k] as Float32Array, variable.shape);
      variable.assign(tensor);
      tensor.dispose();
    });
    const weights = optimizer.map(({ name, shape, dtype, values }) => ({
      name,
      tensor: tf.tensor(values, [...shape], dtype),
    }));
    await this.#optimizer.setWeights(weights);
    for (const { tensor } of weights) tensor.dispose();
  }

  async snapshot(): Promise<ArmSnapshot> {
    const parameters: Float32Array[] = [];
    for (const { variable } of this.#net.parameters) parameters.push((await variable.data<'float32'>()).slice());
    const optimizer: Saved[] = [];
    for (const { name, tensor } of await this.#optimizer.getWeights()) {
      const values = (await tensor.data<'float32'>()).slice();
      optimizer.push({ name, shape: [...tensor.shape], dtype: tensor.dtype as Saved['dtype'], values });
    }
    return { parameters, optimizer, config: this.#optimizer.getConfig() };
  }

  get parameters(): number {
    return this.#net.parameters.reduce((sum, { variable }) => sum + variable.size, 0);
  }

  change({ keepProbability, learningRate }: Omit<ArmSettings, 'mask'>): void {
    if (keepProbability !== undefined) this.#optimizer.keepProbability = keepProbability;
    this.#optimizer.learningRate = learningRate;
  }

  /** One optimizer step. Returns the batch's loss, to be disposed by the caller. */
  step(inputs: tf.Tensor2D, targets: tf.Tensor2D, step: number): tf.Scalar {
    return tf.tidy(() => {
      const variables = this.#net.parameters.map(({ variable }) => variable);
      const { value, grads } = tf.variableGrads(
        () => crossEntropy(this.#net.forward(inputs, { training: true, step }), targets),
        variables,
      );
      this.#optimizer.applyGradients(grads);
      return value;
    });
  }

  /** Percent of the test images that are recognised. */
  async test(): Promise<number> {
    const { count, inputs, labels }: Samples = this.#digits.test;
    const guesses = tf.tidy(() => {
      const images = tf.tensor2d(inputs, [count, this.#digits.pixels]);
      return tf.argMax(this.#net.forward(images, { training: false, step: 0 }), 1);
    });
    const classes = await guesses.data<'int32'>();
    guesses.dispose();
    return (100 * labels.reduce((sum, label, i) => sum + (classes[i] === label ? 1 : 0), 0)) / count;
  }

  /** The settings that it began with. */
  get settings(): TrainingSettings {
    return this.#settings;
  }

  dispose(): void {
    this.#net.dispose();
    this.#optimizer.dispose();
  }
}
