/**
 * The fused step in WebAssembly SIMD, in place on any `WebAssembly.Memory`: buffers are byte pointers into it, its owner may
 * grow it at any time, and nothing is allocated in it.
 */
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type { Engine, Kernel, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { KEEP_ALL, SCALARS, kernelName, kernelState } from './engine.ts';
import type { StepFunction } from './wasmModule.ts';
import { assembleModule } from './wasmModule.ts';

/** A kernel's functions on one memory. */
export interface Instance {
  readonly masked: StepFunction;
  readonly all: StepFunction;
}

/** Compiled modules of this process, by kernel and kind of memory. */
const modules = new Map<string, WebAssembly.Module>();

/** The module of a kernel, compiled once a process. */
export function moduleOf(kernel: Kernel, shared: boolean): WebAssembly.Module {
  const key = `${kernelName(kernel)} ${shared}`;
  let compiled = modules.get(key);
  if (compiled !== undefined) return compiled;
  try {
    compiled = new WebAssembly.Module(assembleModule(kernel, shared));
  } catch (error) {
    throw new UnsupportedError(
      'the wasm engine needs WebAssembly with SIMD, which is not here; the js engine does without',
      {
        cause: error,
      },
    );
  }
  modules.set(key, compiled);
  return compiled;
}

/** Elements of one call, so that the engine's optimising compiler, which swaps code between calls only, gets its turn. */
const CALL = 1 << 17;

/** One call of an instance's function: which kernel, which function, and its arguments. */
export interface Call {
  readonly kernel: Kernel;
  readonly masked: boolean;
  readonly values: Parameters<StepFunction>;
}

/** The calls for elements `first` to `last` - 1 of a tensor; `first` is a multiple of 8. */
export function callsOf(
  { key, step }: Pick<StepPlan, 'key' | 'step'>,
  tensor: TensorPlan,
  { parameter, gradient, state }: TensorBuffers<number>,
  first: number,
  last: number,
): readonly Call[] {
  const { kernel, threshold, base } = tensor;
  const [s0 = 0, s1 = 0, s2 = 0] = kernelState(kernel).map((name) => state[name] as number);
  const scalars = SCALARS.map((name) => tensor.scalars[name]);
  const calls: Call[] = [];
  for (let at = first; at < last; at += CALL) {
    const bytes = 4 * at;
    const pointers = [parameter + bytes, gradient + bytes, s0 + bytes, s1 + bytes, s2 + bytes] as const;
    const count = Math.min(CALL, last - at);
    calls.push({
      kernel,
      masked: threshold < KEEP_ALL,
      values: [count, (base + at) / 8, step, key[0], key[1], threshold, ...pointers, ...scalars],
    });
  }
  return calls;
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
  if (tensors.length !== plan.tensors.length) {
    throw new InvalidArgumentError(`tensors must be ${plan.tensors.length} as planned, got ${tensors.length}`);
  }
  const bytes = memory.buffer.byteLength;
  plan.tensors.forEach((tensor, index) => {
    if (tensor === null) return;
    const buffers = tensors[index];
    if (buffers === null || buffers === undefined) {
      throw new InvalidArgumentError(`tensor ${index} must have buffers: it has a part in this step`);
    }
    const named: readonly (readonly [string, number | undefined])[] = [
      ['parameter', buffers.parameter],
      ['gradient', buffers.gradient],
      ...kernelState(tensor.kernel).map((name) => [name, buffers.state[name]] as const),
    ];
    named.forEach(([name, pointer], i) => {
      checkPointer(name, index, pointer, tensor.size, bytes);
      const other = named
        .slice(0, i)
        .find(([, at]) => Math.abs((at as number) - (pointer as number)) < 4 * tensor.size);
      if (other !== undefined) {
        throw new InvalidArgumentError(
          `${name} of tensor ${index} must not overlap ${other[0]}, got ${pointer} and ${other[1]}`,
        );
      }
    });
  });
}

/** Whether workers can share a memory. */
export function isShared(memory: WebAssembly.Memory): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
}

/**
 * Finds a kernel's functions on a memory; kernels are instantiated as they are first needed. Throws `UnsupportedError` without
 * WebAssembly SIMD.
 */
export function createInstances(memory: WebAssembly.Memory): (kernel: Kernel) => Instance {
  const shared = isShared(memory);
  const instances = new Map<string, Instance>();
  // Tensors of one step mostly share their planned kernel, and a name is slow to write.
  let last: { readonly kernel: Kernel; readonly instance: Instance } | undefined;
  return (kernel) => {
    if (last?.kernel === kernel) return last.instance;
    const key = kernelName(kernel);
    let instance = instances.get(key);
    if (instance === undefined) {
      const { exports } = new WebAssembly.Instance(moduleOf(kernel, shared), { env: { memory } });
      instances.set(key, (instance = exports as unknown as Instance));
    }
    last = { kernel, instance };
    return instance;
  };
}

/** Makes calls on a memory. */
export function createCaller(memory: WebAssembly.Memory): (call: Call) => void {
  const instanceOf = createInstances(memory);
  return ({ kernel, masked, values }) => {
    const instance = instanceOf(kernel);
    (masked ? instance.masked : instance.all)(...values);
  };
}

/**
 * The engine for a `WebAssembly.Memory`, on the calling thread. Buffers are byte pointers, multiples of 4; those of one
 * tensor must not overlap. `step` throws `InvalidArgumentError` on pointers that are outside the memory or overlap, before it
 * writes anything, and `UnsupportedError` without WebAssembly SIMD (every browser since 2023 and Node since 16.4 have it).
 */
export function createWasmEngine(memory: WebAssembly.Memory): Engine<number> {
  const run = createCaller(memory);
  return {
    step(plan, tensors) {
      checkPointers(plan, tensors, memory);
      plan.tensors.forEach((tensor, index) => {
        if (tensor === null) return;
        callsOf(plan, tensor, tensors[index] as TensorBuffers<number>, 0, tensor.size).forEach(run);
      });
    },
  };
}
