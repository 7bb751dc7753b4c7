/** The fused engines on buffers of their own, and copies of as many bytes on the same processor. */
import type { Mask, MaskRequest, TensorBuffers } from 'learning-rate-dropout/gpu';
import {
  createArrayEngine,
  createJsEngine,
  createWasmEngine,
  createWasmPool,
  createWebGpuEngine,
  flatBufferBytes,
  resolveMask,
  stateSize,
  UnsupportedError,
} from 'learning-rate-dropout/gpu';
import { layOut } from 'learning-rate-dropout/stream';
import type { WebGpuInUse } from 'learning-rate-dropout';
import { useWebGpu } from 'learning-rate-dropout';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import type { Workload } from './workload.ts';
import { bytesMoved, gradientValues, planner, statesOf } from './workload.ts';

export interface StepSettings {
  readonly rule: RuleName;
  readonly workload: Workload;
  readonly keepProbability: number;
  /** Another kind of mask than learning rate dropout's. */
  readonly mask?: MaskRequest;
}

/** How a step is masked, as lanes are called. */
export function maskName({ keepProbability, mask }: Pick<StepSettings, 'keepProbability' | 'mask'>): string {
  const kind = mask === undefined ? '' : `${mask.kind}, `;
  if (mask?.kind === 'cautious') return mask.kind;
  return keepProbability === 1 ? `${kind}p = 1` : `${kind}p = ${keepProbability}`;
}

/** What the planner takes of a kind of mask. */
const planned = ({ mask }: StepSettings): Mask | undefined => (mask === undefined ? undefined : resolveMask(mask));

/** Name of a copy lane. */
export const copyName = (kind: 'js' | 'wasm' | 'webgpu'): string => `${kind}: copy of as many bytes`;

const PAGE = 65536;

/** An engine on typed arrays. */
function typedArrayLane(name: string, createEngine: typeof createJsEngine, settings: StepSettings): LaneSource {
  const { rule, workload, keepProbability } = settings;
  const mask = planned(settings);
  return {
    name,
    open: () => {
      const engine = createEngine();
      const tensors = workload.sizes.map((size): TensorBuffers<Float32Array> => ({
        parameter: new Float32Array(size),
        gradient: gradientValues(size),
        state: Object.fromEntries(statesOf(rule, mask).map((slot) => [slot, new Float32Array(stateSize(slot, size))])),
      }));
      const plan = planner(rule, workload, keepProbability, mask);
      const step = (): undefined => {
        engine.step(plan(), tensors);
        return undefined;
      };
      return {
        name,
        sample: step,
        bytesMoved: bytesMoved(rule, workload.elements),
        copyLane: copyName('js'),
        extraBytes: () => {
          const before = process.memoryUsage().arrayBuffers;
          step();
          return Math.max(0, process.memoryUsage().arrayBuffers - before);
        },
      };
    },
  };
}

/** The engine in plain JavaScript. */
export function jsLane(settings: StepSettings, name = `js, ${maskName(settings)}`): LaneSource {
  return typedArrayLane(name, createJsEngine, settings);
}

/** The WASM kernels on typed arrays, which pass through a small memory. */
export function arrayLane(settings: StepSettings): LaneSource {
  return typedArrayLane(`wasm on arrays, ${maskName(settings)}`, createArrayEngine, settings);
}

/** Copies half of a step's bytes from one typed array to another: as many bytes read and written. */
export function jsCopyLane({ rule, workload }: StepSettings): LaneSource {
  const name = copyName('js');
  return {
    name,
    open: () => {
      const bytes = bytesMoved(rule, workload.elements);
      const from = new Uint8Array(bytes / 2).fill(1);
      const to = new Uint8Array(bytes / 2);
      return {
        name,
        bytesMoved: bytes,
        sample: () => {
          from[0] = (from[0] as number) + 1;
          to.set(from);
          return undefined;
        },
      };
    },
  };
}

/** Lays a workload out in a memory of exactly its size. */
function wasmTensors(settings: StepSettings, shared: boolean) {
  const { rule, workload } = settings;
  const slots = statesOf(rule, planned(settings));
  const arrays = 2 + slots.length;
  const pages = Math.ceil((4 * arrays * workload.elements + 64) / PAGE);
  const memory = new WebAssembly.Memory(shared ? { initial: pages, maximum: pages, shared: true } : { initial: pages });
  let next = 64;
  const place = (size: number): number => {
    const at = next;
    next += 4 * size;
    return at;
  };
  const tensors = workload.sizes.map((size): TensorBuffers<number> => {
    const buffers = {
      parameter: place(size),
      gradient: place(size),
      state: Object.fromEntries(slots.map((slot) => [slot, place(stateSize(slot, size))])),
    };
    new Float32Array(memory.buffer, buffers.gradient, size).set(gradientValues(size));
    return buffers;
  });
  return { memory, tensors };
}

