/** Values around those at which elements begin to rest (`wasmResting.ts`, `tensorflow/native/kernel.cc`). */
import type { TensorBuffers } from '../engine.ts';

/** Exponents at which something changes, the smallest ones among them. */
const EXPONENTS = [
  -149, -147, -140, -127, -126, -125, -124, -116, -115, -114, -101, -100, -99, -64, -61, -60, -59, -37, -31, -30, -29,
  -20, -7, 0,
];
const SPECIAL = [Number.NaN, Infinity, -Infinity, 0, -0, 3e38, -3e38];

/**
 * One tensor: many elements without a gradient (of both signs), moments of all magnitudes down to the smallest number, parameters too, and a
 * special value here and there.
 * @param names - of the state
 */
export function restingValues(size: number, names: readonly string[], seed: number): TensorBuffers<Float32Array> {
  let word = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  const uniform = (): number => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return (word >>> 0) / 2 ** 32;
  };
  const oneOf = (values: readonly number[]): number => values[Math.floor(uniform() * values.length)] as number;
  const sign = (): number => (uniform() < 0.5 ? -1 : 1);
  /** Around a boundary, or a few of the smallest numbers. */
  const small = (): number =>
    uniform() < 0.3
      ? Math.floor(uniform() * 9) * 2 ** -149
      : oneOf(EXPONENTS) === 0
        ? 0
        : 2 ** oneOf(EXPONENTS) * (uniform() < 0.3 ? 1 : 0.5 + uniform());
  const gradient = (): number => {
    const kind = uniform();
    return kind < 0.7 ? 0 : kind < 0.8 ? small() : uniform();
  };
  const some = (special: number, ordinary: () => number): number => (uniform() < special ? oneOf(SPECIAL) : ordinary());
  return {
    parameter: Float32Array.from({ length: size }, () =>
      some(0.01, () => sign() * (uniform() < 0.5 ? small() : uniform())),
    ),
    gradient: Float32Array.from({ length: size }, () => some(0.005, () => sign() * gradient())),
    state: Object.fromEntries(
      names.map((name) => {
        // What a sum of squares never is only now and then.
        const negative = name === 'v' || name === 'vmax' ? 0.01 : 0.5;
        return [
          name,
          Float32Array.from({ length: size }, () =>
            some(0.01, () => (uniform() < negative ? -1 : 1) * (uniform() < 0.8 ? small() : uniform())),
          ),
        ];
      }),
    ),
  };
}
