/** The fused engines as implementations to be judged: buffers in, buffers out, nothing of TensorFlow.js. */
import {
  createJsEngine,
  createWasmEngine,
  createWebGpuEngine,
  openGpu,
  planStep,
  resolveMask,
} from 'learning-rate-dropout/gpu';
import type { Engine, StepRequest, TensorBuffers } from 'learning-rate-dropout/gpu';
import { keyOf, layOut, parseSeed } from 'learning-rate-dropout/stream';
import { MASK_STATE, RULES } from 'learning-rate-dropout/spec';
import type { RuleName } from 'learning-rate-dropout/spec';
import { expandCase, sizeFault, stateNames } from '../protocol/expand.ts';
import { ALL_KINDS, drawnFault } from '../protocol/kinds.ts';
import type { Adapter, Case, Implementation, Outcome, StepRecord } from '../protocol/types.ts';
import { outcomeOf, select } from './outcome.ts';

/** An engine and the memory that it works on. */
export interface Store<Buffer> {
  /** @param masks - given ones by tensor, 1 where kept; null: the stream's */
  step(
    request: StepRequest,
    tensors: readonly TensorBuffers<Buffer>[],
    masks: readonly (Uint8Array | null)[] | undefined,
  ): void;
  place(values: Float32Array): Buffer;
  write(buffer: Buffer, values: Float32Array): void;
  read(buffers: readonly (readonly [Buffer, number])[]): Promise<Float32Array[]>;
  /** Forgets every buffer. */
  clear(): void;
  close(): void;
}

/** The step of an engine that draws its own masks. */
const planned =
  <Buffer>(engine: Engine<Buffer>): Store<Buffer>['step'] =>
  (request, tensors) =>
    engine.step(planStep(request), tensors);

function jsStore(): Store<Float32Array> {
  return {
    step: planned(createJsEngine()),
    place: (values) => values.slice(),
    write: (buffer, values) => buffer.set(values),
    read: (buffers) => Promise.resolve(buffers.map(([buffer]) => buffer.slice())),
    clear: () => undefined,
    close: () => undefined,
  };
}

const PAGE = 65536;

function wasmStore(): Store<number> {
  const memory = new WebAssembly.Memory({ initial: 16 });
  const start = 4;
  let next = start;
  const view = (at: number, length: number): Float32Array => new Float32Array(memory.buffer, at, length);
  return {
    step: planned(createWasmEngine(memory)),
    place: (values) => {
      const at = next;
      // One word between tensors, so that they do not all start on a SIMD boundary.
      next += 4 * (values.length + 1);
      if (next > memory.buffer.byteLength) memory.grow(Math.ceil((next - memory.buffer.byteLength) / PAGE));
      view(at, values.length).set(values);
      return at;
    },
    write: (at, values) => view(at, values.length).set(values),
    read: (buffers) => Promise.resolve(buffers.map(([at, length]) => view(at, length).slice())),
    clear: () => {
      next = start;
    },
    close: () => undefined,
  };
}

/** Flags of `GPUBufferUsage` and `GPUMapMode`, which Node has no globals for. */
const STORAGE = 0x80 | 0x08 | 0x04;
const READ_BACK = 0x01 | 0x08;
const MAP_READ = 1;

/** The contents of several buffers, each with its number of elements, in one round trip. */
export async function readBuffers(
  device: GPUDevice,
  parts: readonly (readonly [GPUBuffer, number])[],
): Promise<Float32Array[]> {
  const total = parts.reduce((sum, [, length]) => sum + 4 * length, 0);
  const target = device.createBuffer({ size: Math.max(4, total), usage: READ_BACK });
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const [buffer, length] of parts) {
    if (length > 0) encoder.copyBufferToBuffer(buffer, 0, target, at, 4 * length);
    at += 4 * length;
  }
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(MAP_READ);
  const bytes = target.getMappedRange().slice(0);
  target.destroy();
  at = 0;
  return parts.map(([, length]) => {
    const values = new Float32Array(bytes, at, length);
    at += 4 * length;
    return values;
  });
}

async function webGpuStore(): Promise<Store<GPUBuffer>> {
  const { device } = await openGpu();
  const engine = createWebGpuEngine(device);
  let buffers: GPUBuffer[] = [];
  const write = (buffer: GPUBuffer, values: Float32Array): void => {
    if (values.length > 0) device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
  };
  return {
    step: planned(engine),
    place: (values) => {
      const buffer = device.createBuffer({ size: Math.max(4, values.byteLength), usage: STORAGE });
      buffers.push(buffer);
      write(buffer, values);
      return buffer;
    },
    write,
    read: (parts) => readBuffers(device, parts),
    clear: () => {
      for (const buffer of buffers) buffer.destroy();
      buffers = [];
    },
    close: () => {
      engine.dispose();
      device.destroy();
    },
  };
}

