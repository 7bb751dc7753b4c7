/**
 * The fused step in WebAssembly SIMD, in place on any `WebAssembly.Memory`: buffers are byte pointers into it, its owner may
 * grow it at any time, and nothing is allocated in it.
 */
import { InvalidArgumentError } from '../validate.ts';
import type { Engine, Kernel, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { KEEP_ALL, SCALARS, kernelName, kernelState } from './engine.ts';
import type { StepFunction } from './wasmModule.ts';
import { assembleModule } from './wasmModule.ts';

/** A kernel's functions on one memory. */
interface Instance {
  readonly masked: StepFunction;
  readonly all: StepFunction;
}

/** Compiled modules of this process, by kernel and kind of memory. */
const modules = new Map<string, WebAssembly.Module>();

function moduleOf(kernel: Kernel, shared: boolean): WebAssembly.Module {
  const key = `${kernelName(kernel)} ${shared}`;
  let compiled = modules.get(key);
  if (compiled === undefined) modules.set(key, (compiled = new WebAssembly.Module(assembleModule(kernel, shared))));
  return compiled;
}

/** Elements of one call, so that the engine's optimising compiler, which swaps code between calls only, gets its turn. */
const CALL = 1 << 17;

/** Runs elements `first` to `last` - 1 of a tensor; `first` is a multiple of 8. */
export function runRange(
  instance: Instance,
  { key, step }: Pick<StepPlan, 'key' | 'step'>,
  tensor: TensorPlan,
  { parameter, gradient, state }: TensorBuffers<number>,
  first: number,
  last: number,
): void {
  const run = tensor.threshold < KEEP_ALL ? instance.masked : instance.all;
  const [s0 = 0, s1 = 0, s2 = 0] = kernelState(tensor.kernel).map((name) => state[name] as number);
  const scalars = SCALARS.map((name) => tensor.scalars[name]);
  for (let at = first; at < last; at += CALL) {
    const count = Math.min(CALL, last - at);
    const block = (tensor.base + at) / 8;
    const bytes = 4 * at;
    run(
      count,
      block,
      step,
      key[0],
      key[1],
      tensor.threshold,
      parameter + bytes,
      gradient + bytes,
      s0 + bytes,
      s1 + bytes,
      s2 + bytes,
      ...scalars,
    );
  }
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
    checkPointer('parameter', index, buffers.parameter, tensor.size, bytes);
    checkPointer('gradient', index, buffers.gradient, tensor.size, bytes);
    for (const name of kernelState(tensor.kernel)) checkPointer(name, index, buffers.state[name], tensor.size, bytes);
  });
}

/** A memory's kernels, instantiated as they are first needed. */
export function createInstances(memory: WebAssembly.Memory): (kernel: Kernel) => Instance {
  const shared = typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
  const instances = new Map<string, Instance>();
  return (kernel) => {
    const key = kernelName(kernel);
    let instance = instances.get(key);
    if (instance === undefined) {
      const { exports } = new WebAssembly.Instance(moduleOf(kernel, shared), { env: { memory } });
      instances.set(key, (instance = exports as unknown as Instance));
    }
    return instance;
  };
}

/**
 * The engine for a `WebAssembly.Memory`, on the calling thread. Buffers are byte pointers, multiples of 4; those of one
 * tensor must not overlap. `step` throws `InvalidArgumentError` on a pointer outside the memory, before it writes anything.
 * Needs WebAssembly SIMD (every browser since 2023, Node 16.4).
 */
export function createWasmEngine(memory: WebAssembly.Memory): Engine<number> {
  const instanceOf = createInstances(memory);
  return {
    step(plan, tensors) {
      checkPointers(plan, tensors, memory);
      plan.tensors.forEach((tensor, index) => {
        if (tensor === null || tensor.size === 0) return;
        const buffers = tensors[index] as TensorBuffers<number>;
        runRange(instanceOf(tensor.kernel), plan, tensor, buffers, 0, tensor.size);
      });
    },
  };
}
