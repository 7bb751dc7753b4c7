/**
 * The engines' step against tfjs's own optimizers and PyTorch, and the price of the mask. Both sides take turns within one run;
 * ratios are taken turn by turn.
 *
 *     node --import tsx bench/engines.bench.ts [--only wasm,torch,mask,pool,webgpu,gpu] [--rounds N] [--json FILE]
 *
 * `torch` needs `python3` with torch (Debian: python3-torch, libopenblas0-pthread); `LRD_PYTHON` names another interpreter.
 * `webgpu` and `gpu` run on whatever adapter there is; `gpu` compares the kernel with the device's own copies, which says
 * something about a hardware adapter only.
 */
import * as tf from '@tensorflow/tfjs';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { FlatBuffers, StepPlan, TensorBuffers } from '../impl-gpu/index.ts';
import {
  createWasmEngine,
  createWasmPool,
  createWebGpuEngine,
  flatBufferBytes,
  openGpu,
  planStep,
} from '../impl-gpu/index.ts';
import { layOut } from '../impl-gpu/random.ts';
import type { RuleName } from '../spec/rules.ts';
import { median, spread } from './harness/statistics.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'wasm,torch,mask,pool,webgpu' },
    rounds: { type: 'string', default: '9' },
    json: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const wanted = new Set(values.only.split(','));

/** The parameters of ResNet-34 for CIFAR: 21,282,122 in 110 tensors. */
function resnet34Shapes(): readonly (readonly number[])[] {
  const shapes: number[][] = [[3, 3, 3, 64], [64], [64]];
  let channels = 64;
  for (const [width, blocks] of [
    [64, 3],
    [128, 4],
    [256, 6],
    [512, 3],
  ] as const) {
    for (let block = 0; block < blocks; block++) {
      shapes.push([3, 3, channels, width], [width], [width], [3, 3, width, width], [width], [width]);
      if (block === 0 && width !== 64) shapes.push([1, 1, channels, width], [width], [width]);
      channels = width;
    }
  }
  return [...shapes, [512, 10], [10]];
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);
const RESNET = resnet34Shapes();
const RESNET_SIZES = RESNET.map(sizeOf);
const RESNET_SIZE = RESNET_SIZES.reduce((sum, n) => sum + n, 0);
const FOUR_MILLION = 2048 * 2048;

const hyper = {};
function planOf(rule: RuleName, sizes: readonly number[], step: number, keepProbability: number): StepPlan {
  const bases = layOut(sizes);
  const tensors = sizes.map((size, k) => ({ base: bases[k] as number, size, count: step, hyper, keepProbability }));
  return planStep({ rule, key: [1, 2], step, tensors });
}

/** A number between -1/2 and 1/2 from an index. */
const noise = (i: number): number => (Math.imul(i + 1, 0x9e3779b1) >>> 8) / 2 ** 24 - 0.5;

interface WasmModel {
  readonly memory: WebAssembly.Memory;
  readonly tensors: readonly TensorBuffers<number>[];
}

function wasmModel(sizes: readonly number[], shared = false): WasmModel {
  const words = sizes.reduce((sum, n) => sum + 4 * n, 0);
  const pages = Math.ceil((4 * words) / 65536) + 1;
  const memory = new WebAssembly.Memory(shared ? { initial: pages, maximum: pages, shared } : { initial: pages });
  let next = 0;
  const place = (size: number, fill: boolean): number => {
    const at = next;
    if (fill) new Float32Array(memory.buffer, at, size).forEach((_, i, array) => (array[i] = noise(i)));
    next += 4 * size;
    return at;
  };
  const tensors = sizes.map((n) => ({
    parameter: place(n, true),
    gradient: place(n, true),
    state: { m: place(n, false), v: place(n, false) },
  }));
  return { memory, tensors };
}

/** Runs the sides in turn, each `rounds` times after a warm-up, and returns their milliseconds. */
async function takeTurns(
  sides: Readonly<Record<string, (step: number) => void | Promise<void>>>,
  turns = rounds,
  warmUp = 2,
): Promise<Record<string, number[]>> {
  const times = Object.fromEntries(Object.keys(sides).map((name): [string, number[]] => [name, []]));
  let step = 0;
  for (let round = -warmUp; round < turns; round++) {
    for (const [name, run] of Object.entries(sides)) {
      const start = performance.now();
      await run(++step);
      if (round >= 0) times[name]?.push(performance.now() - start);
    }
  }
  return times;
}

