/** The engines behind one face for tests: tensors in, one step, tensors out. */
import { createArrayEngine, createJsEngine, createWasmEngine } from '../checked.ts';
import type { Engine, StepPlan, TensorBuffers } from '../engine.ts';
import { stateSize } from '../engine.ts';
import { createWebGpuEngine } from '../webGpuEngine.ts';
import { flatBufferBytes } from '../webgpu.ts';

/** Parameter, gradient and state of every tensor, on the host. */
export type HostTensors = readonly TensorBuffers<Float32Array>[];

export interface Runner {
  /** Overwrites the gradients. */
  setGradients(gradients: readonly Float32Array[]): void;
  /** Carries out a plan; tensors that it leaves out stand still. */
  step(plan: StepPlan): void;
  /** Everything as it is now: fresh arrays. */
  read(): Promise<HostTensors>;
  /** Gives everything back. */
  dispose(): void;
}

/** An engine under test. `relaxed`: WGSL's accuracy instead of IEEE 754's. */
export interface Subject {
  readonly name: string;
  readonly relaxed: boolean;
  start(initial: HostTensors): Runner;
}

const copyOf = ({ parameter, gradient, state }: TensorBuffers<Float32Array>): TensorBuffers<Float32Array> => ({
  parameter: parameter.slice(),
  gradient: gradient.slice(),
  state: Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.slice()])),
});

const hostSubject = (name: string, createEngine: () => Engine<Float32Array>): Subject => ({
  name,
  relaxed: false,
  start(initial) {
    const tensors = initial.map(copyOf);
    const engine = createEngine();
    return {
      setGradients: (gradients) => gradients.forEach((values, i) => tensors[i]?.gradient.set(values)),
      step: (plan) => engine.step(plan, tensors),
      read: () => Promise.resolve(tensors.map(copyOf)),
      dispose: () => undefined,
    };
  },
});

export const jsSubject = hostSubject('js', createJsEngine);
export const arraySubject = hostSubject('arrays', createArrayEngine);

/** Every tensor at an odd multiple of four bytes, with a guard word behind it: an engine may not need more, nor touch more. */
const GUARD = 12345.678;

/** Lays tensors out in a memory of their own. `engineOf` may spread the work. */
export function wasmSubject(
  name: string,
  shared: boolean,
  engineOf: (memory: WebAssembly.Memory) => { step: ReturnType<typeof createWasmEngine>['step']; dispose?(): void },
): Subject {
  return {
    name,
    relaxed: false,
    start(initial) {
      const lists = initial.map(({ parameter, gradient, state }) => [parameter, gradient, ...Object.values(state)]);
      const words = lists.flat().reduce((sum, { length }) => sum + length + 1, 1);
      const pages = Math.ceil((4 * words) / 65536);
      const memory = new WebAssembly.Memory(
        shared ? { initial: pages, maximum: pages + 1, shared } : { initial: pages },
      );
      let next = 4;
      const place = (values: Float32Array): number => {
        const at = next;
        const view = new Float32Array(memory.buffer, at, values.length + 1);
        view.set(values);
        view[values.length] = GUARD;
        next += 4 * (values.length + 1);
        return at;
      };
      const tensors = initial.map(({ parameter, gradient, state }) => ({
        parameter: place(parameter),
        gradient: place(gradient),
        state: Object.fromEntries(Object.entries(state).map(([slot, values]) => [slot, place(values)])),
      }));
      const sizes = initial.map(({ parameter }) => parameter.length);
      const view = (at: number, size: number): Float32Array => {
        const values = new Float32Array(memory.buffer, at, size + 1);
        if (values[size] !== Math.fround(GUARD)) throw new Error(`the word behind the tensor at ${at} was overwritten`);
        return values.slice(0, size);
      };
      const engine = engineOf(memory);
      return {
        setGradients: (gradients) =>
          gradients.forEach((values, i) =>
            new Float32Array(memory.buffer, tensors[i]?.gradient, values.length).set(values),
          ),
        step: (plan) => engine.step(plan, tensors),
        read: () =>
          Promise.resolve(
            tensors.map(({ parameter, gradient, state }, i) => ({
              parameter: view(parameter, sizes[i] as number),
              gradient: view(gradient, sizes[i] as number),
              state: Object.fromEntries(
                Object.entries(state).map(([slot, at]) => [slot, view(at, stateSize(slot, sizes[i] as number))]),
              ),
            })),
          ),
        dispose: () => engine.dispose?.(),
      };
    },
  };
}

export const wasmPlainSubject = wasmSubject('wasm', false, createWasmEngine);

const STORAGE = 0x80 | 0x08 | 0x04;
const MAP_READ = 0x01 | 0x08;

/** A buffer of exactly the tensor's size, as tfjs makes them. */
function upload(device: GPUDevice, values: Float32Array): GPUBuffer {
  const buffer = device.createBuffer({ size: Math.max(4, values.byteLength), usage: STORAGE });
  device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
  return buffer;
}

