import { streamMask } from '../masks.ts';
import { parseSeed } from '../seed.ts';
import type { SeedLike } from '../seed.ts';
import { sizeOf } from '../transformation.ts';
import type { GradientTransformation, StepContext, TransformationState, UpdateMask } from '../transformation.ts';
import { checkNumber } from '../validate.ts';

/** The share of elements that stand still at a step (counted from 1), in [0, 1). */
export type Sparsity = (step: number) => number;

const initial = { extent: 0, step: 0 };

/** The pattern's state for this step: a new pattern, named by its step, only where the extent changes. */
function follow(state: TransformationState, sparsity: Sparsity, step: number): { extent: number; step: number } {
  const extent = sparsity(step);
  checkNumber(
    'sparsity',
    { kind: 'number', default: 0, minimum: 0, maximum: 1 - 2 ** -16, text: 'must be in [0, 1 - 2^-16]' },
    extent,
  );
  if (extent === state['extent']) return { extent, step: state['step'] as number };
  return { extent, step };
}

function pattern(seed: SeedLike, held: { extent: number; step: number }, context: StepContext, k: number): Uint8Array {
  const position = {
    key: parseSeed(seed),
    step: held.step,
    stream: 'sparseGradients',
    base: context.bases[k] as number,
  } as const;
  return streamMask(position, sizeOf(context.shapes[k] as readonly number[]), 1 - held.extent);
}

/**
 * Sparse Gradients, the reading that masks gradients: before L2 and the moments. The pattern stays while the extent does.
 *
 * Source: "Adapting Regularization with Learning Rate", section 2.2.
 */
export function sparseGradients(seed: SeedLike, sparsity: Sparsity): GradientTransformation {
  parseSeed(seed);
  return {
    name: 'sparseGradients',
    stage: 'noise',
    init: () => initial,
    apply(gradients, state, context) {
      const held = follow(state, sparsity, context.step);
      if (held.extent === 0) return { gradients, state: held };
      return {
        gradients: gradients.map((gradient, k) => {
          if (gradient === null) return null;
          const mask = pattern(seed, held, context, k);
          return gradient.map((g, i) => (mask[i] === 1 ? g : 0));
        }),
        state: held,
      };
    },
  };
}

/** Sparse Gradients, the reading that masks updates: as learning rate dropout with a pattern that stays. */
export function sparseUpdates(seed: SeedLike, sparsity: Sparsity): UpdateMask {
  parseSeed(seed);
  return {
    name: 'sparseUpdates',
    init: () => initial,
    draw(state, context) {
      const held = follow(state, sparsity, context.step);
      return { mask: (k) => pattern(seed, held, context, k), state: held };
    },
  };
}
