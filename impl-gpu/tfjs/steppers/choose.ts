import { UnsupportedError } from '../../validate.ts';
import { TFJS_VERSION, isFused, warnOfTfjsVersion } from '../bridges/version.ts';
import { cpuStepper } from './cpu.ts';
import { extension, needed } from './extensions.ts';
import { hostStepper } from './host.ts';
import type { Stepper } from './stepper.ts';
import { wasmStepper } from './wasm.ts';
import { webGpuStepper } from './webgpu.ts';

/** Whose kernels step. */
export const ENGINES = ['fused', 'gpujs'] as const;
export type EngineName = (typeof ENGINES)[number];

/** Throws `UnsupportedError` unless gpu.js has been loaded. */
export function requireGpuJs(): (backend: string) => Stepper {
  return needed('gpujs', 'gpu.js').stepper;
}

/**
 * The stepper for a backend of tfjs, by its name there. Where the fused engines do not know the backend's memory, or this version of
 * tfjs, the engine for arrays steps what it reads and writes back.
 */
export function createStepper(backend: string, engine: EngineName): Stepper {
  if (engine === 'gpujs') return requireGpuJs()(backend);
  if (!isFused()) {
    if (backend === 'webgpu' && typeof OffscreenCanvas === 'undefined') {
      throw new UnsupportedError(
        `the webgpu backend can only be stepped here with @tensorflow/tfjs ${TFJS_VERSION}: others would be read, which it cannot do at once`,
      );
    }
    warnOfTfjsVersion();
    return hostStepper();
  }
  switch (backend) {
    case 'wasm':
      return wasmStepper();
    case 'cpu':
      return cpuStepper();
    case 'webgpu':
      return webGpuStepper();
    case 'tensorflow':
      return extension('tensorflow')?.stepper() ?? hostStepper();
    default:
      return hostStepper();
  }
}
