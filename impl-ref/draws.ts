import { DRAWS } from '../spec/stream.ts';
import { parseSeed } from './seed.ts';
import type { SeedLike } from './seed.ts';
import { layout, words } from './stream.ts';
import type { StreamPosition } from './stream.ts';

/** u_n = (word_n + 1/2) / 2^32 for n = base, ..., base + length - 1: in (0, 1). */
export function uniforms(position: StreamPosition, length: number): Float64Array {
  return Float64Array.from(words(position, length), (word) => (word + DRAWS.uniformOffset) / DRAWS.wordRange);
}

/**
 * Standard normal numbers for n = base, ..., base + length - 1 by Box and Muller: z_2j and z_2j+1 are
 * sqrt(-2 ln u_2j) times cos and sin of 2 pi u_2j+1. `position.base` is even.
 */
export function normals(position: StreamPosition, length: number): Float64Array {
  const u = uniforms(position, length + (length % 2));
  return Float64Array.from({ length }, (_, i) => {
    const pair = i - (i % 2);
    const radius = Math.sqrt(-2 * Math.log(u[pair] as number));
    const angle = 2 * Math.PI * (u[pair + 1] as number);
    return radius * (i % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  });
}

/** floor(word k / 2^32): one of k choices, 0 to k - 1. Exact up to k = 2^21. */
export function choose(word: number, k: number): number {
  return Math.floor((word * k) / DRAWS.wordRange);
}

/** The order of `size` items in an epoch (counted from 1): Fisher and Yates from the end, on the shuffling stream. */
export function permutation(seed: SeedLike, epoch: number, size: number): Uint32Array {
  const draws = words({ key: parseSeed(seed), step: epoch, stream: 'shuffling', base: 0 }, size);
  const order = Uint32Array.from({ length: size }, (_, i) => i);
  for (let i = size - 1; i >= 1; i--) {
    const j = choose(draws[i] as number, i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

/** Uniform initial values in (-bound, bound), by tensor: bound_k (2u - 1) with step word 0 and the masks' own layout. */
export function initialValues(seed: SeedLike, sizes: readonly number[], bounds: readonly number[]): Float64Array[] {
  const key = parseSeed(seed);
  const bases = layout(sizes);
  return sizes.map((size, k) => {
    const position = {
      key,
      step: DRAWS.initialisationStep,
      stream: 'initialisation',
      base: bases[k] as number,
    } as const;
    return uniforms(position, size).map((u) => (bounds[k] as number) * (2 * u - 1));
  });
}
