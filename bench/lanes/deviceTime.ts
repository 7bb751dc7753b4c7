/**
 * The device's own clock: many dispatches between two timestamps (Dawn rounds a timestamp to 100 microseconds), so that neither
 * the host nor the queue's round trip counts.
 */
import { createWebGpuEngine } from 'learning-rate-dropout/gpu';
import type { WebGpuInUse } from 'learning-rate-dropout';
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import type { StepSettings } from './engines.ts';
import { USAGE, createFlat, destroyAll, maskName, sharedGpu } from './engines.ts';
import { bytesMoved, planner } from './workload.ts';

/** Names of the lanes. */
export const deviceNames = {
  step: (keepProbability: number): string => `webgpu kernel, ${maskName({ keepProbability })}, device's clock`,
  spread: "webgpu kernel, p = 0.5, spread, device's clock",
  bufferCopy: "copyBufferToBuffer, device's clock",
  shaderCopy: "WGSL copy, vec4, device's clock",
} as const;

/** A WGSL copy of sixteen bytes a thread: what a kernel could reach if it computed nothing. */
const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<f32>>;
@compute @workgroup_size(256) fn main(
  @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) local: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + local;
  if (i < arrayLength(&target_)) { target_[i] = source[i]; }
}`;

const QUERY_RESOLVE = 0x200;
const COPY_SRC = 0x04;
const COPY_DST = 0x08;
const MAP_READ = 0x01;

/** Times of the host and of the device for one submission, in milliseconds. */
class DeviceClock {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #target: GPUBuffer;
  hostMs = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 });
    this.#resolved = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
    this.#target = device.createBuffer({ size: 16, usage: MAP_READ | COPY_DST });
  }

  async time(record: (encoder: GPUCommandEncoder) => void): Promise<number> {
    const start = performance.now();
    const encoder = this.#device.createCommandEncoder();
    const stamp = (writes: Omit<GPUComputePassTimestampWrites, 'querySet'>): void =>
      encoder.beginComputePass({ timestampWrites: { querySet: this.#queries, ...writes } }).end();
    stamp({ endOfPassWriteIndex: 0 });
    record(encoder);
    stamp({ beginningOfPassWriteIndex: 1 });
    encoder.resolveQuerySet(this.#queries, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#target, 0, 16);
    this.#device.queue.submit([encoder.finish()]);
    await this.#target.mapAsync(1);
    this.hostMs = performance.now() - start;
    const [begin = 0n, end = 0n] = new BigUint64Array(this.#target.getMappedRange());
    const ms = Number(end - begin) / 1e6;
    this.#target.unmap();
    return ms;
  }

  destroy(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
    this.#target.destroy();
  }
}

async function openClock(): Promise<{ gpu: WebGpuInUse; clock: DeviceClock; repeat: number }> {
  const gpu = await sharedGpu();
  if (!gpu.device.features.has('timestamp-query')) {
    throw new Unavailable('the device has no timestamp-query, so its own clock cannot be read');
  }
  return { gpu, clock: new DeviceClock(gpu.device), repeat: gpu.adapter.software ? 1 : 100 };
}

/** The update kernel on flat buffers, gradients in place; `spread` as in `WebGpuEngineOptions`. */
export function deviceStepLane(
  settings: StepSettings,
  name = deviceNames.step(settings.keepProbability),
  spread = false,
): LaneSource {
  const { rule, workload, keepProbability } = settings;
  return {
    name,
    open: async (): Promise<Lane> => {
      const { gpu, clock, repeat } = await openClock();
      if (spread && gpu.adapter.software) throw new Unavailable('a barrier costs a software adapter 20 times the step');
      const flat = createFlat(gpu.device, settings);
      const engine = createWebGpuEngine(gpu.device, { spread });
      const plan = planner(rule, workload, keepProbability);
      return {
        name,
        steps: repeat,
        sample: async () => {
          const prepared = engine.prepareFlat(plan(), flat);
          const ms = await clock.time((encoder) => {
            const pass = encoder.beginComputePass();
            for (let i = 0; i < repeat; i++) prepared.record(pass);
            pass.end();
          });
          prepared.dispose();
          return ms;
        },
        hostMs: () => clock.hostMs,
        elements: workload.elements,
        bytesMoved: bytesMoved(rule, workload.elements),
        copyLane: deviceNames.bufferCopy,
        close: () => {
          engine.dispose();
          clock.destroy();
          destroyAll(flat.buffers);
        },
      };
    },
  };
}

/** A copy of half of a step's bytes: as many read and written. */
function copyLane(
  { rule, workload }: StepSettings,
  name: string,
  recorder: (device: GPUDevice, from: GPUBuffer, to: GPUBuffer, repeat: number) => (encoder: GPUCommandEncoder) => void,
): LaneSource {
  return {
    name,
    open: async (): Promise<Lane> => {
      const { gpu, clock, repeat } = await openClock();
      const { device } = gpu;
      const size = Math.ceil(bytesMoved(rule, workload.elements) / 2 / 256) * 256;
      if (size > device.limits.maxStorageBufferBindingSize) {
        throw new Unavailable(`a copy of ${size} bytes is above the device's maxStorageBufferBindingSize`);
      }
      const [from, to] = [0, 1].map(() => device.createBuffer({ size, usage: USAGE })) as [GPUBuffer, GPUBuffer];
      const record = recorder(device, from, to, repeat);
      return {
        name,
        steps: repeat,
        sample: () => clock.time(record),
        hostMs: () => clock.hostMs,
        elements: workload.elements,
        bytesMoved: 2 * size,
        close: () => {
          clock.destroy();
          destroyAll([from, to]);
        },
      };
    },
  };
}

/** `copyBufferToBuffer`, many times between two timestamps. */
export const deviceBufferCopyLane = (settings: StepSettings): LaneSource =>
  copyLane(settings, deviceNames.bufferCopy, (_, from, to, repeat) => (encoder) => {
    for (let i = 0; i < repeat; i++) encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
  });

/** A shader that copies sixteen bytes a thread. */
export const deviceShaderCopyLane = (settings: StepSettings): LaneSource =>
  copyLane(settings, deviceNames.shaderCopy, (device, from, to, repeat) => {
    const pipeline = device.createComputePipeline({
      layout: 'auto',
      compute: { module: device.createShaderModule({ code: COPY }) },
    });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [from, to].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const groups = Math.ceil(from.size / 16 / 256);
    const width = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
    return (encoder) => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < repeat; i++) pass.dispatchWorkgroups(width, Math.ceil(groups / width));
      pass.end();
    };
  });

/** A lane that says something of hardware only: on a software adapter the device's clock is the host's. */
export function onHardware(source: LaneSource): LaneSource {
  return {
    name: source.name,
    open: async () => {
      if ((await sharedGpu()).adapter.software) throw new Unavailable('for hardware: the adapter here is software');
      return source.open();
    },
  };
}
