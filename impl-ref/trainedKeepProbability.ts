import { KEEP_PROBABILITY } from '../spec/rules.ts';
import type { Optimizer, OptimizerState, Start, StepReport } from './optimizer.ts';
import type { Gradient } from './transformation.ts';
import { checkNumber } from './validate.ts';

/**
 * The estimate of the next loss's derivative by p: -alpha <g_next, deltaW>.
 *
 * The expected parameters are linear in p, dE(W_t)/dp = -alpha deltaW, so the chain rule gives the derivative of the next loss to
 * first order, one step ahead. Where the loss curves it is biased: on a quadratic with Hessian H
 *
 *     d/dp E f(W_t) = E[-alpha <grad f(W_t), deltaW>] + alpha^2 (1 - 2p)/2 sum_i H_ii deltaW_i^2
 *
 * so it is exact at p = .5, too high below .5 and too low above it where the curvature is positive. It sees one step, not the rest of the run.
 *
 * @param next - the gradient at the parameters that the step led to, before L2 and every transformation
 * @param deltaW - the step's direction, from the step's report
 */
export function keepProbabilityGradient(next: Float64Array, deltaW: Float64Array, learningRate: number): number {
  let product = 0;
  for (let i = 0; i < next.length; i++) product += (next[i] as number) * (deltaW[i] as number);
  return -learningRate * product;
}

/** How p moves. */
export interface TrainedKeepProbabilityOptions {
  /** p before the first update. Default .5. */
  readonly initial?: number;
  /** p stays in [minimum, maximum]. Default [.05, 1]. */
  readonly minimum?: number;
  /** See `minimum`. */
  readonly maximum?: number;
  /** p's own learning rate: p moves by rate times the estimate. No default: it has the scale of 1 / loss. */
  readonly rate: number;
  /** `descent` lowers the next loss, `ascent` raises it (regularization by the hardest p). Default `descent`. */
  readonly sign?: 'descent' | 'ascent';
  /** `global`: one p; or the group of each tensor, in list order, numbered from 0. Default `global`. */
  readonly scope?: 'global' | readonly number[];
}

/** A plain record: save it with the run. */
export interface TrainedState {
  /** Of the parameters. */
  readonly optimizer: OptimizerState;
  /** p of each group, as the next step will use it unless that step's gradient moves it first. */
  readonly keepProbabilities: readonly number[];
  /** What the last step did, by tensor: what the next gradient is held against. Null before the first step. */
  readonly last: { readonly deltaW: readonly Gradient[]; readonly learningRates: readonly number[] } | null;
}

/** An optimizer whose p is trained beside the parameters. */
export interface TrainedOptimizer {
  /** The state before the first step, or one to go on from. */
  init(start?: Start): TrainedState;
  /** Moves p by this gradient, then takes the step with it. */
  step(
    state: TrainedState,
    gradients: readonly (ArrayLike<number> | null)[],
  ): { readonly state: TrainedState; readonly report: StepReport };
}

/**
 * A keep probability that is trained beside the parameters. Experimental: TNNLS 2022, section IV-F names the idea and gives no method.
 *
 * Each gradient first moves p by the estimate over the step before, then the optimizer steps with the p that results. Tensors
 * without a gradient in either step say nothing about their group's p.
 *
 * @param optimizer - from `createOptimizer`; excluded tensors and groups with a keep probability of their own are not moved by p, so
 *   leave them out of `scope` groups that have others
 * @param tensors - how many tensors the optimizer has
 * @throws RangeError when a setting breaks its rule
 */
export function trainKeepProbability(
  optimizer: Optimizer,
  tensors: number,
  options: TrainedKeepProbabilityOptions,
): TrainedOptimizer {
  const { initial = 0.5, minimum = 0.05, maximum = 1, rate, sign = 'descent', scope = 'global' } = options;
  checkNumber('minimum', KEEP_PROBABILITY, minimum);
  checkNumber('maximum', KEEP_PROBABILITY, maximum);
  if (!(initial >= minimum && initial <= maximum)) {
    throw new RangeError(`initial must be in [minimum, maximum] = [${minimum}, ${maximum}], got ${initial}`);
  }
  if (!(rate >= 0 && rate < Infinity)) throw new RangeError(`rate must be a finite number of at least 0, got ${rate}`);
  const groups = scope === 'global' ? Array.from({ length: tensors }, () => 0) : scope;
  if (groups.length !== tensors || !groups.every((group) => Number.isInteger(group) && group >= 0)) {
    throw new RangeError(`scope must give each of ${tensors} tensors a group number, got ${groups.join(', ')}`);
  }
  const count = Math.max(0, ...groups) + 1;

  return {
    init: (start) => ({
      optimizer: optimizer.init(start),
      keepProbabilities: Array.from({ length: count }, () => initial),
      last: null,
    }),
    step(state, gradients) {
      const estimates = state.keepProbabilities.map(() => 0);
      if (state.last !== null) {
        for (const [k, group] of groups.entries()) {
          const next = gradients[k];
          const deltaW = state.last.deltaW[k];
          if (next === null || next === undefined || deltaW === null || deltaW === undefined) continue;
          const alpha = state.last.learningRates[k] as number;
          estimates[group] =
            (estimates[group] as number) + keepProbabilityGradient(Float64Array.from(next), deltaW, alpha);
        }
      }
      const direction = sign === 'descent' ? -1 : 1;
      const keepProbabilities = state.keepProbabilities.map((p, group) =>
        Math.min(maximum, Math.max(minimum, p + direction * rate * (estimates[group] as number))),
      );
      const { state: next, report } = optimizer.step(state.optimizer, gradients, {
        keepProbability: groups.map((group) => keepProbabilities[group] as number),
      });
      return {
        state: {
          optimizer: next,
          keepProbabilities,
          last: { deltaW: report.deltaW, learningRates: report.learningRates },
        },
        report,
      };
    },
  };
}
