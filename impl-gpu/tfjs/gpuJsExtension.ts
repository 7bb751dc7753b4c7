import type { GpuJsModule } from '../gpujs/module.ts';
import * as gpujs from '../gpujs/index.ts';
import { extend } from './steppers/extensions.ts';
import { gpuJsStepper } from './steppers/gpujs.ts';

/**
 * Imports gpu.js once, for optimizers with the engine `gpujs`. Bundles for browsers pass it in, since they cannot follow an optional
 * import: `await loadGpuJs(await import('gpu.js'))`.
 *
 * @throws UnsupportedError when it is not installed
 */
export async function loadGpuJs(module?: unknown): Promise<GpuJsModule> {
  const loaded = await gpujs.loadGpuJs(module);
  extend('gpujs', { stepper: gpuJsStepper });
  return loaded;
}
