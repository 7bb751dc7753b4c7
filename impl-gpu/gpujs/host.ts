/**
 * gpu.js's modes `cpu`, `webasm` and `headlessgl`. They bake an array's length into what they compile, and all but `cpu` copy
 * arguments into memory of their own, so a tensor is cut into pieces of a few fixed lengths that stay in cache: every kernel is compiled
 * for those only.
 */
import type { StepPlan, TensorBuffers } from '../engines/engine.ts';
import { KEEP_ALL } from '../engines/engine.ts';
import { UnsupportedError } from '../validate.ts';
import type { AverageBuffers, AveragePlan } from './average.ts';
import type { GivenMasks, GpuJsArray, GpuJsEngine } from './engine.ts';
import { checkAverage, checkStep, packKept } from './engine.ts';
import type { GpuJsInstance, GpuJsKernel, GpuJsModule } from './module.ts';
import { MASK_SETTINGS, MASK_SOURCE, maskArguments } from './philox.ts';
import type { KernelSource, MaskForm } from './source.ts';
import { COUPLED, MASK, averageSource, stepSources } from './source.ts';

/** Lengths of a piece in elements, longest first: multiples of the mask block's eight and of SIMD's four. */
const PIECES = [16384, 1024, 64] as const;
const SHORTEST = 64;

type Arrays = GpuJsArray<Float32Array>;

/** A piece of a tensor: `count` of its `length` elements exist. */
interface Piece {
  readonly first: number;
  readonly count: number;
  readonly length: number;
}

function* cut(size: number): Generator<Piece> {
  for (let first = 0; first < size;) {
    const left = size - first;
    const length = PIECES.find((piece) => piece <= left) ?? SHORTEST;
    const count = Math.min(length, left);
    yield { first, count, length };
    first += count;
  }
}

type HostMode = 'cpu' | 'webasm' | 'headlessgl';

class HostEngine implements GpuJsEngine<Float32Array> {
  readonly mode: HostMode;
  readonly #gpu: GpuJsInstance;
  readonly #input: GpuJsModule['input'];
  readonly #kernels = new Map<string, GpuJsKernel>();
  /** Where the last, short piece of each argument lies, and the rows of a ring. */
  readonly #scratch = new Map<string, Float32Array>();

  constructor({ GPU, input }: GpuJsModule, mode: HostMode) {
    this.mode = mode;
    try {
      this.#gpu = new GPU({ mode });
    } catch (error) {
      if (mode !== 'headlessgl') throw error;
      throw new UnsupportedError('gpu.js runs in mode headlessgl only with the package gl and a display (DISPLAY)');
    }
    this.#input = input;
  }

  array(values: Float32Array | number): Arrays {
    const data = new Float32Array(values as Float32Array);
    return { size: data.length, data };
  }

  wrap(data: Float32Array, size: number): Arrays {
    return { size, data };
  }

  write({ data }: Arrays, values: Float32Array): void {
    data.set(values);
  }

  read({ data }: Arrays): Promise<Float32Array> {
    return Promise.resolve(data.slice());
  }

  release(): void {
    // The garbage collector's.
  }

