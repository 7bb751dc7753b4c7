/** What an API accepts as a seed: 64 bits as a bigint, as a safe integer, or in hexadecimal (`'0x0123456789abcdef'`). */
export type SeedLike = bigint | number | string;

const rule = 'must be a bigint or a safe integer in [0, 2^64), or a string "0x..." of up to 16 hexadecimal digits';

/**
 * The 64-bit seed as Philox's key, (low word, high word).
 *
 * @throws RangeError when `seed` is not a whole number in [0, 2^64)
 */
export function parseSeed(seed: SeedLike): readonly [low: number, high: number] {
  const valid =
    (typeof seed === 'bigint' && seed >= 0n && seed < 2n ** 64n) ||
    (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) ||
    (typeof seed === 'string' && /^0x[0-9a-f]{1,16}$/i.test(seed));
  if (!valid) throw new RangeError(`seed ${rule}, got ${String(seed)}`);
  const bits = BigInt(seed);
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
}
