/**
 * The engines for arrays and for WebAssembly memories as the package exports them: what a caller passes is checked before anything is
 * written. The optimizers, which make their buffers themselves, take the engines as they are.
 */
import { InvalidArgumentError } from '../validate.ts';
import { arrayEngine } from './arrays.ts';
import type { Engine, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { planState, stateSize } from './engine.ts';
import { jsEngine } from './js.ts';
import { wasmEngine } from './wasm.ts';
import { letRest } from './wasmResting.ts';

/** Calls `check` for every tensor that has a part in a step. Throws `InvalidArgumentError` where its buffers are missing. */
export function eachTensor<Buffer>(
  plan: StepPlan,
  tensors: readonly (TensorBuffers<Buffer> | null)[],
  check: (tensor: TensorPlan, index: number, buffers: TensorBuffers<Buffer>) => void,
): void {
  if (tensors.length !== plan.tensors.length) {
    throw new InvalidArgumentError(`tensors must be ${plan.tensors.length} as planned, got ${tensors.length}`);
  }
  plan.tensors.forEach((tensor, index) => {
    if (tensor === null) return;
    const buffers = tensors[index];
    if (buffers === null || buffers === undefined) {
      throw new InvalidArgumentError(`tensor ${index} must have buffers: it has a part in this step`);
    }
    check(tensor, index, buffers);
  });
}

function checkArray(name: string, index: number, array: Float32Array | undefined, size: number): void {
  if (!(array instanceof Float32Array)) {
    throw new InvalidArgumentError(`${name} of tensor ${index} must be a Float32Array, got ${typeof array}`);
  }
  if (array.length !== size) {
    throw new InvalidArgumentError(`${name} of tensor ${index} must have ${size} elements, got ${array.length}`);
  }
}

/** Checks all arrays of a step. Throws `InvalidArgumentError` on a missing one or a wrong length. */
export function checkArrays(plan: StepPlan, tensors: readonly (TensorBuffers<Float32Array> | null)[]): void {
  eachTensor(plan, tensors, (tensor, index, buffers) => {
    checkArray('parameter', index, buffers.parameter, tensor.size);
    checkArray('gradient', index, buffers.gradient, tensor.size);
    for (const name of planState(tensor)) checkArray(name, index, buffers.state[name], stateSize(name, tensor.size));
  });
}

function checkPointer(name: string, index: number, pointer: number | undefined, size: number, bytes: number): void {
  if (typeof pointer !== 'number' || !Number.isInteger(pointer) || pointer < 0 || pointer % 4 !== 0) {
    throw new InvalidArgumentError(
      `${name} of tensor ${index} must be a byte pointer, a multiple of 4, got ${pointer}`,
    );
  }
  if (pointer + 4 * size > bytes) {
    throw new InvalidArgumentError(
      `${name} of tensor ${index} must end within the memory's ${bytes} bytes, got ${pointer} + ${4 * size}`,
    );
  }
}

/** Checks all pointers of a step against the memory's present size. */
export function checkPointers(
  plan: StepPlan,
  tensors: readonly (TensorBuffers<number> | null)[],
  memory: WebAssembly.Memory,
): void {
  const bytes = memory.buffer.byteLength;
  eachTensor(plan, tensors, (tensor, index, buffers) => {
    const named: readonly (readonly [string, number | undefined, number])[] = [
      ['parameter', buffers.parameter, tensor.size],
      ['gradient', buffers.gradient, tensor.size],
      ...planState(tensor).map((name) => [name, buffers.state[name], stateSize(name, tensor.size)] as const),
    ];
    named.forEach(([name, pointer, size], i) => {
      checkPointer(name, index, pointer, size, bytes);
      const start = pointer as number;
      const other = named
        .slice(0, i)
        .find(([, at, length]) => start < (at as number) + 4 * length && (at as number) < start + 4 * size);
      if (other !== undefined) {
        throw new InvalidArgumentError(
          `${name} of tensor ${index} must not overlap ${other[0]}, got ${pointer} and ${other[1]}`,
        );
      }
    });
  });
}

/**
 * The engine for `Float32Array`s in plain JavaScript. `step` throws `InvalidArgumentError` on a missing array or a wrong length, before it
 * writes anything.
 */
export function createJsEngine(): Engine<Float32Array> {
  return checkedArrays(jsEngine());
}

/**
 * The fastest engine for `Float32Array`s that runs here: the WASM kernels, with the WASM engine's bits. Where they cannot be compiled
 * (no WebAssembly SIMD, a page whose content security policy lacks 'wasm-unsafe-eval') it silently is the JavaScript engine.
 * `step` throws `InvalidArgumentError` on a missing array or a wrong length, before it writes anything.
 */
export function createArrayEngine(): Engine<Float32Array> {
  letRest();
  return checkedArrays(arrayEngine());
}

function checkedArrays(engine: Engine<Float32Array>): Engine<Float32Array> {
  return {
    step(plan, tensors) {
      checkArrays(plan, tensors);
      engine.step(plan, tensors);
    },
  };
}

/**
 * The engine for a `WebAssembly.Memory`, on the calling thread. Buffers are byte pointers, multiples of 4; those of one
 * tensor must not overlap. `step` throws `InvalidArgumentError` on pointers that are outside the memory or overlap, before it
 * writes anything, and `UnsupportedError` without WebAssembly SIMD (every browser since 2023 and Node since 16.4 have it).
 */
export function createWasmEngine(memory: WebAssembly.Memory): Engine<number> {
  letRest();
  const engine = wasmEngine(memory);
  return {
    step(plan, tensors) {
      checkPointers(plan, tensors, memory);
      engine.step(plan, tensors);
    },
  };
}