  step(plan: StepPlan, tensors: readonly (TensorBuffers<Arrays> | null)[], masks?: GivenMasks): void {
    checkStep(plan, tensors, masks, fits);
    this.#checkMasks(plan.tensors, masks);
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null) return;
      const { parameter, gradient, state } = tensors[index] as TensorBuffers<Arrays>;
      const arrays: Record<string, Float32Array> = { parameter: parameter.data, gradient: gradient.data };
      for (const [name, { data }] of Object.entries(state)) arrays[name] = data;
      const given = masks?.[index] ?? null;
      const masked = tensor.threshold < KEEP_ALL || given !== null;
      const parts = stepSources(tensor.kernel, this.#form(masked));
      for (const piece of cut(tensor.size)) {
        const kept = masked ? this.#kept(plan, tensor, given, piece) : undefined;
        for (const part of parts) {
          const values = part.arrays.map((name, at) =>
            name === MASK ? kept : this.#piece(`argument ${at}`, arrays[name] as Float32Array, piece),
          );
          const scalars = part.scalars.map((name) => tensor.scalars[name as keyof typeof tensor.scalars]);
          const result = this.#run(part, piece.length, [...values, ...scalars]);
          const target = arrays[part.output] as Float32Array;
          store(target, piece, result, part.output === 'parameter' ? this.#unreliable(given) : null);
        }
      }
    });
  }

  stepAverage(plan: AveragePlan, tensors: readonly (AverageBuffers<Arrays> | null)[], masks?: GivenMasks): void {
    checkAverage(plan, tensors, masks, fits);
    this.#checkMasks(plan.tensors, masks);
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null) return;
      const { size, window, row, rate, decay } = tensor;
      const { parameter, gradient, ring } = tensors[index] as AverageBuffers<Arrays>;
      const given = masks?.[index] ?? null;
      const masked = tensor.threshold < KEEP_ALL || given !== null;
      const average = averageSource(window, this.#form(masked));
      const newest = ring.data.subarray(row * size, (row + 1) * size);
      for (const piece of cut(size)) {
        const { first, count, length } = piece;
        const old = this.#piece('argument 0', parameter.data, piece);
        if (decay > 0) {
          const whole = [old, this.#piece('argument 1', gradient.data, piece), decay];
          store(newest, piece, this.#run(COUPLED, length, whole));
        } else newest.set(gradient.data.subarray(first, first + count), first);
        const rows = this.#array('rows', window * length);
        for (let r = 0; r < window; r++) {
          rows.set(ring.data.subarray(r * size + first, r * size + first + count), r * length);
        }
        const kept = masked ? [this.#kept(plan, tensor, given, piece)] : [];
        const values = [old, this.#input(rows, [length, window]), ...kept, rate];
        store(parameter.data, piece, this.#run(average, length, values), this.#unreliable(given));
      }
    });
  }

  dispose(): void {
    for (const { kernel } of this.#kernels.values()) kernel.destroy();
    this.#kernels.clear();
    this.#scratch.clear();
  }

  #form(masked: boolean): MaskForm {
    if (!masked) return 'none';
    return this.mode === 'headlessgl' ? 'flags' : 'bits';
  }

  #checkMasks(plans: readonly ({ readonly threshold: number } | null)[], masks: GivenMasks | undefined): void {
    if (this.mode !== 'headlessgl') return;
    if (plans.some((plan, i) => plan !== null && plan.threshold < KEEP_ALL && (masks?.[i] ?? null) === null)) {
      throw new UnsupportedError('gpu.js has no 32-bit integers in mode headlessgl to draw a mask: give masks');
    }
  }

  /** The mask, where a dropped number may not come back from the mode's memory as it went: textures flush subnormals. */
  #unreliable(given: Uint8Array | null): Uint8Array | null {
    return this.mode === 'headlessgl' ? given : null;
  }

  /** The mask of a piece as its kernel takes it: given, or drawn by the mask kernel. */
  #kept(
    { key, step }: Pick<StepPlan, 'key' | 'step'>,
    { base, threshold }: { readonly base: number; readonly threshold: number },
    given: Uint8Array | null,
    { first, count, length }: Piece,
  ): Float32Array {
    if (this.mode === 'headlessgl' && given !== null) {
      const flags = this.#array('mask', length);
      flags.set(given.subarray(first, first + count));
      return flags;
    }
    if (given === null) {
      const kernel = this.#kernel('mask', length / 8, () => ({ source: MASK_SOURCE, settings: MASK_SETTINGS }));
      return this.#call(kernel, maskArguments((base + first) / 8, step, key, threshold));
    }
    const bytes = this.#array('mask', length / 8);
    packKept(given, first, count, bytes);
    return bytes;
  }

  /** A piece of an array as long as the kernel wants it. */
  #piece(slot: string, array: Float32Array, { first, count, length }: Piece): Float32Array {
    if (count === length) return array.subarray(first, first + count);
    const padded = this.#array(slot, length);
    padded.set(array.subarray(first, first + count));
    return padded;
  }

  #array(slot: string, length: number): Float32Array {
    const key = `${slot} ${length}`;
    let array = this.#scratch.get(key);
    if (array === undefined) this.#scratch.set(key, (array = new Float32Array(length)));
    return array;
  }

  #run(source: KernelSource, length: number, values: readonly unknown[]): Float32Array {
    const kernel = this.#kernel(source.source, length, () => ({
      source: source.source,
      settings: {
        argumentTypes: [
          ...source.arrays.map((name) => (name === 'ring' ? 'Input' : 'Array')),
          // `Number` is the same, and unknown to headlessgl.
          ...source.scalars.map(() => 'Float'),
        ],
        returnType: 'Number',
      },
    }));
    return this.#call(kernel, values);
  }

  #kernel(
    name: string,
    length: number,
    describe: () => { readonly source: string; readonly settings: object },
  ): GpuJsKernel {
    const key = `${length} ${name}`;
    let kernel = this.#kernels.get(key);
    if (kernel === undefined) {
      const { source, settings } = describe();
      // Without `immutable` cpu mode writes into one array of its own; webasm gives a copy each time.
      kernel = this.#gpu.createKernel(source, {
        ...settings,
        output: [length],
        pipeline: this.mode !== 'headlessgl',
        precision: 'single',
      });
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  #call(kernel: GpuJsKernel, values: readonly unknown[]): Float32Array {
    const result = kernel(...values) as Float32Array;
    // gpu.js falls back to cpu mode with no more than a warning.
    const { mode } = kernel.kernel.constructor;
    if (mode !== (this.mode === 'headlessgl' ? 'gpu' : this.mode)) {
      const reason = kernel.kernel.fallbackReason ?? 'it gave no reason';
      throw new UnsupportedError(`gpu.js must run in mode ${this.mode}, it fell back to ${mode}: ${reason}`);
    }
    return result;
  }
}

const fits = ({ data }: Arrays, size: number): boolean => data.length === size;

/** @param kept - where given, only these elements are taken */
function store(
  target: Float32Array,
  { first, count, length }: Piece,
  values: Float32Array,
  kept: Uint8Array | null = null,
): void {
  if (kept === null) target.set(count === length ? values : values.subarray(0, count), first);
  else for (let i = 0; i < count; i++) if (kept[first + i] !== 0) target[first + i] = values[i] as number;
}

export const createHostEngine = (module: GpuJsModule, mode: HostMode): GpuJsEngine<Float32Array> =>
  new HostEngine(module, mode);
