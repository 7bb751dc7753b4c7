/** LRD steps as gpu.js kernels. */
import { UnsupportedError, InvalidArgumentError } from '../validate.ts';
import type { GpuJsEngine, GpuJsMode } from './engine.ts';
import { GPUJS_MODES } from './engine.ts';
import { createHostEngine } from './host.ts';
import { loadGpuJs, loadedGpuJs } from './module.ts';
import { createWebGpuGpuJsEngine } from './webgpu.ts';

export type { AverageBuffers, AveragePlan, AverageTensorPlan } from './average.ts';
export { planAverage } from './average.ts';
export type { GivenMasks, GpuJsArray, GpuJsEngine, GpuJsMode } from './engine.ts';
export { loadGpuJs } from './module.ts';

export type GpuJsEngineOptions =
  | { readonly mode: 'cpu' | 'webasm'; readonly module?: unknown }
  | { readonly mode: 'webgpu'; readonly device: GPUDevice; readonly module?: unknown };

/** An engine of gpu.js, which must have been loaded. */
export function createLoadedEngine(mode: 'cpu' | 'webasm'): GpuJsEngine<Float32Array>;
export function createLoadedEngine(mode: 'webgpu', device: GPUDevice): GpuJsEngine<GPUBuffer>;
export function createLoadedEngine(
  mode: GpuJsMode,
  device?: GPUDevice,
): GpuJsEngine<Float32Array> | GpuJsEngine<GPUBuffer> {
  const module = loadedGpuJs();
  if (module === undefined) throw new UnsupportedError('gpu.js must be loaded before it is used: await loadGpuJs()');
  if (mode === 'webgpu') return createWebGpuGpuJsEngine(module, device as GPUDevice);
  return createHostEngine(module, mode);
}

/**
 * The fused step of every rule as gpu.js kernels in one of its modes. Kernels are compiled at their first use. Pass gpu.js
 * itself as `module` where it cannot be imported by its name (in a bundle).
 *
 * @throws UnsupportedError when gpu.js is not installed
 * @throws InvalidArgumentError on a mode that it does not have
 */
export function createGpuJsEngine(options: {
  readonly mode: 'cpu' | 'webasm';
  readonly module?: unknown;
}): Promise<GpuJsEngine<Float32Array>>;
export function createGpuJsEngine(options: {
  readonly mode: 'webgpu';
  readonly device: GPUDevice;
  readonly module?: unknown;
}): Promise<GpuJsEngine<GPUBuffer>>;
export async function createGpuJsEngine(
  options: GpuJsEngineOptions,
): Promise<GpuJsEngine<Float32Array> | GpuJsEngine<GPUBuffer>> {
  const { mode, module } = options;
  if (!(GPUJS_MODES as readonly string[]).includes(mode)) {
    throw new InvalidArgumentError(`mode must be one of ${GPUJS_MODES.join(', ')}, got ${JSON.stringify(mode)}`);
  }
  await loadGpuJs(module);
  return mode === 'webgpu' ? createLoadedEngine(mode, options.device) : createLoadedEngine(mode);
}