interface Row {
  readonly what: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly target: string;
  readonly detail: string;
}
const rows: Row[] = [];

function report(what: string, list: readonly number[], target: string, detail: string): void {
  const { median: value, low, high } = spread(list);
  rows.push({ what, value, low, high, target, detail });
  console.log(`${what}: ${value.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}), to reach ${target}; ${detail}`);
}

const perElement = (milliseconds: readonly number[], elements: number): string =>
  `${((median(milliseconds) * 1e6) / elements).toFixed(2)} ns`;

/** Sides `a` over `b`, turn by turn. */
function reportRatio(
  what: string,
  times: Readonly<Record<string, number[]>>,
  [a, b]: readonly [string, string],
  elements: number,
  target: string,
): void {
  const [mine = [], other = []] = [times[a], times[b]];
  const ratios = mine.map((time, i) => time / (other[i] as number));
  report(what, ratios, target, `${a} ${perElement(mine, elements)} a parameter, ${b} ${perElement(other, elements)}`);
}

/** tfjs's Adam over variables of these shapes, in the backend that is set. */
function tfjsAdam(shapes: readonly (readonly number[])[]): { step(): void; dispose(): void } {
  const variables = shapes.map((shape) => tf.tidy(() => tf.variable(tf.randomUniform([...shape], -0.5, 0.5))));
  const gradients = shapes.map((shape) => tf.randomUniform([...shape], -0.5, 0.5));
  const named = variables.map(({ name }, i) => ({ name, tensor: gradients[i] as tf.Tensor }));
  const optimizer = tf.train.adam(1e-3);
  return {
    step: () => optimizer.applyGradients(named),
    dispose: () => {
      optimizer.dispose();
      tf.dispose([...variables, ...gradients]);
    },
  };
}

async function benchWasm(): Promise<void> {
  const require = createRequire(import.meta.url);
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  await tf.setBackend('wasm');
  if (tf.getBackend() !== 'wasm') throw new Error('tfjs-wasm did not start');
  const peer = tfjsAdam(RESNET);
  const { memory, tensors } = wasmModel(RESNET_SIZES);
  const engine = createWasmEngine(memory);
  const times = await takeTurns({
    'LRD-Adam': (step) => engine.step(planOf('adam', RESNET_SIZES, step, 0.5), tensors),
    'tfjs-wasm adam': () => peer.step(),
  });
  peer.dispose();
  const what = 'wasm, LRD-Adam over tfjs-wasm adam, 21.3 M in 110 tensors';
  reportRatio(what, times, ['LRD-Adam', 'tfjs-wasm adam'], RESNET_SIZE, '0.22');
}

async function benchTorch(): Promise<void> {
  const child = spawn(process.env['LRD_PYTHON'] ?? '/usr/bin/python3', [
    fileURLToPath(new URL('./peers/torch_adam.py', import.meta.url)),
    String(FOUR_MILLION),
  ]);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<string> => {
    const { value, done } = (await lines.next()) as IteratorResult<string, undefined>;
    if (done === true) throw new Error('PyTorch did not answer: is python3-torch installed?');
    return value;
  };
  const version = await answer();
  const { memory, tensors } = wasmModel([FOUR_MILLION]);
  const engine = createWasmEngine(memory);
  const torch: number[] = [];
  const times = await takeTurns({
    'LRD-Adam': (step) => engine.step(planOf('adam', [FOUR_MILLION], step, 0.5), tensors),
    torch: async () => {
      child.stdin.write('step\n');
      torch.push(Number(await answer()));
    },
  });
  child.stdin.end();
  // The peer's own clock, without the pipe.
  times['torch.optim.Adam'] = torch.slice(-rounds);
  const what = `wasm, LRD-Adam over torch.optim.Adam (${version}, 1 thread), 4.2 M`;
  reportRatio(what, times, ['LRD-Adam', 'torch.optim.Adam'], FOUR_MILLION, '0.75');
}

async function benchMask(): Promise<void> {
  const { memory, tensors } = wasmModel([FOUR_MILLION]);
  const engine = createWasmEngine(memory);
  const side = (keep: number) => (step: number) => engine.step(planOf('adam', [FOUR_MILLION], step, keep), tensors);
  const { masked = [], plain = [] } = await takeTurns({ masked: side(0.5), plain: side(1) });
  const cost = masked.map((time, i) => ((time - (plain[i] as number)) * 1e6) / FOUR_MILLION);
  const detail = `p = .5 ${perElement(masked, FOUR_MILLION)}, p = 1 ${perElement(plain, FOUR_MILLION)}`;
  report('wasm, cost of the mask, ns an element (Adam, 4.2 M)', cost, '1.2', detail);
}

