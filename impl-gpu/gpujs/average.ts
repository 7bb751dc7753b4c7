/** `sgdm-avg` planned for kernels: the one rule that the fused engines leave out, because its ring has no place in one pass. */
import { thresholdOf } from '../engines/plan.ts';
import type { StepRequest } from '../engines/plan.ts';
import type { Key } from '../philox.ts';
import { checkKeepProbability, resolveHyper } from '../validate.ts';

/** One tensor's part in a step of `sgdm-avg`. */
export interface AverageTensorPlan {
  /** The global index of its first element in the mask stream. */
  readonly base: number;
  /** Elements. */
  readonly size: number;
  /** Element kept iff its 16-bit draw is below; 65536 draws nothing. */
  readonly threshold: number;
  /** Learning rate. */
  readonly rate: number;
  /** Coupled decay. */
  readonly decay: number;
  /** Rows of the ring. */
  readonly window: number;
  /** The row that this gradient takes: (count - 1) mod window. */
  readonly row: number;
}

/** A step of `sgdm-avg`, eq. (10). A `null` stands still. */
export interface AveragePlan {
  /** The seed as (low, high) words. */
  readonly key: Key;
  /** The mask's step, from 1. */
  readonly step: number;
  /** By tensor; null stands still. */
  readonly tensors: readonly (AverageTensorPlan | null)[];
}

/** The arrays of one tensor. `ring` holds `window` rows of the tensor's size; rows of steps before the first are zero. */
export interface AverageBuffers<Buffer> {
  /** Stepped in place. */
  readonly parameter: Buffer;
  /** Of this step; only read. */
  readonly gradient: Buffer;
  /** The last gradients, `window` rows of as many elements as the parameter has. */
  readonly ring: Buffer;
}

/** A step to be planned; the rule goes without saying. */
export type AverageRequest = Omit<StepRequest, 'rule'>;

/** What `planStep` is for the other rules. Throws `InvalidArgumentError` on a value outside its range. */
export function planAverage({ key, step, tensors }: AverageRequest): AveragePlan {
  return {
    key,
    step,
    tensors: tensors.map(({ base, size, count, hyper, keepProbability }): AverageTensorPlan | null => {
      if (count === 0) return null;
      const { learningRate, weightDecay, window } = resolveHyper('sgdm-avg', hyper) as Record<string, number>;
      return {
        base,
        size,
        threshold: thresholdOf(checkKeepProbability(keepProbability)),
        rate: learningRate as number,
        decay: weightDecay as number,
        window: window as number,
        row: (count - 1) % (window as number),
      };
    }),
  };
}
