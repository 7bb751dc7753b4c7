import * as fc from 'fast-check';

/** The seed of every random test: fixed, or `LRD_SEED`. */
export const testSeed = Number.parseInt(process.env['LRD_SEED'] ?? '20220324', 10);

/** Parameters of `fc.assert`. */
export function runs(numRuns: number): { seed: number; numRuns: number; includeErrorInReport: boolean } {
  return { seed: testSeed, numRuns, includeErrorInReport: true };
}

/** Any float64: NaN, infinities, -0 and subnormals included. For laws that hold for every bit pattern. */
export const hostile = fc.oneof(
  fc.double(),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7e308),
);

/** Numbers as gradients and weights are: either sign, 2^-20 to 2^6, now and then 0. */
export const natural = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  {
    weight: 9,
    arbitrary: fc
      .tuple(fc.constantFrom(-1, 1), fc.integer({ min: -20, max: 5 }), fc.integer({ min: 0, max: 2 ** 20 - 1 }))
      .map(([sign, exponent, fraction]) => sign * 2 ** exponent * (1 + fraction / 2 ** 20)),
  },
);

export const keepProbability = fc.oneof(
  fc.constantFrom(1, 0.5, 2 ** -16, 0.3, 0.7, 1 - 2 ** -18),
  fc.double({ min: 2 ** -16, max: 1, noNaN: true }),
);

export const seed = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

export function vector(of: fc.Arbitrary<number>, length: number): fc.Arbitrary<number[]> {
  return fc.array(of, { minLength: length, maxLength: length });
}

export function mask(length: number): fc.Arbitrary<number[]> {
  return vector(fc.constantFrom(0, 1), length);
}

/** The bits of a float64: what "bit-identical" compares. */
export function bits(values: ArrayLike<number>): string[] {
  const floats = Float64Array.from(values);
  return Array.from(new BigUint64Array(floats.buffer), (word) => word.toString(16).padStart(16, '0'));
}
