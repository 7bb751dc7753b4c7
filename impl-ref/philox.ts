import { PHILOX } from '../spec/stream.ts';

/** Four 32-bit words, each a non-negative integer below 2^32. */
export type Words = readonly [number, number, number, number];

/**
 * The 64 bits of a product of two 32-bit words, as (low, high). a b = 2^16 a bHigh + a bLow, where both products stay below 2^48
 * and are exact in float64.
 */
function multiply(a: number, b: number): readonly [low: number, high: number] {
  const carry = Math.floor((a * (b & 0xffff)) / 2 ** 16);
  return [Math.imul(a, b) >>> 0, Math.floor((a * (b >>> 16) + carry) / 2 ** 16)];
}

/**
 * One block of Philox4x32-10.
 *
 * Each round maps (c0, c1, c2, c3) to (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)); the key grows by the
 * Weyl increments between rounds.
 *
 * @param counter - 128 bits, least significant word first
 * @param key - 64 bits as (low, high)
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
 */
export function philox4x32(counter: Words, key: readonly [low: number, high: number]): Words {
  const {
    rounds,
    multipliers: [multiplier0, multiplier1],
    weyl: [weyl0, weyl1],
  } = PHILOX;
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < rounds; round++) {
    const [low0, high0] = multiply(multiplier0, c0);
    const [low1, high1] = multiply(multiplier1, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  return [c0, c1, c2, c3];
}