async function runCase<Buffer>(store: Store<Buffer>, example: Case, fallbackSeed: string): Promise<StepRecord[]> {
  const rule = example.rule as RuleName;
  const { tensors, steps } = expandCase(example);
  const key = keyOf(parseSeed(example.seed ?? fallbackSeed));
  const bases = layOut(tensors.map(({ size }) => size));
  const hyper = steps[0]?.tensors[0]?.hyper ?? {};
  const mask = example.mask === undefined ? undefined : resolveMask(example.mask);
  const names = [...stateNames(rule, hyper), ...(mask?.stateNames(rule, hyper) ?? [])];
  const sizeOfState = (name: string, size: number): number =>
    name === 'ring' ? Number(hyper['window']) * size : name === MASK_STATE.alignment ? 1 : size;
  const counts = tensors.map(() => (example.state === undefined ? 0 : (example.firstStep ?? 1) - 1));
  const place = (values: readonly number[]): Buffer => store.place(Float32Array.from(values));
  const buffers = tensors.map(({ values, size }, k) => ({
    parameter: place(values),
    gradient: place(new Array<number>(size).fill(0)),
    state: Object.fromEntries(
      names.map((name) => [
        name,
        place(example.state?.[name]?.[k] ?? new Array<number>(sizeOfState(name, size)).fill(0)),
      ]),
    ),
  }));
  const records: StepRecord[] = [];
  for (const { step, tensors: now } of steps) {
    const request: StepRequest = {
      rule,
      key,
      step,
      tensors: now.map(({ gradient, hyper, keepProbability, plain }, k) => {
        if (gradient !== null) store.write(buffers[k]?.gradient as Buffer, Float32Array.from(gradient));
        return {
          base: bases[k] as number,
          size: tensors[k]?.size as number,
          count: gradient === null ? 0 : (counts[k] = (counts[k] as number) + 1),
          hyper,
          keepProbability,
          ...(plain ? {} : { mask }),
        };
      }),
    };
    const given = now.map(({ mask }) =>
      mask === undefined ? null : Uint8Array.from(mask, (bit) => (bit === '1' ? 1 : 0)),
    );
    store.step(request, buffers, Array.isArray(example.masks) ? given : undefined);
    const lists = await store.read(
      buffers.flatMap(({ parameter, state }, k) =>
        ['parameter', ...names].map((name) => {
          const size = tensors[k]?.size as number;
          return name === 'parameter'
            ? ([parameter, size] as const)
            : ([state[name] as Buffer, sizeOfState(name, size)] as const);
        }),
      ),
    );
    const width = names.length + 1;
    const pick = (offset: number): number[][] => tensors.map((_, k) => Array.from(lists[k * width + offset] ?? []));
    const record: StepRecord = {
      parameters: pick(0),
      // The mask is made inside the step and never stored: there is nothing to report.
      masks: tensors.map(() => null),
      state: Object.fromEntries(names.map((name, j) => [name, pick(j + 1)])),
    };
    records.push(select(record, example.report));
  }
  return records;
}

/** What an engine says of itself: all rules but `sgdm-avg`, all kinds of mask, its own masks, and IEEE arithmetic, unless it says otherwise. */
type Description = Pick<Implementation, 'name' | 'language'> & Partial<Implementation>;

export function adapterOf<Buffer>(description: Description, store: Store<Buffer>): Adapter {
  let cases = 0;
  const { features = [], masks = ['stream'], ...rest } = description;
  return {
    implementation: {
      precision: 'float32',
      rules: Object.keys(RULES).filter((rule) => rule !== 'sgdm-avg'),
      kinds: ALL_KINDS,
      ...rest,
      masks,
      features: ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient', ...features],
    },
    run: async (example): Promise<Outcome> => {
      cases += 1;
      if (Array.isArray(example.masks) && !masks.includes('given')) {
        return { kind: 'skipped', reason: 'a fused step makes its own mask' };
      }
      const fault = sizeFault(example) ?? drawnFault(example);
      if (fault !== undefined) return { kind: 'errored', code: 'invalid-argument', message: fault };
      const outcome = await outcomeOf(() => runCase(store, example, `0x${cases.toString(16)}`));
      store.clear();
      return outcome;
    },
    close: () => {
      store.close();
      return Promise.resolve();
    },
  };
}

export type EngineName = 'js' | 'wasm' | 'webgpu';

/** @throws UnsupportedError when the machine has no WebGPU adapter */
export async function openEngine(name: EngineName): Promise<Adapter> {
  switch (name) {
    case 'js':
      return adapterOf({ name: 'js', language: 'javascript' }, jsStore());
    case 'wasm':
      return adapterOf({ name: 'wasm', language: 'webassembly' }, wasmStore());
    case 'webgpu':
      return adapterOf({ name: 'webgpu', language: 'wgsl', features: ['relaxed-float32'] }, await webGpuStore());
  }
}
