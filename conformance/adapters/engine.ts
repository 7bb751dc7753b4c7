/** The fused engines as implementations to be judged: buffers in, buffers out, nothing of TensorFlow.js. */
import { createJsEngine, createWasmEngine, createWebGpuEngine, openGpu, planStep } from '../../impl-gpu/index.ts';
import type { Engine } from '../../impl-gpu/index.ts';
import { keyOf, layOut, parseSeed } from '../../impl-gpu/random.ts';
import { RULES } from '../../spec/rules.ts';
import type { RuleName } from '../../spec/rules.ts';
import { expandCase, sizeFault, stateNames } from '../protocol/expand.ts';
import type { Adapter, Case, Feature, Outcome, StepRecord } from '../protocol/types.ts';
import { outcomeOf, select } from './outcome.ts';

/** Memory that an engine works on. */
interface Store<Buffer> {
  readonly engine: Engine<Buffer>;
  place(values: Float32Array): Buffer;
  write(buffer: Buffer, values: Float32Array): void;
  read(buffers: readonly (readonly [Buffer, number])[]): Promise<Float32Array[]>;
  /** Forgets every buffer. */
  clear(): void;
  close(): void;
}

function jsStore(): Store<Float32Array> {
  return {
    engine: createJsEngine(),
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
    engine: createWasmEngine(memory),
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

async function webGpuStore(): Promise<Store<GPUBuffer>> {
  const { device } = await openGpu();
  const engine = createWebGpuEngine(device);
  let buffers: GPUBuffer[] = [];
  const write = (buffer: GPUBuffer, values: Float32Array): void => {
    if (values.length > 0) device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
  };
  return {
    engine,
    place: (values) => {
      const buffer = device.createBuffer({ size: Math.max(4, values.byteLength), usage: STORAGE });
      buffers.push(buffer);
      write(buffer, values);
      return buffer;
    },
    write,
    read: async (parts) => {
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
    },
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
  const names = stateNames(rule, steps[0]?.tensors[0]?.hyper ?? {});
  const counts = tensors.map(() => (example.state === undefined ? 0 : (example.firstStep ?? 1) - 1));
  const place = (values: readonly number[]): Buffer => store.place(Float32Array.from(values));
  const buffers = tensors.map(({ values, size }, k) => ({
    parameter: place(values),
    gradient: place(new Array<number>(size).fill(0)),
    state: Object.fromEntries(
      names.map((name) => [name, place(example.state?.[name]?.[k] ?? new Array<number>(size).fill(0))]),
    ),
  }));
  const records: StepRecord[] = [];
  for (const { step, tensors: now } of steps) {
    const plan = planStep({
      rule,
      key,
      step,
      tensors: now.map(({ gradient, hyper, keepProbability }, k) => {
        if (gradient !== null) store.write(buffers[k]?.gradient as Buffer, Float32Array.from(gradient));
        return {
          base: bases[k] as number,
          size: tensors[k]?.size as number,
          count: gradient === null ? 0 : (counts[k] = (counts[k] as number) + 1),
          hyper,
          keepProbability,
        };
      }),
    });
    store.engine.step(plan, buffers);
    const lists = await store.read(
      buffers.flatMap(({ parameter, state }, k) =>
        [parameter, ...names.map((name) => state[name] as Buffer)].map(
          (buffer) => [buffer, tensors[k]?.size as number] as const,
        ),
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

function adapterOf<Buffer>(
  name: string,
  language: string,
  store: Store<Buffer>,
  features: readonly Feature[],
): Adapter {
  let cases = 0;
  return {
    implementation: {
      name,
      language,
      precision: 'float32',
      rules: Object.keys(RULES).filter((rule) => rule !== 'sgdm-avg'),
      masks: ['stream'],
      features: ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient', ...features],
    },
    run: async (example): Promise<Outcome> => {
      cases += 1;
      if (Array.isArray(example.masks)) return { kind: 'skipped', reason: 'a fused step makes its own mask' };
      const fault = sizeFault(example);
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
      return adapterOf('js', 'javascript', jsStore(), []);
    case 'wasm':
      return adapterOf('wasm', 'webassembly', wasmStore(), []);
    case 'webgpu':
      return adapterOf('webgpu', 'wgsl', await webGpuStore(), ['relaxed-float32']);
  }
}
