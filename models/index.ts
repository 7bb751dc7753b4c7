/**
 * Networks, data, training and reports, for programs that want what the `lrd` command does.
 *
 * @module learning-rate-dropout-cli/models
 */
export { useBackend } from './backend.ts';
export { BACKENDS } from './backendNames.ts';
export { DATA_SETS, loadImageSet } from './data/catalogue.ts';
export type { Augmentation, View } from './data/augmentation.ts';
export type { ImageSet, ImageShape, Images, Split } from './data/dataSet.ts';
export { memorySplit } from './data/memoryImages.ts';
export { JobError, UsageError } from './errors.ts';
export { denseNet } from './nets/densenet.ts';
export type { DenseNetOptions } from './nets/densenet.ts';
export { fcNet } from './nets/fcnet.ts';
export type { FcNetOptions } from './nets/fcnet.ts';
export type { ForwardOptions, Net, NetOptions, Parameter } from './nets/net.ts';
export { resNet, smallResNet } from './nets/resnet.ts';
export type { ResNetName, ResNetOptions, SmallResNetOptions } from './nets/resnet.ts';
export { initialise } from './nets/initialise.ts';
export type { InitialiseOptions, Initialised } from './nets/initialise.ts';
export { OPTIMIZERS, createOptimizer } from './recipes/optimizers.ts';
export { RECIPES } from './recipes/catalogue.ts';
export type { RecipeKit } from './recipes/own.ts';
export type { DataKit, OwnSet } from './data/own.ts';
export type { OptimizerSettings } from './recipes/optimizers.ts';
export type { Recipe, RecipeDefaults, Selection } from './recipes/recipe.ts';
export { renderRunReport } from './report/runReport.ts';
export { readRun } from './runs/runFolder.ts';
export type { Run, RunConfig } from './runs/runFolder.ts';
export type { EpochMetrics } from './trainer/train.ts';
export { parseRegularizers } from './trainer/regularizers.ts';
export type { Regularizers } from './trainer/regularizers.ts';
export type { TrainingRequest } from './runs/request.ts';
export { evaluateRun } from './runs/evaluateRun.ts';
export type { EvaluationRequest, RunEvaluation } from './runs/evaluateRun.ts';
export { resumeTraining, runTraining } from './runs/runTraining.ts';
export type { ResumeRequest, RunControls } from './runs/runTraining.ts';
export { parseSchedules } from './trainer/schedules/parse.ts';
export { compileSchedule } from './trainer/schedules/schedule.ts';
export type { Schedule, ScheduleContext, ScheduleTarget, Schedules } from './trainer/schedules/schedule.ts';
export { DivergedError } from './trainer/failures.ts';
export { classification, evaluate } from './tasks/classification/task.ts';
export type { ClassificationOptions, TestResult } from './tasks/classification/task.ts';
export type { BatchRequest, Task, TestMetrics, Updater } from './tasks/task.ts';
export { StoppedError, train } from './trainer/train.ts';
export type { StepRates, StepReport, TrainOptions } from './trainer/train.ts';
export { consoleProgress, silentProgress } from './trainer/progress.ts';
export type { Progress, ProgressState } from './trainer/progress.ts';
