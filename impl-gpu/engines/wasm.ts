/**
 * The fused step in WebAssembly SIMD, in place on any `WebAssembly.Memory`: buffers are byte pointers into it, its owner may
 * grow it at any time, and nothing is allocated in it.
 */
import { UnsupportedError } from '../validate.ts';
import type {
  Call,
  Engine,
  Kernel,
  Scalars,
  StepFunction,
  StepPlan,
  Sums,
  TensorBuffers,
  TensorPlan,
  Work,
} from './engine.ts';
import { kernelName, kernelState, modeOf, SCALARS } from './engine.ts';
import { assembleModule } from './wasmStep.ts';

const workName = (work: Work): string => (typeof work === 'string' ? work : work.name);

/** Compiled modules of this process, by kernel, work and kind of memory. */
const modules = new Map<string, WebAssembly.Module>();

const keyOf = (kernel: Kernel, work: Work): string => `${kernelName(kernel)} ${workName(work)}`;

/** The module of a kernel's work, compiled once a process. */
export function moduleOf(kernel: Kernel, work: Work, shared: boolean): WebAssembly.Module {
  const key = `${keyOf(kernel, work)} ${shared}`;
  let compiled = modules.get(key);
  if (compiled !== undefined) return compiled;
  try {
    compiled = new WebAssembly.Module(
      typeof work === 'string' ? assembleModule(kernel, work, shared) : work.assemble(shared),
    );
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

/** The key of a call's module. */
export const callKey = ({ kernel, work }: Call): string => keyOf(kernel, work);

/** What a function takes for elements `at` to `at + count` - 1, its pointers moved there. */
export function valuesOf(
  { key, step }: Pick<StepPlan, 'key' | 'step'>,
  { base, threshold }: Pick<TensorPlan, 'base' | 'threshold'>,
  pointers: readonly number[],
  scalars: Scalars,
  at: number,
  count: number,
): Parameters<StepFunction> {
  const [parameter = 0, gradient = 0, s0 = 0, s1 = 0, s2 = 0] = pointers.map((pointer) => pointer + 4 * at);
  const places = [count, (base + at) / 8, step, key[0], key[1], threshold] as const;
  return [...places, parameter, gradient, s0, s1, s2, ...SCALARS.map((name) => scalars[name])];
}

/** The pointers of a function that reads this state. */
export const pointersOf = (
  { parameter, gradient, state }: TensorBuffers<number>,
  names: readonly string[],
): readonly number[] => [parameter, gradient, ...names.map((name) => state[name] as number)];

/** The calls for elements `first` to `last` - 1 of a tensor; `first` is a multiple of 8. */
export function callsOf(
  position: Pick<StepPlan, 'key' | 'step'>,
  tensor: TensorPlan,
  buffers: TensorBuffers<number>,
  first: number,
  last: number,
): readonly Call[] {
  const { kernel, scalars } = tensor;
  const pointers = pointersOf(buffers, kernelState(kernel));
  const work = modeOf(tensor);
  const calls: Call[] = [];
  for (let at = first; at < last; at += CALL) {
    const count = Math.min(CALL, last - at);
    calls.push({ kernel, work, values: valuesOf(position, tensor, pointers, scalars, at, count) });
  }
  return calls;
}

/** Whether workers can share a memory. */
export function isShared(memory: WebAssembly.Memory): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
}

/**
 * Finds functions on a memory; they are instantiated as they are first needed. Throws `UnsupportedError` without WebAssembly SIMD.
 */
export function createInstances(memory: WebAssembly.Memory): (kernel: Kernel, work: Work) => StepFunction {
  const shared = isShared(memory);
  const instances = new Map<string, StepFunction>();
  // Tensors of one step mostly share their planned kernel, and a name is slow to write.
  let last: { readonly kernel: Kernel; readonly work: string; readonly run: StepFunction } | undefined;
  return (kernel, work) => {
    const name = workName(work);
    if (last?.kernel === kernel && last.work === name) return last.run;
    const key = keyOf(kernel, work);
    let run = instances.get(key);
    if (run === undefined) {
      const { exports } = new WebAssembly.Instance(moduleOf(kernel, work, shared), { env: { memory } });
      ({ run } = exports as unknown as { run: StepFunction });
      instances.set(key, run);
    }
    last = { kernel, work: name, run };
    return run;
  };
}

/** Makes calls on a memory. */
export function createCaller(memory: WebAssembly.Memory): (call: Call) => Sums | undefined {
  const instanceOf = createInstances(memory);
  return ({ kernel, work, values }) => instanceOf(kernel, work)(...values);
}

/**
 * The engine for a `WebAssembly.Memory`, on the calling thread. Buffers are byte pointers, multiples of 4; those of one
 * tensor must not overlap (`createWasmEngine` checks that). `step` throws `UnsupportedError` without WebAssembly SIMD (every browser since
 * 2023 and Node since 16.4 have it), before it writes anything.
 */
export function wasmEngine(memory: WebAssembly.Memory): Engine<number> {
  const run = createCaller(memory);
  return {
    step(plan, tensors) {
      plan.tensors.forEach((tensor, index) => {
        if (tensor === null) return;
        const buffers = tensors[index] as TensorBuffers<number>;
        if (tensor.measure === null) callsOf(plan, tensor, buffers, 0, tensor.size).forEach(run);
        else tensor.measure.inMemory(memory, run, plan, tensor, buffers);
      });
    },
  };
}
