import { drawWords, uniform } from 'learning-rate-dropout/stream';

/** Which example of which epoch is augmented. */
export interface ExamplePosition {
  readonly seed: bigint;
  /** Counted from 1. */
  readonly epoch: number;
  /** The example's index in the data set, before shuffling. */
  readonly example: number;
}

const WORDS = 4;
/** The high word of the block counter numbers the blocks of one example. */
const NEXT_BLOCK = 2 ** 32;

/**
 * The numbers that augment one example, from the augmentation stream: word k of example i is word k mod 4 of block
 * i + 2^32 floor(k / 4), step = the epoch. However many numbers an example takes, no other example's change.
 */
export class Draws {
  readonly #position: ExamplePosition;
  #words: Uint32Array = new Uint32Array(0);
  #taken = 0;

  constructor(position: ExamplePosition) {
    this.#position = position;
  }

  #word(): number {
    const { seed, epoch, example } = this.#position;
    const within = this.#taken % WORDS;
    if (within === 0) {
      const block = example + NEXT_BLOCK * (this.#taken / WORDS);
      this.#words = drawWords({ seed, stream: 'augmentation', step: epoch }, block * WORDS, WORDS);
    }
    this.#taken += 1;
    return this.#words[within] as number;
  }

  /** Uniform in (low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * uniform(this.#word());
  }

  /** Uniform over 0 .. choices - 1. */
  choice(choices: number): number {
    return Math.floor((this.#word() * choices) / 2 ** 32);
  }

  /** True with that probability. */
  chance(probability: number): boolean {
    return uniform(this.#word()) < probability;
  }
}
