/** LRD steps as gpu.js kernels. */
import { UnsupportedError, InvalidArgumentError } from '../validate.ts';
import type { GpuJsEngine } from './engine.ts';
import { GPUJS_MODES } from './engine.ts';
import { createHostEngine } from './host.ts';
import type { GpuJsModule } from './module.ts';
import { loadGpuJs, loadedGpuJs } from './module.ts';
import { createWebGpuGpuJsEngine } from './webgpu.ts';

export type { AverageBuffers, AveragePlan, AverageRequest, AverageTensorPlan } from './average.ts';
export { planAverage } from './average.ts';
export type { GivenMasks, GpuJsArray, GpuJsEngine, GpuJsMode } from './engine.ts';
export { createHostEngine } from './host.ts';
export { loadGpuJs } from './module.ts';
export { createWebGpuGpuJsEngine } from './webgpu.ts';

export type GpuJsEngineOptions =
  | { readonly mode: 'cpu' | 'webasm' | 'headlessgl'; readonly module?: unknown }
  | { readonly mode: 'webgpu'; readonly device: GPUDevice; readonly module?: unknown };

/** gpu.js, which must have been loaded. */
export function requireGpuJs(): GpuJsModule {
  const module = loadedGpuJs();
  if (module === undefined) throw new UnsupportedError('gpu.js must be loaded before it is used: await loadGpuJs()');
  return module;
}

/**
 * The fused step of every rule as gpu.js kernels in one of its modes. Kernels are compiled at their first use. Pass gpu.js
 * itself as `module` where it cannot be imported by its name (in a bundle).
 *
 * @throws UnsupportedError when gpu.js is not installed
 * @throws InvalidArgumentError on a mode that it does not have
 */
export function createGpuJsEngine(options: {
  readonly mode: 'cpu' | 'webasm' | 'headlessgl';
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
  const gpujs = await loadGpuJs(module);
  return mode === 'webgpu' ? createWebGpuGpuJsEngine(gpujs, options.device) : createHostEngine(gpujs, mode);
}
