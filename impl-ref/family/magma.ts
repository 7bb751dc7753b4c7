import { maskedUpdate } from './maskedUpdate.ts';
import type { MaskedUpdate } from './maskedUpdate.ts';
import type { Mask } from './resolveMask.ts';

type AlignmentOptions = Pick<Mask, 'temperature' | 'smoothing' | 'firstAlignment' | 'cosineEpsilon'>;

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);

/** cos(m, g) = m.g / max(|m| |g|, epsilon); 0 where either vector is zero. */
export function cosine(m: Float64Array, g: Float64Array, epsilon: number): number {
  const norms = Math.sqrt(dot(m, m)) * Math.sqrt(dot(g, g));
  return norms === 0 ? 0 : dot(m, g) / Math.max(norms, epsilon);
}

/**
 * s_t, a tensor's alignment after one more step:
 *
 *     s~ = sigmoid(cos(m, g) / temperature)
 *     s_t = smoothing s_(t-1) + (1 - smoothing) s~
 *
 * @param previous - s_(t-1); undefined at the tensor's first gradient, where `firstAlignment` says what stands for it
 *
 * Source: arXiv 2602.15322, Algorithm 1 (Magma).
 */
export function nextAlignment(
  previous: number | undefined,
  m: Float64Array,
  g: Float64Array,
  { temperature, smoothing, firstAlignment, cosineEpsilon }: AlignmentOptions,
): number {
  const measured = 1 / (1 + Math.exp(-cosine(m, g, cosineEpsilon) / temperature));
  if (previous === undefined && firstAlignment === 'measured') return measured;
  const before = previous ?? (firstAlignment === 'one' ? 1 : 0.5);
  return smoothing * before + (1 - smoothing) * measured;
}

/** mu_t = momentDecay mu_(t-1) + (1 - momentDecay) g_t, from zeros: the first moment of a rule that has none to lend. */
export function ownMoment(mu: Float64Array | undefined, g: Float64Array, momentDecay: number): Float64Array {
  return g.map((x, i) => momentDecay * (mu?.[i] ?? 0) + (1 - momentDecay) * x);
}

/** What `magma` steps with. */
export interface MagmaInput extends Omit<MaskedUpdate, 'mask' | 'factor'> {
  /** z: 1 keeps the whole tensor, 0 drops it. */
  readonly kept: 0 | 1;
  /** The first moment that the cosine takes. */
  readonly m: Float64Array;
  /** The gradient that the moments see. */
  readonly gradient: Float64Array;
  /** s_(t-1); undefined at the first gradient. */
  readonly alignment: number | undefined;
  /** How alignment is measured. */
  readonly options: AlignmentOptions;
}

/**
 * Magma for one block:
 *
 *     theta <- theta - s z deltaW
 *
 * with s the block's alignment and no 1/p. s advances on dropped steps too.
 *
 * Source: Joo, Xia, Kim, Zhang, Ie 2026, arXiv 2602.15322, Algorithm 1.
 */
export function magma(input: MagmaInput): { readonly values: Float64Array; readonly alignment: number } {
  const { kept, m, gradient, alignment, options, ...update } = input;
  const next = nextAlignment(alignment, m, gradient, options);
  const mask = new Uint8Array(update.values.length).fill(kept);
  return { values: maskedUpdate({ ...update, mask, factor: next }), alignment: next };
}
