/**
 * The float64 reference of Learning Rate Dropout. Reads like the paper; fast it is not.
 *
 * @module learning-rate-dropout/ref
 */
export { agreementMask, cautious, meanFactor } from './family/cautious.ts';
export type { CautiousInput } from './family/cautious.ts';
export { cosine, magma, nextAlignment, ownMoment } from './family/magma.ts';
export type { MagmaInput } from './family/magma.ts';
export { maskedUpdate } from './family/maskedUpdate.ts';
export type { MaskedUpdate } from './family/maskedUpdate.ts';
export { resolveMask } from './family/resolveMask.ts';
export type { Mask, MaskRequest } from './family/resolveMask.ts';
export { inverseFactor, skipUpdate } from './family/skipUpdate.ts';
export type { SkipUpdateInput } from './family/skipUpdate.ts';
export { tensorMask } from './family/tensorMask.ts';
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
export { clipByGlobalNorm, clipByNorm, clipByValue, globalNorm } from './comparators/clipping.ts';
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
export { authors2019 } from './authors2019/authors2019.ts';
export type { Authors2019Hyper, Authors2019Input, Authors2019Output } from './authors2019/authors2019.ts';
export { descend, endOf } from './toy/descent.ts';
export type { End } from './toy/descent.ts';
export { runToy, TOY_LEARNING_RATES } from './toy/runToy.ts';
export type { ToyCount, ToyOptions, ToyPanel, ToyPath, ToyPlace, ToyPlane, ToyResult } from './toy/runToy.ts';
export {
  BOX,
  eigenvalues,
  hessian,
  PAPER_OPTIMUM,
  STATIONARY_POINTS,
  surface,
  surfaceGradient,
} from './toy/surface.ts';
export type { Hessian, Point as ToyPoint } from './toy/surface.ts';
export { keepProbabilityGradient, trainKeepProbability } from './trainedKeepProbability.ts';
export type { TrainedKeepProbabilityOptions, TrainedOptimizer, TrainedState } from './trainedKeepProbability.ts';
export { createReplicas, keptObstacle } from './replicas.ts';
export type {
  Reduction,
  ReplicaGradients,
  Replicas,
  ReplicasOptions,
  ReplicasResult,
  ReplicasState,
} from './replicas.ts';