/** The engine on a WebAssembly memory, on one thread, or on several that share it. */
export function wasmLane(
  settings: StepSettings,
  threads = 1,
  name = `wasm${threads === 1 ? '' : ` on ${threads} threads`}, ${maskName(settings)}`,
): LaneSource {
  const { rule, workload, keepProbability } = settings;
  return {
    name,
    open: async () => {
      const { memory, tensors } = wasmTensors(settings, threads > 1);
      const pool = threads > 1 ? await createWasmPool(memory, threads) : undefined;
      const engine = pool ?? createWasmEngine(memory);
      const plan = planner(rule, workload, keepProbability, planned(settings));
      const size = memory.buffer.byteLength;
      return {
        name,
        sample: () => {
          engine.step(plan(), tensors);
          return undefined;
        },
        bytesMoved: bytesMoved(rule, workload.elements),
        copyLane: copyName('wasm'),
        extraBytes: () => memory.buffer.byteLength - size,
        ...(pool === undefined ? {} : { close: () => pool.dispose() }),
      };
    },
  };
}

/** `memory.copy` of half of a step's bytes within one WebAssembly memory. */
export function wasmCopyLane({ rule, workload }: StepSettings): LaneSource {
  const name = copyName('wasm');
  return {
    name,
    open: () => {
      const bytes = bytesMoved(rule, workload.elements);
      const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
      const view = new Uint8Array(memory.buffer);
      view.fill(1);
      return {
        name,
        bytesMoved: bytes,
        sample: () => {
          view[0] = (view[0] as number) + 1;
          view.copyWithin(bytes / 2, 0, bytes / 2);
          return undefined;
        },
      };
    },
  };
}

let gpuInUse: WebGpuInUse | undefined;

/** The adapter that lanes ran on, for the environment of a result; undefined: none did. */
export const describeGpu = (): WebGpuInUse['adapter'] | undefined => gpuInUse?.adapter;

/**
 * One device for all lanes of this process, tfjs's included: an adapter gives one device only. Throws `Unavailable` with the
 * reason where there is no adapter.
 */
export async function sharedGpu(): Promise<WebGpuInUse> {
  try {
    return (gpuInUse = await useWebGpu());
  } catch (error) {
    if (error instanceof UnsupportedError) throw new Unavailable(error.message);
    throw error;
  }
}

/** COPY_SRC | COPY_DST | STORAGE. */
export const USAGE = 0x04 | 0x08 | 0x80;

/** Steps between two drains of the queue: on a GPU the round trip of one drain would hide a step. */
export const burstOf = ({ adapter }: WebGpuInUse): number => (adapter.software ? 1 : 50);

export interface GpuTensors {
  readonly buffers: readonly GPUBuffer[];
  readonly parameter: GPUBuffer;
  readonly gradient: GPUBuffer;
  readonly state: Readonly<Record<string, GPUBuffer>>;
}

export function createFlat(device: GPUDevice, settings: StepSettings): GpuTensors {
  const { rule, workload } = settings;
  const bases = layOut(workload.sizes);
  const bytes = flatBufferBytes(device, (bases.at(-1) ?? 0) + (workload.sizes.at(-1) ?? 0));
  const create = (): GPUBuffer => device.createBuffer({ size: bytes, usage: USAGE });
  const parameter = create();
  const gradient = create();
  const state = Object.fromEntries(statesOf(rule, planned(settings)).map((slot) => [slot, create()]));
  workload.sizes.forEach((size, k) =>
    device.queue.writeBuffer(gradient, 4 * (bases[k] as number), gradientValues(size) as Float32Array<ArrayBuffer>),
  );
  return { buffers: [parameter, gradient, ...Object.values(state)], parameter, gradient, state };
}

export const destroyAll = (buffers: readonly GPUBuffer[]): void => {
  for (const buffer of buffers) buffer.destroy();
};

