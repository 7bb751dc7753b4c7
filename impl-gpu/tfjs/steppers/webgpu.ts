import type * as tf from '@tensorflow/tfjs';
import { createWebGpuEngine, flatBufferBytes } from '../../engines/webgpu.ts';
import { bringHome } from '../bridges/residence.ts';
import { webGpuStorage } from '../bridges/webgpu.ts';
import type { Stepper } from './stepper.ts';

/** Flags of `GPUBufferUsage`: COPY_SRC | COPY_DST | STORAGE. */
const USAGE = 0x04 | 0x08 | 0x80;

/** The WebGPU engine over one flat buffer for the parameters, one for each state and one for the gradients: a dispatch a step. */
export function webGpuStepper(): Stepper {
  const storage = webGpuStorage();
  const engine = createWebGpuEngine(storage.device);
  const buffers = new Map<string, GPUBuffer>();
  /** Who lives in which buffer, to be given a home again when the buffers go. */
  const residents = new Map<tf.Variable, GPUBuffer>();

  const flat = (role: string, extent: number): GPUBuffer => {
    let buffer = buffers.get(role);
    if (buffer === undefined) {
      buffer = storage.device.createBuffer({ size: flatBufferBytes(storage.device, extent), usage: USAGE });
      buffers.set(role, buffer);
    }
    return buffer;
  };
  const adopt = (variable: tf.Variable, buffer: GPUBuffer, base: number): void => {
    bringHome(variable);
    storage.adopt(variable, buffer, base * 4);
    residents.set(variable, buffer);
  };

  return {
    step: (plan, entries, extent) => {
      // All that can fail for want of memory comes before the first change.
      const parameter = flat('parameter', extent);
      const gradient = flat('gradient', extent);
      const names = Object.keys(entries.find((entry) => entry !== null)?.state ?? {});
      const state = Object.fromEntries(names.map((name) => [name, flat(`state ${name}`, extent)]));
      const gradients = entries.map((entry, index): GPUBuffer | null => {
        const tensor = plan.tensors[index];
        if (entry === null || tensor === null || tensor === undefined) return null;
        adopt(entry.variable, parameter, tensor.base);
        for (const [name, slot] of Object.entries(entry.state)) adopt(slot, state[name] as GPUBuffer, tensor.base);
        bringHome(entry.gradient);
        return entry.gradient.size === 0 ? null : storage.buffer(entry.gradient);
      });
      storage.flush();
      engine.stepFlat(plan, { parameter, gradient, state }, gradients);
    },
    dispose: () => {
      for (const [variable, buffer] of residents) if (!variable.isDisposed) storage.expel(variable, buffer);
      storage.flush();
      for (const buffer of buffers.values()) buffer.destroy();
      engine.dispose();
    },
  };
}
