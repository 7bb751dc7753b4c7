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
