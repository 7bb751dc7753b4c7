/**
 * gpu.js's mode `webgpu`, on a device of the caller's: kernels from buffer to buffer, nothing comes back to the host.
 *
 * Everything that this project knows of the internals of gpu.js 2.24.1 stands here (`src/backend/web-gpu/kernel.js`). Three of its ways do not
 * fit an optimizer, and each kernel is changed in place:
 * - it opens a device of its own (`WebGPUContext.acquire`): the kernel is given the caller's, which tfjs shares;
 * - it builds behind a promise, while `applyGradients` is synchronous: the pipeline is made at once, and a fault of the build is thrown at the next step;
 * - it allocates each result: the kernel is given the buffer to write, and the array's old buffer is the next kernel's result. One
 *   spare buffer for each tensor size serves a whole model.
 */
import type { StepPlan, TensorBuffers } from '../engines/engine.ts';
import { KEEP_ALL } from '../engines/engine.ts';
import { DeviceLostError } from '../engines/webgpu.ts';
import { UnsupportedError } from '../validate.ts';
import type { AverageBuffers, AveragePlan } from './average.ts';
import type { GivenMasks, GpuJsArray, GpuJsEngine } from './engine.ts';
import { checkAverage, checkStep, packKept } from './engine.ts';
import type { GpuJsInstance, GpuJsModule } from './module.ts';
import { GPUJS_VERSION } from './module.ts';
import { MASK_SETTINGS, MASK_SOURCE, maskArguments } from './philox.ts';
import type { KernelSource } from './source.ts';
import { COUPLED, MASK, averageSource, stepSources } from './source.ts';

/** What a kernel knows of its device: an object of ours where gpu.js has one of its own. */
interface Context {
  readonly device: GPUDevice;
  isLost: boolean;
}

/** gpu.js's `WebGPUBufferResult`, as far as a kernel looks at its arguments. */
interface Handle {
  readonly type: 'WebGPUBuffer';
  readonly buffer: GPUBuffer;
  readonly context: Context;
  readonly componentCount: 1;
  /** Columns and rows. */
  readonly output: readonly number[];
}

/** gpu.js's `WebGPUKernel`. */
interface WebGpuKernel {
  readonly constructor: { readonly mode?: string };
  built: boolean;
  context: Context;
  _device: GPUDevice;
  readonly compiledSource: string;
  readonly paramsLayout: {
    readonly arrayArgs: readonly unknown[];
    readonly bufferConstants: readonly unknown[];
    readonly byteLength: number;
  };
  bindGroupLayout: GPUBindGroupLayout;
  computePipeline: GPUComputePipeline;
  paramsBuffer: GPUBuffer | null;
  paramsMirror: ArrayBuffer;
  paramsU32: Uint32Array;
  paramsI32: Int32Array;
  paramsF32: Float32Array;
  constantBuffers: GPUBuffer[];
  outputBuffer: GPUBuffer | null;
  bindGroupDirty: boolean;
  setOutput(output: readonly number[]): void;
  build(...values: readonly unknown[]): unknown;
  run(...values: readonly unknown[]): unknown;
  _buildAsync(): Promise<void>;
  destroy(): void;
}

const METHODS = ['setOutput', 'build', 'run', 'destroy', '_buildAsync', '_runInternal', '_ensureOutputBuffer'] as const;

/** Flags of `GPUBufferUsage`, which Node has no global for. */
const MAP_READ = 0x01;
const COPY_SRC = 0x04;
const COPY_DST = 0x08;
const UNIFORM = 0x40;
const STORAGE = 0x80;
const COMPUTE_STAGE = 0x04;

type Arrays = GpuJsArray<GPUBuffer>;

class WebGpuGpuJsEngine implements GpuJsEngine<GPUBuffer> {
  readonly mode = 'webgpu';
  readonly #device: GPUDevice;
  readonly #context: Context;
  readonly #gpu: GpuJsInstance;
  readonly #kernels = new Map<string, WebGpuKernel>();
  /** Buffers that nothing lives in, by their size in bytes. */
  readonly #spares = new Map<number, GPUBuffer[]>();
  #mask: GPUBuffer | undefined;
  #lost: string | undefined;
  #fault: string | undefined;

  constructor({ GPU }: GpuJsModule, device: GPUDevice) {
    this.#device = device;
    this.#context = { device, isLost: false };
    // Else gpu.js looks for `navigator.gpu`, which Node lacks and which this engine does not need.
    GPU.disableValidation();
    try {
      this.#gpu = new GPU({ mode: 'webgpu' });
    } finally {
      GPU.enableValidation();
    }
    void device.lost.then(({ reason, message }) => {
      this.#lost = `${reason}: ${message}`;
      this.#context.isLost = true;
    });
  }

