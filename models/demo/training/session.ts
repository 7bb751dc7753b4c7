import * as tf from '@tensorflow/tfjs';
import { permutation } from 'learning-rate-dropout/stream';
import { MASK_KINDS } from 'learning-rate-dropout/spec';
import type { ArmSettings, ArmSnapshot } from './arm.ts';
import { Arm } from './arm.ts';
import type { Digits } from './data.ts';
import type { Arms, Rates, TrainingSettings } from './messages.ts';
import { MASKS } from './messages.ts';

const BATCH = 128;
/** Milliseconds of work between two looks at the page's wishes. */
const SLICE = 120;

/** What one slice of work brought. */
export interface Slice {
  readonly step: number;
  readonly epoch: number;
  readonly stepsPerSecond: number;
  /** Mean training loss over the steps of the last epoch's length. */
  readonly loss: Arms;
  /** Where the slice ended with an epoch. */
  readonly accuracy: Arms | undefined;
}

interface Snapshot {
  readonly plain: ArmSnapshot;
  readonly lrd: ArmSnapshot;
}

/** What both arms are made of. A mask that draws nothing has no keep probability, and so no control of the learning rate. */
function armsOf({ mask, keepProbability, learningRate, control }: TrainingSettings): Record<keyof Arms, ArmSettings> {
  const request = MASKS[mask];
  const draws = MASK_KINDS[request.kind].draw === 'bernoulli';
  return {
    plain: {
      keepProbability: 1,
      learningRate: control && draws ? learningRate * keepProbability : learningRate,
      mask: { kind: 'lrd' },
    },
    lrd: { keepProbability: draws ? keepProbability : undefined, learningRate, mask: request },
  };
}

/** The training of both arms, on whatever backend tfjs has. */
export class Session {
  #settings: TrainingSettings;
  readonly #digits: Digits;
  #plain: Arm;
  #lrd: Arm;
  #order: Uint32Array;
  #step = 0;
  /** Losses of the last epoch's steps with their batches' sizes, the newest last. */
  #recent: { readonly count: number; readonly plain: number; readonly lrd: number }[] = [];
  /** Steps between two waits for the device: as many as fit a slice. */
  #pace = 1;

  constructor(digits: Digits, settings: TrainingSettings) {
    this.#digits = digits;
    this.#settings = settings;
    const { plain, lrd } = armsOf(settings);
    this.#plain = new Arm(digits, settings, plain);
    this.#lrd = new Arm(digits, settings, lrd);
    this.#order = this.#shuffle();
  }

  /** Of each network. */
  get parameters(): number {
    return this.#plain.parameters;
  }

  get #stepsPerEpoch(): number {
    return Math.ceil(this.#digits.train.count / BATCH);
  }

  #shuffle(): Uint32Array {
    const epoch = Math.floor(this.#step / this.#stepsPerEpoch) + 1;
    return permutation(
      { seed: BigInt(this.#settings.seed), stream: 'shuffling', step: epoch },
      this.#digits.train.count,
    );
  }

  change(rates: Rates): void {
    this.#settings = { ...this.#settings, ...rates };
    const { plain, lrd } = armsOf(this.#settings);
    this.#plain.change(plain);
    this.#lrd.change(lrd);
  }

  /** The next batch on the device. */
  #batch(): { readonly inputs: tf.Tensor2D; readonly targets: tf.Tensor2D } {
    const { pixels, classes, train } = this.#digits;
    const first = (this.#step % this.#stepsPerEpoch) * BATCH;
    const indices = this.#order.subarray(first, first + BATCH);
    const inputs = new Float32Array(indices.length * pixels);
    const targets = new Float32Array(indices.length * classes);
    indices.forEach((index, row) => {
      inputs.set(train.inputs.subarray(index * pixels, (index + 1) * pixels), row * pixels);
      targets.set(train.targets.subarray(index * classes, (index + 1) * classes), row * classes);
    });
    return {
      inputs: tf.tensor2d(inputs, [indices.length, pixels]),
      targets: tf.tensor2d(targets, [indices.length, classes]),
    };
  }

  /** Trains for about a tenth of a second, or to the end of the epoch. */
  async advance(): Promise<Slice> {
    const start = performance.now();
    const left = this.#stepsPerEpoch - (this.#step % this.#stepsPerEpoch);
    const count = Math.min(this.#pace, left);
    const losses: tf.Tensor[] = [];
    const counts: number[] = [];
    for (let i = 0; i < count; i++) {
      const { inputs, targets } = this.#batch();
      counts.push(inputs.shape[0]);
      this.#step += 1;
      losses.push(this.#plain.step(inputs, targets, this.#step), this.#lrd.step(inputs, targets, this.#step));
      inputs.dispose();
      targets.dispose();
    }
    const stacked = tf.stack(losses);
    const values = await stacked.data<'float32'>();
    tf.dispose([stacked, ...losses]);
    const newest = counts.map((size, i) => ({
      count: size,
      plain: values[2 * i] as number,
      lrd: values[2 * i + 1] as number,
    }));
    this.#recent = [...this.#recent, ...newest].slice(-this.#stepsPerEpoch);
    const seen = this.#recent.reduce((sum, one) => sum + one.count, 0);
    const mean = (arm: keyof Arms): number => this.#recent.reduce((sum, one) => sum + one.count * one[arm], 0) / seen;
    const seconds = (performance.now() - start) / 1000;
    this.#pace = Math.max(1, Math.min(2 * this.#pace, Math.round((count * SLICE) / 1000 / seconds)));
    const ended = count === left;
    const slice = {
      step: this.#step,
      epoch: this.#step / this.#stepsPerEpoch,
      stepsPerSecond: (2 * count) / seconds,
      loss: { plain: mean('plain'), lrd: mean('lrd') },
    };
    if (!ended) return { ...slice, accuracy: undefined };
    this.#order = this.#shuffle();
    return { ...slice, accuracy: { plain: await this.#plain.test(), lrd: await this.#lrd.test() } };
  }

  /** Goes on with the same bits on another backend, which `change` starts. When it fails, on the old one. */
  async move(change: () => Promise<void>): Promise<void> {
    const snapshot: Snapshot = { plain: await this.#plain.snapshot(), lrd: await this.#lrd.snapshot() };
    const old = [this.#plain, this.#lrd];
    await change();
    for (const arm of old) arm.dispose();
    const { plain, lrd } = armsOf(this.#settings);
    this.#plain = new Arm(this.#digits, this.#settings, plain, snapshot.plain);
    this.#lrd = new Arm(this.#digits, this.#settings, lrd, snapshot.lrd);
    this.#pace = 1;
    if (this.#step === 0) return;
    await this.#plain.restore(snapshot.plain);
    await this.#lrd.restore(snapshot.lrd);
  }

  dispose(): void {
    this.#plain.dispose();
    this.#lrd.dispose();
  }
}
