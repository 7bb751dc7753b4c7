import { LAYOUT, STREAMS } from '../spec/stream.ts';
import type { StreamName } from '../spec/stream.ts';
import { philox4x32 } from './philox.ts';
import type { Words } from './philox.ts';

/** Where in the random stream a tensor's draws lie. */
export interface StreamPosition {
  /** Philox's key, from `parseSeed`. */
  readonly key: readonly [low: number, high: number];
  /** The optimizer's step, counted from 1; 0 is initialisation's. */
  readonly step: number;
  /** Which of the streams, by its name in `spec/stream.ts`. */
  readonly stream: StreamName;
  /** Global index of the tensor's first element, from `layout`. */
  readonly base: number;
}

/** Global index of each tensor's first element: tensors in list order, each at the next multiple of 64 elements. */
export function layout(sizes: readonly number[]): number[] {
  const bases: number[] = [];
  let next = 0;
  for (const size of sizes) {
    bases.push(next);
    next += Math.ceil(size / LAYOUT.tensorAlignment) * LAYOUT.tensorAlignment;
  }
  return bases;
}

/** One block of four words: counter = (block low, block high, step, stream). */
function block({ key, step, stream }: StreamPosition, index: number): Words {
  return philox4x32([index % 2 ** 32, Math.floor(index / 2 ** 32), step, STREAMS[stream]], key);
}

/** The 16-bit halves of elements base, ..., base + length - 1: eight to a block, word by word, the low half first. */
export function halves(position: StreamPosition, length: number): Uint16Array {
  const { halvesPerBlock } = LAYOUT;
  const out = new Uint16Array(length);
  let index = -1;
  let words: Words = [0, 0, 0, 0];
  for (let i = 0; i < length; i++) {
    const n = position.base + i;
    if (Math.floor(n / halvesPerBlock) !== index) {
      index = Math.floor(n / halvesPerBlock);
      words = block(position, index);
    }
    const half = n % halvesPerBlock;
    const word = words[half >>> 1] as number;
    out[i] = half % 2 === 0 ? word & 0xffff : word >>> 16;
  }
  return out;
}

/** The 32-bit words of elements base, ..., base + length - 1: four to a block. */
export function words(position: StreamPosition, length: number): Uint32Array {
  const { wordsPerBlock } = LAYOUT;
  const out = new Uint32Array(length);
  let index = -1;
  let current: Words = [0, 0, 0, 0];
  for (let i = 0; i < length; i++) {
    const n = position.base + i;
    if (Math.floor(n / wordsPerBlock) !== index) {
      index = Math.floor(n / wordsPerBlock);
      current = block(position, index);
    }
    out[i] = current[n % wordsPerBlock] as number;
  }
  return out;
}
