import type * as tf from '@tensorflow/tfjs';
import { ALIGNMENT_STRIDE, createSteps, flatBufferBytes, placeFlat } from '../../engines/webgpu.ts';
import { bringHome } from '../bridges/residence.ts';
import { webGpuStorage } from '../bridges/webgpu.ts';
import type { TensorPlan } from '../../engines/engine.ts';
import { stateSize } from '../../engines/engine.ts';
import type { Stepper } from './stepper.ts';

/** Flags of `GPUBufferUsage`: COPY_SRC | COPY_DST | STORAGE. */
const USAGE = 0x04 | 0x08 | 0x80;

/** The WebGPU engine over one flat buffer for the parameters, one for each state and one for the gradients: a dispatch a step. */
export function webGpuStepper(): Stepper {
  const storage = webGpuStorage();
  const steps = createSteps(storage.device);
  const buffers = new Map<string, GPUBuffer>();
  /** Who lives in which buffer, to be given a home again when the buffers go. */
  const residents = new Map<tf.Variable, GPUBuffer>();
  /** Elements, and tensors with one number of state, that the buffers have room for. */
  let room = 0;
  let seats = 0;

  /** Everybody a home of their own, and the buffers gone. */
  const vacate = (): void => {
    for (const [variable, buffer] of residents) if (!variable.isDisposed) storage.expel(variable, buffer);
    storage.flush();
    for (const buffer of buffers.values()) buffer.destroy();
    residents.clear();
    buffers.clear();
  };
  const flat = (role: string, elements = room): GPUBuffer => {
    let buffer = buffers.get(role);
    if (buffer === undefined) {
      buffer = storage.device.createBuffer({ size: flatBufferBytes(storage.device, elements), usage: USAGE });
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
      steps.checkLost();
      if (extent > room) {
        // Variables have joined. Half as much again, so that those who join one by one do not move everybody each time.
        const most = Math.floor(storage.device.limits.maxBufferSize / 4);
        const grown = room === 0 ? extent : Math.max(extent, Math.min(Math.ceil(1.5 * room), most));
        flatBufferBytes(storage.device, grown);
        vacate();
        room = grown;
      }
      if (entries.length > seats) {
        vacate();
        seats = Math.ceil(1.5 * entries.length);
      }
      // All that can fail for want of memory comes before the first change.
      const parameter = flat('parameter');
      const gradient = flat('gradient');
      const names = Object.keys(entries.find((entry) => entry !== null)?.state ?? {});
      // A state of one number a tensor has a place a tensor.
      const single = (name: string): boolean => stateSize(name, 2) === 1;
      const state = Object.fromEntries(
        names.map((name) => [name, flat(`state ${name}`, single(name) ? ALIGNMENT_STRIDE * seats : room)]),
      );
      const present = (index: number): TensorPlan | null => plan.tensors[index] ?? null;
      // All variables before the first gradient: one that shares memory with a variable then has a buffer of its own.
      entries.forEach((entry, index) => {
        const tensor = present(index);
        if (entry === null || tensor === null) return;
        adopt(entry.variable, parameter, tensor.base);
        for (const [name, slot] of Object.entries(entry.state)) {
          adopt(slot, state[name] as GPUBuffer, single(name) ? ALIGNMENT_STRIDE * index : tensor.base);
        }
      });
      const gradients = entries.map((entry, index): GPUBuffer | null => {
        if (entry === null || present(index) === null || entry.gradient.size === 0) return null;
        bringHome(entry.gradient);
        return storage.buffer(entry.gradient);
      });
      storage.flush();
      const flatBuffers = { parameter, gradient, state };
      steps.stepFlat(plan, placeFlat(plan, flatBuffers), flatBuffers, gradients);
    },
    dispose: () => {
      vacate();
      steps.dispose();
    },
  };
}
