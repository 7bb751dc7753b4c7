/**
 * The fused step on `Float32Array`s by the WASM kernels: a stretch of each array is copied into a small WebAssembly memory,
 * stepped there while it is in the processor's caches, and copied out. The copies cost less than a tenth of what the same
 * arithmetic costs in JavaScript.
 */
import { UnsupportedError } from '../validate.ts';
import type { Engine, Stage, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { MEASURED, SCALARS, kernelState, modeOf } from './engine.ts';
import { jsEngine } from './js.ts';
import { createInstances } from './wasm.ts';
import { LANES, PAGE } from './wasmModule.ts';

/** Elements that are stepped at once, a multiple of the kernels' lanes: five arrays of 32 KiB stay in a second-level cache. */
const CHUNK = MEASURED;

/** Bytes from one slot to the next: not a power of two, so that the slots fall into different sets of a cache. */
const STRIDE = 4 * CHUNK + 192;
/** Slots for parameter, gradient, and the most state that a kernel has. */
const POINTERS = [0, STRIDE, 2 * STRIDE, 3 * STRIDE, 4 * STRIDE] as const;
const GRADIENT = 1;

let shared: Stage | undefined;

/** One for the whole process: a step has left it when it returns, and every WebAssembly memory reserves gigabytes of address space. */
function openStage(): Stage {
  if (typeof WebAssembly === 'undefined') throw new UnsupportedError('WebAssembly is not here');
  if (shared === undefined) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil((POINTERS.length * STRIDE) / PAGE) });
    shared = {
      slots: POINTERS.map((pointer) => new Float32Array(memory.buffer, pointer, CHUNK)),
      pointers: POINTERS,
      instanceOf: createInstances(memory),
    };
  }
  return shared;
}

/** Steps one tensor, stretch by stretch. */
function stepTensor(
  stage: Stage,
  { key, step }: StepPlan,
  tensor: TensorPlan,
  buffers: TensorBuffers<Float32Array>,
): void {
  const { slots, instanceOf } = stage;
  const { kernel, base, size, threshold } = tensor;
  const { parameter, gradient, state } = buffers;
  const { scalars } = tensor.measure?.onStage(stage, tensor, buffers) ?? tensor;
  const arrays = [parameter, gradient, ...kernelState(kernel).map((name) => state[name] as Float32Array)];
  const run = instanceOf(kernel, modeOf(tensor));
  const values = SCALARS.map((name) => scalars[name]);
  for (let first = 0; first < size; first += CHUNK) {
    const count = Math.min(CHUNK, size - first);
    arrays.forEach((array, i) => slots[i]?.set(count === size ? array : array.subarray(first, first + count)));
    // Whole turns of the main loop: what it does behind the stretch stays on the stage.
    const whole = Math.ceil(count / LANES) * LANES;
    run(whole, (base + first) / 8, step, key[0], key[1], threshold, ...POINTERS, ...values);
    arrays.forEach((array, i) => {
      const slot = slots[i] as Float32Array;
      if (i !== GRADIENT) array.set(count === CHUNK ? slot : slot.subarray(0, count), first);
    });
  }
}

/**
 * The fastest engine for `Float32Array`s that runs here: the WASM kernels, with the WASM engine's bits. Where they cannot be compiled
 * (no WebAssembly SIMD, a page whose content security policy lacks 'wasm-unsafe-eval') it silently is the JavaScript engine. Arrays are
 * all there and of the right length (`createArrayEngine` checks that).
 */
export function arrayEngine(): Engine<Float32Array> {
  let fallback: Engine<Float32Array> | undefined;
  /** The stage with all kernels of a step in place; undefined where it cannot be. */
  const prepare = (plan: StepPlan): Stage | undefined => {
    try {
      const stage = openStage();
      for (const tensor of plan.tensors) {
        if (tensor === null) continue;
        stage.instanceOf(tensor.kernel, modeOf(tensor));
        if (tensor.measure !== null) stage.instanceOf(tensor.kernel, tensor.measure.wasm(tensor).alone);
      }
      return stage;
    } catch (error) {
      if (error instanceof UnsupportedError) return undefined;
      throw error;
    }
  };
  return {
    step(plan, tensors) {
      const stage = fallback === undefined ? prepare(plan) : undefined;
      if (stage === undefined) return (fallback ??= jsEngine()).step(plan, tensors);
      plan.tensors.forEach((tensor, index) => {
        if (tensor !== null) stepTensor(stage, plan, tensor, tensors[index] as TensorBuffers<Float32Array>);
      });
    },
  };
}