  array(values: Float32Array | number): Arrays {
    const size = typeof values === 'number' ? values : values.length;
    const array = { size, data: this.#buffer(4 * size) };
    if (typeof values !== 'number') this.write(array, values);
    return array;
  }

  wrap(data: GPUBuffer, size: number): Arrays {
    return { size, data };
  }

  write({ data }: Arrays, values: Float32Array): void {
    if (values.length > 0) this.#device.queue.writeBuffer(data, 0, values as Float32Array<ArrayBuffer>);
  }

  async read({ data, size }: Arrays): Promise<Float32Array> {
    if (size === 0) return new Float32Array(0);
    const target = this.#device.createBuffer({ size: 4 * size, usage: MAP_READ | COPY_DST });
    this.#copy(data, target, 0, 4 * size);
    await target.mapAsync(1);
    const values = new Float32Array(target.getMappedRange().slice(0));
    target.destroy();
    return values;
  }

  release({ data }: Arrays): void {
    data.destroy();
  }

  step(plan: StepPlan, tensors: readonly (TensorBuffers<Arrays> | null)[], masks?: GivenMasks): void {
    this.#check();
    checkStep(plan, tensors, masks, (array, size) => this.#fits(array, size));
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null || tensor.size === 0) return;
      const { parameter, gradient, state } = tensors[index] as TensorBuffers<Arrays>;
      const arrays: Record<string, Arrays> = { parameter, gradient, ...state };
      const given = masks?.[index] ?? null;
      const masked = tensor.threshold < KEEP_ALL || given !== null;
      const kept = masked ? this.#kept(plan, tensor, given) : undefined;
      for (const part of stepSources(tensor.kernel, masked ? 'bits' : 'none')) {
        const values = part.arrays.map((name) =>
          name === MASK ? kept : this.#handle((arrays[name] as Arrays).data, [tensor.size]),
        );
        const scalars = part.scalars.map((name) => tensor.scalars[name as keyof typeof tensor.scalars]);
        this.#replace(arrays[part.output] as Arrays, part, [...values, ...scalars]);
      }
    });
  }

  stepAverage(plan: AveragePlan, tensors: readonly (AverageBuffers<Arrays> | null)[], masks?: GivenMasks): void {
    this.#check();
    checkAverage(plan, tensors, masks, (array, size) => this.#fits(array, size));
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null || tensor.size === 0) return;
      const { size, window, row, rate, decay } = tensor;
      const { parameter, gradient, ring } = tensors[index] as AverageBuffers<Arrays>;
      const given = masks?.[index] ?? null;
      const masked = tensor.threshold < KEEP_ALL || given !== null;
      const old = this.#handle(parameter.data, [size]);
      const [from, to] = [4 * row * size, 4 * size];
      if (decay > 0) {
        const whole = this.#spare(to);
        this.#run(COUPLED, size, [old, this.#handle(gradient.data, [size]), decay], whole);
        this.#copy(whole, ring.data, from, to);
        this.#keep(whole);
      } else this.#copy(gradient.data, ring.data, from, to);
      const kept = masked ? [this.#kept(plan, tensor, given)] : [];
      const values = [old, this.#handle(ring.data, [size, window]), ...kept, rate];
      this.#replace(parameter, averageSource(window, masked ? 'bits' : 'none'), values);
    });
  }

  dispose(): void {
    for (const kernel of this.#kernels.values()) {
      kernel.outputBuffer = null;
      kernel.destroy();
    }
    this.#kernels.clear();
    for (const buffers of this.#spares.values()) for (const buffer of buffers) buffer.destroy();
    this.#spares.clear();
    this.#mask?.destroy();
    this.#mask = undefined;
  }

  #check(): void {
    if (this.#lost !== undefined) {
      throw new DeviceLostError(
        `the GPU device must be alive, it was lost (${this.#lost}); open another and put the parameters there`,
      );
    }
    if (this.#fault !== undefined) throw new Error(this.#fault);
  }

  #fits({ data }: Arrays, size: number): boolean {
    const limit = this.#device.limits.maxStorageBufferBindingSize;
    if (4 * size > limit) {
      throw new UnsupportedError(
        `an array of ${4 * size} bytes must be within the device's maxStorageBufferBindingSize of ${limit}`,
      );
    }
    return data.size >= 4 * size;
  }

  #buffer(bytes: number): GPUBuffer {
    return this.#device.createBuffer({ size: Math.max(4, bytes), usage: STORAGE | COPY_SRC | COPY_DST });
  }

  #spare(bytes: number): GPUBuffer {
    return this.#spares.get(Math.max(4, bytes))?.pop() ?? this.#buffer(bytes);
  }

  #keep(buffer: GPUBuffer): void {
    const same = this.#spares.get(buffer.size);
    if (same === undefined) this.#spares.set(buffer.size, [buffer]);
    else same.push(buffer);
  }

  #copy(from: GPUBuffer, to: GPUBuffer, at: number, bytes: number): void {
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, at, bytes);
    this.#device.queue.submit([encoder.finish()]);
  }

  #handle(buffer: GPUBuffer, output: readonly number[]): Handle {
    return { type: 'WebGPUBuffer', buffer, context: this.#context, componentCount: 1, output };
  }

  /** The mask bytes of a tensor, given or drawn. The queue's order lets all tensors share one buffer. */
  #kept(
    { key, step }: Pick<StepPlan, 'key' | 'step'>,
    { base, size, threshold }: { readonly base: number; readonly size: number; readonly threshold: number },
    given: Uint8Array | null,
  ): Handle {
    const length = Math.ceil(size / 8);
    if (this.#mask === undefined || this.#mask.size < 4 * length) {
      this.#mask?.destroy();
      this.#mask = this.#buffer(4 * length);
    }
    if (given === null) {
      const values = maskArguments(base / 8, step, key, threshold);
      const mask = this.#kernel('mask', MASK_SOURCE, MASK_SETTINGS, length, values);
      this.#launch(mask, length, values, this.#mask);
    } else {
      const bytes = new Float32Array(length);
      packKept(given, 0, size, bytes);
      this.#device.queue.writeBuffer(this.#mask, 0, bytes);
    }
    return this.#handle(this.#mask, [length]);
  }

  /** Runs a kernel whose result is an array's next contents. */
  #replace(array: Arrays, source: KernelSource, values: readonly unknown[]): void {
    // Of the old buffer's own size, whatever that is: the two change places for good.
    const target = this.#spare(array.data.size);
    this.#run(source, array.size, values, target);
    this.#keep(array.data);
    array.data = target;
  }

  #run(source: KernelSource, length: number, values: readonly unknown[], target: GPUBuffer): void {
    const settings = {
      argumentTypes: [...source.arrays.map(() => 'WebGPUBuffer'), ...source.scalars.map(() => 'Number')],
      returnType: 'Number',
    };
    this.#launch(this.#kernel(source.source, source.source, settings, length, values), length, values, target);
  }

  #launch(kernel: WebGpuKernel, length: number, values: readonly unknown[], target: GPUBuffer): void {
    kernel.setOutput([length]);
    kernel.outputBuffer = target;
    kernel.bindGroupDirty = true;
    kernel.run(...values);
  }

  /** A built kernel; its length changes from call to call. */
  #kernel(key: string, source: string, settings: object, length: number, values: readonly unknown[]): WebGpuKernel {
    let kernel = this.#kernels.get(key);
    if (kernel === undefined) {
      const { kernel: made } = this.#gpu.createKernel(source, {
        ...settings,
        output: [length],
        dynamicOutput: true,
        dynamicArguments: true,
        pipeline: true,
        precision: 'single',
      });
      kernel = made as unknown as WebGpuKernel;
      const missing = METHODS.find(
        (name) => typeof (kernel as unknown as Record<string, unknown>)[name] !== 'function',
      );
      if (kernel.constructor.mode !== 'webgpu' || missing !== undefined) {
        throw new UnsupportedError(`gpu.js must be exactly ${GPUJS_VERSION}: its webgpu kernel has no ${missing}`);
      }
      const building = kernel;
      kernel._buildAsync = () => {
        this.#finish(building);
        return Promise.resolve();
      };
      kernel.build(...values);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  /** gpu.js's `_buildAsync` without its awaits, on this engine's device. */
  #finish(kernel: WebGpuKernel): void {
    const device = this.#device;
    const { arrayArgs, bufferConstants, byteLength } = kernel.paramsLayout;
    if (bufferConstants.length > 0) throw new Error('the kernels of a step have no array constants');
    kernel.context = this.#context;
    kernel._device = device;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: kernel.compiledSource });
    const types: GPUBufferBindingType[] = ['uniform', ...arrayArgs.map(() => 'read-only-storage' as const), 'storage'];
    kernel.bindGroupLayout = device.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })),
    });
    kernel.computePipeline = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [kernel.bindGroupLayout] }),
      compute: { module, entryPoint: 'main' },
    });
    void device.popErrorScope().then((error) => {
      if (error !== null) this.#fault = `a gpu.js kernel does not compile: ${error.message}`;
    });
    kernel.paramsBuffer = device.createBuffer({ size: byteLength, usage: UNIFORM | COPY_DST });
    kernel.paramsMirror = new ArrayBuffer(byteLength);
    kernel.paramsU32 = new Uint32Array(kernel.paramsMirror);
    kernel.paramsI32 = new Int32Array(kernel.paramsMirror);
    kernel.paramsF32 = new Float32Array(kernel.paramsMirror);
    kernel.constantBuffers = [];
    kernel.built = true;
  }
}

export const createWebGpuGpuJsEngine = (module: GpuJsModule, device: GPUDevice): GpuJsEngine<GPUBuffer> =>
  new WebGpuGpuJsEngine(module, device);