async function benchPool(): Promise<void> {
  const threads = Math.max(2, Math.min(4, availableParallelism()));
  const { memory, tensors } = wasmModel(RESNET_SIZES, true);
  const one = createWasmEngine(memory);
  const pool = await createWasmPool(memory, threads);
  const times = await takeTurns({
    pool: (step) => pool.step(planOf('adam', RESNET_SIZES, step, 0.5), tensors),
    'one thread': (step) => one.step(planOf('adam', RESNET_SIZES, step, 0.5), tensors),
  });
  await pool.dispose();
  const what = `wasm, LRD-Adam on ${threads} threads over one, 21.3 M in 110 tensors`;
  reportRatio(what, times, ['pool', 'one thread'], RESNET_SIZE, '(below 1)');
}

const STORAGE = 0x80 | 0x08 | 0x04;

function flatModel(device: GPUDevice, sizes: readonly number[]): FlatBuffers {
  const bases = layOut(sizes);
  const end = sizes.reduce((most, size, k) => Math.max(most, (bases[k] ?? 0) + size), 0);
  const host = Float32Array.from({ length: flatBufferBytes(device, end) / 4 }, (_, i) => noise(i));
  const create = (fill: boolean): GPUBuffer => {
    const buffer = device.createBuffer({ size: host.byteLength, usage: STORAGE });
    if (fill) device.queue.writeBuffer(buffer, 0, host);
    return buffer;
  };
  return { parameter: create(true), gradient: create(true), state: { m: create(false), v: create(false) } };
}

async function benchWebGpu(): Promise<void> {
  const gpu = await openGpu();
  const { device } = gpu;
  // tfjs looks for this before it believes in a device that it is given.
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: {} }, configurable: true });
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const backend = new WebGPUBackend(device, gpu.adapter.info);
  tf.registerBackend('webgpu-bench', () => backend);
  // Kernels are registered for the backend's usual name.
  tf.copyRegisteredKernels('webgpu', 'webgpu-bench');
  await tf.setBackend('webgpu-bench');
  const drain = async (): Promise<void> => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
    await device.queue.onSubmittedWorkDone();
  };
  const peer = tfjsAdam(RESNET);
  const flat = flatModel(device, RESNET_SIZES);
  // As they come from tfjs: a buffer a tensor.
  const gradients = RESNET_SIZES.map((size) => device.createBuffer({ size: 4 * size, usage: STORAGE }));
  const engine = createWebGpuEngine(device);
  await drain();
  const turns = Math.min(rounds, 3);
  const times = await takeTurns(
    {
      'LRD-Adam': async (step) => {
        engine.stepFlat(planOf('adam', RESNET_SIZES, step, 0.5), flat, gradients);
        await device.queue.onSubmittedWorkDone();
      },
      'tfjs-webgpu adam': async () => {
        peer.step();
        await drain();
      },
    },
    turns,
    1,
  );
  const what = `webgpu (${gpu.description.description}), LRD-Adam over tfjs-webgpu adam, 21.3 M in 110 tensors, gradients gathered`;
  reportRatio(what, times, ['LRD-Adam', 'tfjs-webgpu adam'], RESNET_SIZE, '0.22');
  peer.dispose();
  tf.removeBackend('webgpu-bench');
  device.destroy();
}

/** A WGSL copy, sixteen bytes a thread: what the kernel could reach if it computed nothing. */
const COPY = `
@group(0) @binding(0) var<storage, read> from_: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> to_: array<vec4<f32>>;
@compute @workgroup_size(256) fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + local;
  if (i < arrayLength(&to_)) { to_[i] = from_[i]; }
}`;

/** Device milliseconds of `repeat` recordings between two timestamps, divided by `repeat`. */
async function deviceTime(
  device: GPUDevice,
  repeat: number,
  recordAll: (encoder: GPUCommandEncoder, writes: GPUComputePassTimestampWrites) => void,
): Promise<number> {
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = device.createBuffer({ size: 16, usage: 0x200 | 0x04 });
  const target = device.createBuffer({ size: 16, usage: 0x09 });
  const encoder = device.createCommandEncoder();
  recordAll(encoder, { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 });
  encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, target, 0, 16);
  device.queue.submit([encoder.finish()]);
  await target.mapAsync(1);
  const [begin = 0n, end = 0n] = new BigUint64Array(target.getMappedRange());
  const result = Number(end - begin) / 1e6 / repeat;
  target.destroy();
  resolved.destroy();
  querySet.destroy();
  return result;
}