/** Reads stretches of buffers in one go: [buffer, byte offset, elements]. */
async function download(
  device: GPUDevice,
  parts: readonly (readonly [GPUBuffer, number, number])[],
): Promise<Float32Array[]> {
  const total = parts.reduce((sum, [, , elements]) => sum + 4 * elements, 0);
  const target = device.createBuffer({ size: Math.max(4, total), usage: MAP_READ });
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const [buffer, offset, elements] of parts) {
    if (elements > 0) encoder.copyBufferToBuffer(buffer, offset, target, at, 4 * elements);
    at += 4 * elements;
  }
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(1);
  const bytes = target.getMappedRange().slice(0);
  target.destroy();
  at = 0;
  return parts.map(([, , elements]) => {
    const values = new Float32Array(bytes, at, elements);
    at += 4 * elements;
    return values;
  });
}

const namesOf = (initial: HostTensors): readonly string[] => Object.keys(initial[0]?.state ?? {});

function unpack(names: readonly string[], lists: readonly Float32Array[], count: number): HostTensors {
  const width = names.length + 2;
  return Array.from({ length: count }, (_, i) => ({
    parameter: lists[i * width] as Float32Array,
    gradient: lists[i * width + 1] as Float32Array,
    state: Object.fromEntries(names.map((name, j) => [name, lists[i * width + 2 + j] as Float32Array])),
  }));
}

export function webGpuSubject(device: GPUDevice): Subject {
  return {
    name: 'webgpu',
    relaxed: true,
    start(initial) {
      const engine = createWebGpuEngine(device);
      const names = namesOf(initial);
      const tensors = initial.map(({ parameter, gradient, state }) => ({
        parameter: upload(device, parameter),
        gradient: upload(device, gradient),
        state: Object.fromEntries(names.map((name) => [name, upload(device, state[name] as Float32Array)])),
      }));
      const buffers = tensors.flatMap(({ parameter, gradient, state }, i) => {
        const size = initial[i]?.parameter.length ?? 0;
        return [
          [parameter, 0, size] as const,
          [gradient, 0, size] as const,
          ...names.map((name) => [state[name] as GPUBuffer, 0, stateSize(name, size)] as const),
        ];
      });
      return {
        setGradients: (gradients) =>
          gradients.forEach((values, i) =>
            device.queue.writeBuffer(tensors[i]?.gradient as GPUBuffer, 0, values as Float32Array<ArrayBuffer>),
          ),
        step: (plan) => engine.step(plan, tensors),
        read: async () => unpack(names, await download(device, buffers), initial.length),
        dispose: () => {
          engine.dispose();
          for (const [buffer] of buffers) buffer.destroy();
        },
      };
    },
  };
}

/** Flat buffers; the gradients arrive in buffers of their own and are gathered by the engine. */
export function webGpuFlatSubject(
  device: GPUDevice,
  layOut: (sizes: readonly number[]) => number[],
  spread = false,
): Subject {
  return {
    name: spread ? 'webgpu, flat, spread' : 'webgpu, flat',
    relaxed: true,
    start(initial) {
      const engine = createWebGpuEngine(device, { spread });
      const names = namesOf(initial);
      const bases = layOut(initial.map(({ parameter }) => parameter.length));
      const end = initial.reduce(
        (most, { parameter }, i) => Math.max(most, (bases[i] as number) + parameter.length),
        0,
      );
      /** Where tensor i's part of a flat buffer starts: one number a tensor lies 64 elements apart. */
      const placeOf = (name: string, i: number): number => (name === 'alignment' ? 64 * i : (bases[i] as number));
      const create = (pick: (tensor: TensorBuffers<Float32Array>) => Float32Array, name = ''): GPUBuffer => {
        const buffer = device.createBuffer({
          size: flatBufferBytes(device, name === 'alignment' ? 64 * initial.length : end),
          usage: STORAGE,
        });
        initial.forEach((tensor, i) =>
          device.queue.writeBuffer(buffer, 4 * placeOf(name, i), pick(tensor) as Float32Array<ArrayBuffer>),
        );
        return buffer;
      };
      const flat = {
        parameter: create(({ parameter }) => parameter),
        gradient: create(({ gradient }) => gradient),
        state: Object.fromEntries(
          names.map((name) => [name, create(({ state }) => state[name] as Float32Array, name)]),
        ),
      };
      const separate = initial.map(({ gradient }) => upload(device, gradient));
      const parts = initial.flatMap(({ parameter: { length } }, i) => [
        [flat.parameter, 4 * (bases[i] as number), length] as const,
        [separate[i] as GPUBuffer, 0, length] as const,
        ...names.map((name) => [flat.state[name] as GPUBuffer, 4 * placeOf(name, i), stateSize(name, length)] as const),
      ]);
      return {
        setGradients: (gradients) =>
          gradients.forEach((values, i) =>
            device.queue.writeBuffer(separate[i] as GPUBuffer, 0, values as Float32Array<ArrayBuffer>),
          ),
        step: (plan) => engine.stepFlat(plan, flat, separate),
        read: async () => unpack(names, await download(device, parts), initial.length),
        dispose: () => {
          engine.dispose();
          for (const buffer of [...separate, flat.parameter, flat.gradient, ...Object.values(flat.state)])
            buffer.destroy();
        },
      };
    },
  };
}
