import { PHILOX } from '../spec/stream.ts';

const [M0, M1] = PHILOX.multipliers;
const [W0, W1] = PHILOX.weyl;

const [M0_LOW, M0_HIGH, M1_LOW, M1_HIGH] = [M0 & 0xffff, M0 >>> 16, M1 & 0xffff, M1 >>> 16] as const;

/** The high word of a * (high * 2^16 + low), in int32 arithmetic throughout, which engines compile best: no intermediate passes 2^32. */
export function multiplyHigh(a: number, low: number, high: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const middle = (Math.imul(aLow, high) + (Math.imul(aLow, low) >>> 16)) | 0;
  const other = (Math.imul(aHigh, low) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, high) + (middle >>> 16) + (other >>> 16)) | 0;
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
    const high0 = multiplyHigh(c0, M0_LOW, M0_HIGH);
    const high1 = multiplyHigh(c2, M1_LOW, M1_HIGH);
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