async function benchGpu(): Promise<void> {
  const { device, description } = await openGpu();
  if (!device.features.has('timestamp-query')) throw new Error('the device must have timestamp-query');
  const repeat = description.software ? 2 : 100;
  const flat = flatModel(device, RESNET_SIZES);
  const engine = createWebGpuEngine(device);
  const kernel = (keep: number): Promise<number> => {
    const prepared = engine.prepareFlat(planOf('adam', RESNET_SIZES, 10, keep), flat);
    return deviceTime(device, repeat, (encoder, timestampWrites) => {
      const pass = encoder.beginComputePass({ timestampWrites });
      for (let i = 0; i < repeat; i++) prepared.record(pass);
      pass.end();
    }).finally(() => prepared.dispose());
  };
  // 28 bytes a parameter: 4 read and 4 written three times, and the gradient read. A copy moves 14 and 14.
  const copyBytes = Math.ceil((14 * RESNET_SIZE) / 256) * 256;
  const [source, target] = [0, 1].map(() => device.createBuffer({ size: copyBytes, usage: STORAGE })) as [
    GPUBuffer,
    GPUBuffer,
  ];
  const pipeline = device.createComputePipeline({
    layout: 'auto',
    compute: { module: device.createShaderModule({ code: COPY }) },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [source, target].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const shaderCopy = (): Promise<number> =>
    deviceTime(device, repeat, (encoder, timestampWrites) => {
      const pass = encoder.beginComputePass({ timestampWrites });
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      const groups = Math.ceil(copyBytes / 16 / 256);
      const width = Math.min(groups, 32768);
      for (let i = 0; i < repeat; i++) pass.dispatchWorkgroups(width, Math.ceil(groups / width));
      pass.end();
    });
  const bufferCopy = (): Promise<number> =>
    deviceTime(device, repeat, (encoder, { querySet }) => {
      encoder.beginComputePass({ timestampWrites: { querySet, endOfPassWriteIndex: 0 } }).end();
      for (let i = 0; i < repeat; i++) encoder.copyBufferToBuffer(source, 0, target, 0, copyBytes);
      encoder.beginComputePass({ timestampWrites: { querySet, beginningOfPassWriteIndex: 1 } }).end();
    });
  const shares: number[] = [];
  const masks: number[] = [];
  let detail = '';
  for (let round = -1; round < (description.software ? 1 : rounds); round++) {
    const [lrd, base, buffer, shader] = [await kernel(0.5), await kernel(1), await bufferCopy(), await shaderCopy()];
    if (round < 0) continue;
    shares.push(Math.min(buffer, shader) / lrd);
    masks.push(lrd / base);
    detail = `last turn: LRD ${lrd.toFixed(3)} ms, p = 1 ${base.toFixed(3)} ms, buffer copy ${buffer.toFixed(3)} ms, WGSL copy ${shader.toFixed(3)} ms`;
  }
  const name = `gpu (${description.description})`;
  report(`${name}, LRD-Adam's share of the best copy's bandwidth, 21.3 M`, shares, 'at least 0.8 on hardware', detail);
  report(`${name}, LRD-Adam over the same kernel with p = 1`, masks, '1.05 on hardware', detail);
  engine.dispose();
  device.destroy();
}

const benches = {
  wasm: benchWasm,
  torch: benchTorch,
  mask: benchMask,
  pool: benchPool,
  webgpu: benchWebGpu,
  gpu: benchGpu,
};
for (const [name, run] of Object.entries(benches)) if (wanted.has(name)) await run();
if ((loadavg()[0] as number) > availableParallelism())
  console.log(`the machine is busy (load ${loadavg()[0]?.toFixed(1)})`);
if (values.json !== undefined) {
  const environment = {
    node: process.version,
    cpu: cpus()[0]?.model,
    threads: availableParallelism(),
    load: loadavg(),
  };
  const command = `node --import tsx bench/engines.bench.ts --only ${values.only} --rounds ${rounds}`;
  writeFileSync(values.json, `${JSON.stringify({ command, environment, rows }, null, 2)}\n`);
}
