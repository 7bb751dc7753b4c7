/** The float64 reference of Learning Rate Dropout. Reads like the paper; fast it is not. */
export { learningRateDropout } from './learningRateDropout.ts';
export type { Algorithm1Input, Algorithm1Output } from './learningRateDropout.ts';
export { effectiveKeepProbability, keepThreshold, streamMask } from './masks.ts';
export { createOptimizer } from './optimizer.ts';
export type {
  Masks,
  Optimizer,
  OptimizerOptions,
  OptimizerState,
  Overrides,
  Parameter,
  Scheduled,
  ScheduledHyper,
  Start,
  StepReport,
  StepResult,
  TensorState,
} from './optimizer.ts';
export { philox4x32 } from './philox.ts';
export type { Words } from './philox.ts';
export { BASE_RULES } from './rules/index.ts';
export { rectification } from './rules/radam.ts';
export type { BaseRule, Direction, HyperOf, Slots } from './rules/rule.ts';
export { parseSeed } from './seed.ts';
export type { SeedLike } from './seed.ts';
export { halves, layout, words } from './stream.ts';
export type { StreamPosition } from './stream.ts';
export type { Gradient, GradientTransformation, StepContext, TransformationState } from './transformation.ts';
export type { HyperValue } from './validate.ts';
export { meanGradients } from './accumulation.ts';
export { accumulatedMomentum, momentumStep } from './analysis/accumulation.ts';
export { completeIntervals, hazard, intervalAround } from './analysis/intervals.ts';
export type { Hazard } from './analysis/intervals.ts';
export { clipByGlobalNorm, clipByValue, globalNorm } from './comparators/clipping.ts';
export { scaledLearningRate } from './comparators/controlArms.ts';
export { gradientCentralization } from './comparators/gradientCentralization.ts';
export { gradientDropout } from './comparators/gradientDropout.ts';
export { gradientNoise, noiseVariance } from './comparators/gradientNoise.ts';
export { noisyLabels } from './comparators/noisyLabels.ts';
export { sparseGradients, sparseUpdates } from './comparators/sparseGradients.ts';
export type { Sparsity } from './comparators/sparseGradients.ts';
export { standardDropout } from './comparators/standardDropout.ts';
export { initialValues, normals, permutation, uniforms } from './draws.ts';
export { followLearningRate, linearKeepProbability } from './schedules/keepProbability.ts';
export { annealingWithRestarts, milestones, perEpoch, polynomialDecay } from './schedules/learningRate.ts';
export type { EpochSchedule, MilestoneOptions } from './schedules/learningRate.ts';
export { CONSTANT_DECAYS, taper } from './schedules/taper.ts';
export type { Taper, TaperScheme } from './schedules/taper.ts';
export type { UpdateMask } from './transformation.ts';
