/**
 * Everything random in a run but the masks, on the host: a pure function of (seed, stream, step, element). Element n reads
 * word n mod 4 of block floor(n / 4); a tensor's elements start at its base in the layout of `spec/stream.ts`.
 *
 * @module learning-rate-dropout/stream
 */
import type { StreamName } from '../spec/stream.ts';
import { LAYOUT, STREAMS, THRESHOLD } from '../spec/stream.ts';
import { fillKept } from './engines/draw.ts';
import type { Key } from './philox.ts';
import { philox4x32 } from './philox.ts';
import { InvalidArgumentError, show } from './validate.ts';

/** A seed as users give it: a bigint, a safe integer, or a string such as "0x0123456789abcdef". */
export type Seed = bigint | number | string;

/** Reads a seed. Throws an `InvalidArgumentError` unless it is a whole number in [0, 2^64). */
export function parseSeed(seed: Seed): bigint {
  const whole =
    typeof seed === 'bigint' ||
    (typeof seed === 'number' && Number.isSafeInteger(seed)) ||
    (typeof seed === 'string' && /^(0x[0-9a-f]+|\d+)$/i.test(seed));
  const value = whole ? BigInt(seed) : -1n;
  if (value < 0n || value >= 1n << 64n) {
    throw new InvalidArgumentError(
      `seed must be a whole number in [0, 2^64) as a bigint, a safe integer or "0x...", got ${show(seed)}`,
    );
  }
  return value;
}

/** The key of a seed: its low and its high word. */
export function keyOf(seed: bigint): Key {
  return [Number(seed & 0xffffffffn), Number(seed >> 32n)];
}

/** The seed of a key. */
export function seedOf([low, high]: Key): bigint {
  return BigInt(low) | (BigInt(high) << 32n);
}

/** A fresh 53-bit seed, for when none is given: small enough to be typed again as a number. */
export function randomSeed(): bigint {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return BigInt(words[0] as number) | (BigInt((words[1] as number) >>> 11) << 32n);
}

/** Where draws begin: seed, stream and step. */
export interface Position {
  /** In [0, 2^64), from `parseSeed`. */
  readonly seed: bigint;
  /** Which of the streams, by its name in `spec/stream.ts`. */
  readonly stream: StreamName;
  /** Counted from 1; 0 is initialisation's. */
  readonly step: number;
}

/** `count` words of a stream, from element `first` on. */
export function drawWords({ seed, stream, step }: Position, first: number, count: number): Uint32Array {
  const key = keyOf(seed);
  const firstBlock = Math.floor(first / LAYOUT.wordsPerBlock);
  const offset = first - firstBlock * LAYOUT.wordsPerBlock;
  const blocks = Math.ceil((offset + count) / LAYOUT.wordsPerBlock);
  const words = new Uint32Array(blocks * LAYOUT.wordsPerBlock);
  for (let i = 0; i < blocks; i++) {
    const block = firstBlock + i;
    philox4x32(block >>> 0, Math.floor(block / 2 ** 32), step, STREAMS[stream], key, words, i * LAYOUT.wordsPerBlock);
  }
  return words.subarray(offset, offset + count);
}

/** A word as a number in (0, 1): (word + 1/2) / 2^32. */
export function uniform(word: number): number {
  return (word + 0.5) / 2 ** 32;
}

/** The bases of a list of tensors: each starts at the next multiple of 64 elements. */
export function layOut(sizes: readonly number[]): number[] {
  const alignment = LAYOUT.tensorAlignment;
  let next = 0;
  return sizes.map((size) => {
    const base = next;
    next = base + Math.ceil(size / alignment) * alignment;
    return base;
  });
}

/** A permutation of 0 .. n - 1 by Fisher and Yates from the end: word i picks among the first i + 1. */
export function permutation(position: Position, n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const words = drawWords(position, 0, n);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(((words[i] as number) * (i + 1)) / 2 ** 32);
    const held = order[i] as number;
    order[i] = order[j] as number;
    order[j] = held;
  }
  return order;
}

/** Below so many elements a call into WebAssembly gains nothing. */
const FEW = 64;

/**
 * Bernoulli draws of `count` elements from global index `base` (a multiple of 64): 1 where the element's 16-bit half is below
 * `threshold`, else 0. Element n has half n mod 8 of block floor(n / 8), the low half of a word first.
 */
export function drawKept(position: Position, base: number, count: number, threshold: number): Uint8Array {
  if (count >= FEW && threshold > 0 && threshold < THRESHOLD.scale) {
    const { seed, stream, step } = position;
    const drawn = new Uint8Array(count);
    if (fillKept({ key: keyOf(seed), stream: STREAMS[stream], step, threshold }, base, drawn)) return drawn;
  }
  const words = drawWords(position, base / 2, Math.ceil(count / 2));
  const kept = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const word = words[i >> 1] as number;
    kept[i] = (i % 2 === 0 ? word & 0xffff : word >>> 16) < threshold ? 1 : 0;
  }
  return kept;
}

/** Standard normal numbers by Box and Muller: elements 2j and 2j + 1 are sqrt(-2 ln u_2j) times cos and sin of 2 pi u_2j+1. */
export function drawNormals(position: Position, base: number, count: number): Float64Array {
  const words = drawWords(position, base, count + (count % 2));
  const normals = new Float64Array(words.length);
  for (let pair = 0; pair < words.length; pair += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform(words[pair] as number)));
    const angle = 2 * Math.PI * uniform(words[pair + 1] as number);
    normals[pair] = radius * Math.cos(angle);
    normals[pair + 1] = radius * Math.sin(angle);
  }
  return normals.subarray(0, count);
}
