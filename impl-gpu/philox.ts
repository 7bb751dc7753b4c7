import { PHILOX } from '../spec/stream.ts';

const [M0, M1] = PHILOX.multipliers;
const [W0, W1] = PHILOX.weyl;

/** The high 32 bits of a 32 x 32-bit product, as an int32, from 16-bit halves. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = Math.imul(aHigh, bLow) >>> 0;
  const middle = (Math.imul(aLow, bLow) >>> 16) + (cross & 0xffff) + (Math.imul(aLow, bHigh) >>> 0);
  // `middle` may pass 2^32: divide instead of shifting.
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + Math.floor(middle / 65536)) | 0;
}

/** A 64-bit seed as the generator's key: [low word, high word]. */
export type Key = readonly [number, number];

/**
 * One block of Philox4x32-10 (Salmon et al., SC 2011): writes four unsigned words to `out[at..at + 3]`.
 * The counter words and the key are taken modulo 2^32.
 */
export function philox4x32(c0: number, c1: number, c2: number, c3: number, key: Key, out: Uint32Array, at = 0): void {
  let [k0, k1] = key;
  for (let round = 0; round < PHILOX.rounds; round++) {
    const high0 = mulHigh(M0, c0);
    const high1 = mulHigh(M1, c2);
    const low0 = Math.imul(M0, c0);
    const low1 = Math.imul(M1, c2);
    c0 = high1 ^ c1 ^ k0;
    c2 = high0 ^ c3 ^ k1;
    c1 = low1;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[at] = c0;
  out[at + 1] = c1;
  out[at + 2] = c2;
  out[at + 3] = c3;
}
