import { checkNumber } from '../validate.ts';
import type { GradientTransformation } from '../transformation.ts';

const limitRange = (name: string, limit: number): void =>
  checkNumber(
    name,
    { kind: 'number', default: 1, minimum: 0, openMinimum: true, maximum: Infinity, text: 'must be above 0' },
    limit,
  );

/** Each element clipped into [-limit, limit]. */
export function clipByValue(limit: number): GradientTransformation {
  limitRange('limit', limit);
  return {
    name: 'clipByValue',
    stage: 'clip',
    init: () => ({}),
    apply: (gradients, state) => ({
      gradients: gradients.map((gradient) => gradient?.map((g) => Math.min(limit, Math.max(-limit, g))) ?? null),
      state,
    }),
  };
}

/** The root of the sum of squares over all tensors that have a gradient. */
export function globalNorm(gradients: readonly (Float64Array | null)[]): number {
  let sum = 0;
  for (const gradient of gradients) for (const g of gradient ?? []) sum += g * g;
  return Math.sqrt(sum);
}

/**
 * All gradients scaled by min(1, limit / norm), norm over all tensors together. Gradients within the limit keep their bits.
 * Source: Pascanu, Mikolov, Bengio 2013, Algorithm 1.
 */
export function clipByGlobalNorm(limit: number): GradientTransformation {
  limitRange('limit', limit);
  return {
    name: 'clipByGlobalNorm',
    stage: 'clip',
    init: () => ({}),
    apply(gradients, state) {
      const norm = globalNorm(gradients);
      if (norm <= limit) return { gradients, state };
      return { gradients: gradients.map((gradient) => gradient?.map((g) => g * (limit / norm)) ?? null), state };
    },
  };
}

/** Each tensor's gradient scaled by min(1, limit / norm), norm over that tensor alone. Gradients within the limit keep their bits. */
export function clipByNorm(limit: number): GradientTransformation {
  const whole = clipByGlobalNorm(limit);
  return {
    name: 'clipByNorm',
    stage: 'clip',
    init: () => ({}),
    apply: (gradients, state, context) => ({
      gradients: gradients.map((gradient) => whole.apply([gradient], state, context).gradients[0] ?? null),
      state,
    }),
  };
}
