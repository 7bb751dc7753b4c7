import { ANNEALED_RATES, annealingPosition } from './learningRate.ts';

/** The schemes of "Adapting Regularization with Learning Rate", Table 1: 01 and 02 taper weight decay, 21 to 23 sparsity. */
export type TaperScheme = '01' | '02' | '21' | '22' | '23';

/** The regularization of one epoch. */
export interface Taper {
  /** Of the step. */
  readonly weightDecay: number;
  /** Share of elements whose gradient is 0. */
  readonly sparsity: number;
}

const decays = {
  '01': [1e-4, 1e-4, 8e-4, 1.6e-3, 1.6e-3],
  '02': [1e-4, 1e-4, 4e-4, 8e-4, 8e-4],
} as const;
const extents = { '21': 0.5, '22': 0.8, '23': 0.3 } as const;

/** The constant weight decays that the schemes are compared with, section 3.1. */
export const CONSTANT_DECAYS: readonly number[] = [1e-3, 2e-3, 4e-3, 8e-3];

/**
 * Weight decay and sparsity of an epoch (1 to 450) by Table 1. The decay schemes repeat in all three phases; sparsity is there only in
 * the first one, from its third rate on (epochs 101 to 250).
 */
export function taper(scheme: TaperScheme, epoch: number): Taper {
  if (!Number.isInteger(epoch) || epoch < 1 || epoch > 450) {
    throw new RangeError(`epoch must be a whole number in [1, 450], got ${epoch}`);
  }
  const { phase, rate } = annealingPosition(epoch, ANNEALED_RATES.length, [50, 20, 20]);
  if (scheme === '01' || scheme === '02') return { weightDecay: decays[scheme][rate] as number, sparsity: 0 };
  return { weightDecay: 1e-4, sparsity: phase === 0 && rate >= 2 ? extents[scheme] : 0 };
}