/** A sample of `burst` steps, over when the device has done them. */
export function drained(device: GPUDevice, burst: number, step: () => void): () => Promise<undefined> {
  return async () => {
    for (let i = 0; i < burst; i++) step();
    await device.queue.onSubmittedWorkDone();
    return undefined;
  };
}

/**
 * The engine on flat buffers: one dispatch. Gradients are in place, or gathered from a buffer a tensor, as tfjs has them. The
 * clock is the host's.
 */
export function webGpuFlatLane(
  settings: StepSettings,
  gathered = false,
  name = `webgpu, flat${gathered ? ', gradients gathered' : ''}, ${maskName(settings)}`,
): LaneSource {
  const { rule, workload, keepProbability } = settings;
  return {
    name,
    open: async (): Promise<Lane> => {
      const gpu = await sharedGpu();
      const { device } = gpu;
      const flat = createFlat(device, settings);
      const gradients = gathered
        ? workload.sizes.map((size) => device.createBuffer({ size: 4 * size, usage: USAGE }))
        : undefined;
      const engine = createWebGpuEngine(device);
      const plan = planner(rule, workload, keepProbability, planned(settings));
      const burst = burstOf(gpu);
      return {
        name,
        steps: burst,
        sample: drained(device, burst, () => engine.stepFlat(plan(), flat, gradients)),
        bytesMoved: bytesMoved(rule, workload.elements),
        copyLane: copyName('webgpu'),
        // What the layout's alignment costs, and the flat gradient buffer where it is not the gradients' own place.
        extraBytes: () =>
          flat.buffers.reduce((sum, { size }) => sum + size - 4 * workload.elements, 0) +
          (gathered ? 4 * workload.elements : 0),
        close: () => {
          engine.dispose();
          destroyAll([...flat.buffers, ...(gradients ?? [])]);
        },
      };
    },
  };
}

/** The engine on separate buffers: a dispatch a tensor. */
export function webGpuSeparateLane(
  settings: StepSettings,
  name = `webgpu, a buffer a tensor, ${maskName(settings)}`,
): LaneSource {
  const { rule, workload, keepProbability } = settings;
  return {
    name,
    open: async (): Promise<Lane> => {
      const gpu = await sharedGpu();
      const { device } = gpu;
      const engine = createWebGpuEngine(device);
      const all: GPUBuffer[] = [];
      const create = (size: number): GPUBuffer => {
        const buffer = device.createBuffer({ size: 4 * size, usage: USAGE });
        all.push(buffer);
        return buffer;
      };
      const tensors = workload.sizes.map((size): TensorBuffers<GPUBuffer> => {
        const gradient = create(size);
        device.queue.writeBuffer(gradient, 0, gradientValues(size) as Float32Array<ArrayBuffer>);
        const state = Object.fromEntries(statesOf(rule).map((slot) => [slot, create(size)]));
        return { parameter: create(size), gradient, state };
      });
      const plan = planner(rule, workload, keepProbability);
      const burst = burstOf(gpu);
      return {
        name,
        steps: burst,
        sample: drained(device, burst, () => engine.step(plan(), tensors)),
        bytesMoved: bytesMoved(rule, workload.elements),
        copyLane: copyName('webgpu'),
        close: () => {
          engine.dispose();
          destroyAll(all);
        },
      };
    },
  };
}

/** `copyBufferToBuffer` of half of a step's bytes. */
export function webGpuCopyLane({ rule, workload }: StepSettings): LaneSource {
  const name = copyName('webgpu');
  return {
    name,
    open: async (): Promise<Lane> => {
      const gpu = await sharedGpu();
      const { device } = gpu;
      const bytes = bytesMoved(rule, workload.elements);
      // In pieces that a buffer may have; the last one is cut at four bytes.
      const piece = Math.min(Math.floor(bytes / 8) * 4, device.limits.maxBufferSize);
      const pieces = Math.ceil(bytes / 2 / piece);
      const from = device.createBuffer({ size: piece, usage: USAGE });
      const to = device.createBuffer({ size: piece, usage: USAGE });
      const burst = burstOf(gpu);
      const copy = (): void => {
        const encoder = device.createCommandEncoder();
        for (let i = 0; i < pieces; i++) encoder.copyBufferToBuffer(from, 0, to, 0, piece);
        device.queue.submit([encoder.finish()]);
      };
      return {
        name,
        steps: burst,
        sample: drained(device, burst, copy),
        bytesMoved: bytes,
        close: () => destroyAll([from, to]),
      };
    },
  };
}
