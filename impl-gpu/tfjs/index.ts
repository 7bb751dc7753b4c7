/**
 * Learning Rate Dropout for TensorFlow.js.
 *
 *     import * as lrd from 'learning-rate-dropout';
 *     model.compile({ optimizer: lrd.adam({ learningRate: 1e-3, keepProbability: 0.5 }), loss: 'meanSquaredError' });
 */
import type { AdamOptions, AmsgradOptions, RadamOptions, RmspropOptions, SgdmOptions } from './rules.ts';
import { LrdAdam, LrdAdamw, LrdAmsgrad, LrdRadam, LrdRmsprop, LrdSgdm } from './rules.ts';
import type { SgdmAvgOptions } from './sgdmAvg.ts';
import { LrdSgdmAvg } from './sgdmAvg.ts';

export { enableTraining } from '../trainingKernels/index.ts';
export { batchNormTraining } from '../trainingKernels/batchNorm.ts';
export type { BatchNormOptions } from '../trainingKernels/batchNorm.ts';
export { groupedConv2d } from '../trainingKernels/grouped.ts';
export type { GroupedForm } from '../trainingKernels/grouped.ts';
export type { TrainingOptions } from '../trainingKernels/index.ts';
export { noisyLabels } from './noisyLabels.ts';
export type { NoisyLabelOptions } from './noisyLabels.ts';
export { DropoutStream, StandardDropout, attachDropout } from './standardDropout.ts';
export type { StandardDropoutOptions } from './standardDropout.ts';
export { LrdOptimizer } from './optimizer.ts';
export { useTensorflow } from './tensorflowBackendOfBrowsers.ts';
export { useWebGpu } from './webgpuBackend.ts';
export type { LoadedTensorflow } from '../tensorflow/load.ts';
export type { TensorflowLane } from '../tensorflow/installation.ts';
export type { WebGpuInUse } from './webgpuBackend.ts';
export type { LrdOptions } from './configuration.ts';
export { flushAtEpochEnd } from './flushAtEpochEnd.ts';
export type { Schedule } from './schedules.ts';
export type { NamedTensor } from './savedForm.ts';
export { loadGpuJs } from './gpuJsExtension.ts';
export { useMasks } from './masksExtension.ts';
export { useClipping } from './clippingExtension.ts';
export { useComparators } from './comparatorsExtension.ts';
export { useSchedules } from './schedulesExtension.ts';
export type { MaskRequest } from '../masks/resolve.ts';
export { mpi } from '../distributed/mpi.ts';
export type { MpiOptions } from '../distributed/mpi.ts';
export { GroupError, agreeOn, alone, gatherTexts } from '../distributed/group.ts';
export type { Group, Reducible, ReduceOperation, Traffic } from '../distributed/group.ts';
export { launchOf } from '../distributed/launcher.ts';
export type { Launch } from '../distributed/launcher.ts';
export { Replica, distributed, replicaOf } from '../distributed/replica.ts';
export type { Reduction, ReplicaOptions } from '../distributed/replica.ts';
export { ringBytes } from './steppers/average.ts';
export type { GradientOptions } from './gradientOptions.ts';
export type { TrainedKeepProbability } from './trainedKeepProbability.ts';
export type { ParameterGroup } from './groups.ts';
export type { Seed } from '../random.ts';
export { InvalidArgumentError, UnsupportedError } from '../validate.ts';
export { LrdAdam, LrdAdamw, LrdAmsgrad, LrdRadam, LrdRmsprop, LrdSgdm, LrdSgdmAvg };
export type { AdamOptions, AmsgradOptions, RadamOptions, RmspropOptions, SgdmAvgOptions, SgdmOptions };

/** SGD with momentum and LRD. */
export const sgdm = (options: SgdmOptions = {}): LrdSgdm => new LrdSgdm(options);
/** SGD along the mean of the last gradients, with LRD. */
export const sgdmAvg = (options: SgdmAvgOptions = {}): LrdSgdmAvg => new LrdSgdmAvg(options);
/** RMSprop with LRD. */
export const rmsprop = (options: RmspropOptions = {}): LrdRmsprop => new LrdRmsprop(options);
/** Adam with LRD. */
export const adam = (options: AdamOptions = {}): LrdAdam => new LrdAdam(options);
/** AMSGrad with LRD. */
export const amsgrad = (options: AmsgradOptions = {}): LrdAmsgrad => new LrdAmsgrad(options);
/** RAdam with LRD. */
export const radam = (options: RadamOptions = {}): LrdRadam => new LrdRadam(options);
/** AdamW with LRD: decoupled decay, masked with the step. */
export const adamw = (options: AdamOptions = {}): LrdAdamw => new LrdAdamw(options);
