/** A value by epoch, counted from 1. */
export type EpochSchedule = (epoch: number) => number;

/** A schedule of epochs as one of the optimizer's steps, counted from 1. */
export function perEpoch(schedule: EpochSchedule, stepsPerEpoch: number): (step: number) => number {
  if (!Number.isInteger(stepsPerEpoch) || stepsPerEpoch < 1) {
    throw new RangeError(`stepsPerEpoch must be a whole number of at least 1, got ${stepsPerEpoch}`);
  }
  return (step) => schedule(Math.ceil(step / stepsPerEpoch));
}

/** When the learning rate falls. */
export interface MilestoneOptions {
  /** The first one. */
  readonly learningRate: number;
  /** The last epoch at each rate: 100 means that epochs 1 to 100 run at the first one. */
  readonly milestones: readonly number[];
  /** What the rate is multiplied by. Default .1. */
  readonly gamma?: number;
  /**
   * True: drop one epoch early, as the authors' code does with PyTorch 1.1 and later (its scheduler moves at the start of an
   * epoch), so that epoch 100 already runs at the second rate. Default false.
   */
  readonly early?: boolean;
}

/** alpha_e = alpha_1 gamma^(milestones before epoch e). Source: TNNLS 2022, section IV-A. */
export function milestones(options: MilestoneOptions): EpochSchedule {
  const { learningRate, gamma = 0.1, early = false } = options;
  return (epoch) => {
    const passed = options.milestones.filter((milestone) => (early ? milestone <= epoch : milestone < epoch)).length;
    return learningRate * gamma ** passed;
  };
}

/** The five rates of "Adapting Regularization with Learning Rate", Table 1. */
export const ANNEALED_RATES: readonly number[] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5];

/**
 * Stepwise exponential annealing with warm restarts: `rates` one after the other, in phases whose rates last
 * `epochsPerRate[phase]` epochs each. Defaults: Table 1's 450 epochs. After the last epoch the last rate holds.
 */
export function annealingWithRestarts(
  rates: readonly number[] = ANNEALED_RATES,
  epochsPerRate: readonly number[] = [50, 20, 20],
): EpochSchedule {
  return (epoch) => rates[annealingPosition(epoch, rates.length, epochsPerRate).rate] as number;
}

/** Which phase and which of its rates an epoch has, both counted from 0. */
export function annealingPosition(
  epoch: number,
  rates: number,
  epochsPerRate: readonly number[],
): { readonly phase: number; readonly rate: number } {
  let before = 0;
  for (const [phase, length] of epochsPerRate.entries()) {
    const rate = Math.floor((epoch - 1 - before) / length);
    if (rate < rates) return { phase, rate };
    before += rates * length;
  }
  return { phase: epochsPerRate.length - 1, rate: rates - 1 };
}

/**
 * learningRate (1 - iteration / total)^power, iteration counted from 0: a schedule of steps, step = iteration + 1.
 * Source: Zhao et al. 2017 (PSPNet), section 5.1, power .9.
 */
export function polynomialDecay(learningRate: number, total: number, power = 0.9): (step: number) => number {
  return (step) => learningRate * (1 - Math.min(step - 1, total) / total) ** power;
}
