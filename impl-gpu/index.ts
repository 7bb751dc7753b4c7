/**
 * The fused engines, free of TensorFlow.js: a step planned on the host, carried out in place on buffers of the caller's.
 *
 * @module learning-rate-dropout/gpu
 */
export type { Engine, Kernel, ScalarName, Scalars, StepPlan, TensorBuffers, TensorPlan } from './engines/engine.ts';
export { KEEP_ALL, SCALARS, kernelName, kernelState, stateSize } from './engines/engine.ts';
export type { Mask, StepRequest, TensorRequest } from './engines/plan.ts';
export type { MaskRequest } from './masks/resolve.ts';
export { resolveMask } from './masks/mask.ts';
export { planStep, thresholdOf } from './engines/plan.ts';
export { createArrayEngine, createJsEngine, createWasmEngine } from './engines/checked.ts';
/** A step in two halves with a reduction between them, for replicas that train one model. */
export type { ShareEngine } from './engines/shares.ts';
export { WIRE_SLACK, isLinear } from './engines/shares.ts';
export { createArrayShareEngine } from './engines/arrayShares.ts';
export { createJsShareEngine } from './engines/jsShares.ts';
export type { Heap } from './engines/wasmShares.ts';
export { createWasmShareEngine } from './engines/wasmShares.ts';
export type { WasmPool } from './engines/wasmPool.ts';
export { createWasmPool } from './engines/wasmPool.ts';
export type { FlatBuffers, PreparedStep } from './engines/webgpu.ts';
export { DeviceLostError, flatBufferBytes } from './engines/webgpu.ts';
export type { WebGpuEngine, WebGpuEngineOptions } from './engines/webGpuEngine.ts';
export { createWebGpuEngine } from './engines/webGpuEngine.ts';
export type { AdapterDescription, AdapterKind, Gpu, GpuAttempt, GpuDiagnosis } from './device/gpu.ts';
export { diagnoseGpu, openGpu } from './device/gpu.ts';
export type {
  AverageBuffers,
  AveragePlan,
  AverageTensorPlan,
  GivenMasks,
  GpuJsArray,
  GpuJsEngine,
  GpuJsMode,
} from './gpujs/index.ts';
export { createGpuJsEngine, planAverage } from './gpujs/index.ts';
export type { HyperValues } from './validate.ts';
export {
  InvalidArgumentError,
  UnsupportedError,
  checkKeepProbability,
  checkRule,
  resolveHyper,
  stateNames,
} from './validate.ts';
