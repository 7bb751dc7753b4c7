import { cpuStepper } from './cpu.ts';
import { gpuJsStepper } from './gpujs.ts';
import { hostStepper } from './host.ts';
import type { Stepper } from './stepper.ts';
import { tensorflowStepper } from './tensorflow.ts';
import { wasmStepper } from './wasm.ts';
import { webGpuStepper } from './webgpu.ts';

/** Whose kernels step. */
export const ENGINES = ['fused', 'gpujs'] as const;
export type EngineName = (typeof ENGINES)[number];

/** The stepper for a backend of tfjs, by its name there. */
export function createStepper(backend: string, engine: EngineName): Stepper {
  if (engine === 'gpujs') return gpuJsStepper(backend);
  switch (backend) {
    case 'wasm':
      return wasmStepper();
    case 'cpu':
      return cpuStepper();
    case 'webgpu':
      return webGpuStepper();
    case 'tensorflow':
      return tensorflowStepper();
    default:
      return hostStepper();
  }
}
