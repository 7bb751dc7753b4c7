/**
 * The fused engines' step as gpu.js kernels: the same plan, the same bits of the mask, in gpu.js's modes `webgpu`, `webasm` and `cpu`.
 */
import type { Engine, StepPlan, TensorBuffers } from '../engines/engine.ts';
import { kernelState, requireElementwise } from '../engines/engine.ts';
import { InvalidArgumentError } from '../validate.ts';
import type { AverageBuffers, AveragePlan } from './average.ts';

/**
 * `webgpu` needs a device; the others keep their data in `Float32Array`s. `headlessgl` needs the package `gl` and a display, and
 * takes given masks only: GLSL has no 32-bit integers there, so it cannot draw.
 */
export const GPUJS_MODES = ['cpu', 'webasm', 'webgpu', 'headlessgl'] as const;
/** Where gpu.js runs kernels: `webgpu`, `webasm` or `cpu`. */
export type GpuJsMode = (typeof GPUJS_MODES)[number];

/**
 * An array that kernels read and write. A gpu.js kernel never writes what it reads, so on webgpu a step leaves its result in another
 * `GPUBuffer`: ask for `data` anew after each step. Elsewhere the `Float32Array` stays the same.
 */
export interface GpuJsArray<Data> {
  /** Elements. */
  readonly size: number;
  /** Where they lie: a texture or buffer of gpu.js, or an array of the host. */
  data: Data;
}

/** Kept elements by tensor, nonzero where kept; null: the plan's own mask. */
export type GivenMasks = readonly (Uint8Array | null)[];

export interface GpuJsEngine<Data> extends Engine<GpuJsArray<Data>> {
  /** Where its kernels run. */
  readonly mode: GpuJsMode;
  /** An array of the engine's own: with these values, or of so many zeros. */
  array(values: Float32Array | number): GpuJsArray<Data>;
  /** The caller's data as an array that a step only reads: a gradient. In the host's modes it may be written too. */
  wrap(data: Data, size: number): GpuJsArray<Data>;
  /** Copies values into an array. They must be as many as it has. */
  write(array: GpuJsArray<Data>, values: Float32Array): void;
  /** Copies an array to the host. */
  read(array: GpuJsArray<Data>): Promise<Float32Array>;
  /** Frees an array of `array`. */
  release(array: GpuJsArray<Data>): void;
  /**
   * Carries out a step in place.
   *
   * @param masks - instead of the stream's, whatever the plan's threshold
   */
  step(plan: StepPlan, tensors: readonly (TensorBuffers<GpuJsArray<Data>> | null)[], masks?: GivenMasks): void;
  /** The step of `sgdm-avg`. */
  stepAverage(
    plan: AveragePlan,
    tensors: readonly (AverageBuffers<GpuJsArray<Data>> | null)[],
    masks?: GivenMasks,
  ): void;
  /** Frees kernels and scratch memory. */
  dispose(): void;
}

/** Eight kept bits a number, as the mask kernel gives them, to the end of `target`. */
export function packKept(kept: Uint8Array, first: number, count: number, target: Float32Array): void {
  target.fill(0);
  for (let i = 0; i < count; i++) {
    if (kept[first + i] !== 0) target[i >> 3] = (target[i >> 3] as number) + 2 ** (i & 7);
  }
}

function checkOne<Data>(
  name: string,
  index: number,
  array: GpuJsArray<Data> | undefined,
  size: number,
  fits: (array: GpuJsArray<Data>, size: number) => boolean,
): void {
  if (array === undefined) throw new InvalidArgumentError(`${name} of tensor ${index} must be an array, got undefined`);
  if (array.size !== size || !fits(array, size)) {
    throw new InvalidArgumentError(`${name} of tensor ${index} must have ${size} elements, got ${array.size}`);
  }
}

interface Sized {
  readonly size: number;
}

/** Everything that can be wrong with a call, before anything is written. */
function checkTensors<Plan extends Sized, Buffers>(
  plans: readonly (Plan | null)[],
  tensors: readonly (Buffers | null)[],
  masks: GivenMasks | undefined,
  check: (plan: Plan, buffers: Buffers, index: number) => void,
): void {
  if (tensors.length !== plans.length) {
    throw new InvalidArgumentError(`tensors must be ${plans.length} as planned, got ${tensors.length}`);
  }
  plans.forEach((plan, index) => {
    if (plan === null) return;
    const buffers = tensors[index];
    if (buffers === null || buffers === undefined) {
      throw new InvalidArgumentError(`tensor ${index} must have buffers: it has a part in this step`);
    }
    check(plan, buffers, index);
    const kept = masks?.[index];
    if (kept !== null && kept !== undefined && kept.length !== plan.size) {
      throw new InvalidArgumentError(`the mask of tensor ${index} must have ${plan.size} elements, got ${kept.length}`);
    }
  });
}

export function checkStep<Data>(
  plan: StepPlan,
  tensors: readonly (TensorBuffers<GpuJsArray<Data>> | null)[],
  masks: GivenMasks | undefined,
  fits: (array: GpuJsArray<Data>, size: number) => boolean,
): void {
  requireElementwise(plan, 'gpu.js');
  checkTensors(plan.tensors, tensors, masks, ({ kernel, size }, { parameter, gradient, state }, index) => {
    checkOne('parameter', index, parameter, size, fits);
    checkOne('gradient', index, gradient, size, fits);
    for (const name of kernelState(kernel)) checkOne(name, index, state[name], size, fits);
  });
}

export function checkAverage<Data>(
  plan: AveragePlan,
  tensors: readonly (AverageBuffers<GpuJsArray<Data>> | null)[],
  masks: GivenMasks | undefined,
  fits: (array: GpuJsArray<Data>, size: number) => boolean,
): void {
  checkTensors(plan.tensors, tensors, masks, ({ size, window }, { parameter, gradient, ring }, index) => {
    checkOne('parameter', index, parameter, size, fits);
    checkOne('gradient', index, gradient, size, fits);
    checkOne('ring', index, ring, size * window, fits);
  });
}
