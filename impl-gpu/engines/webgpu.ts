/**
 * The fused step on WebGPU, in place: a dispatch a tensor, or one dispatch for all parameters laid out in flat buffers. Commands go to the
 * device's own queue, so they run after everything submitted before.
 */
import { LAYOUT } from '../../spec/stream.ts';
import { UnsupportedError } from '../validate.ts';
import type {
  Command,
  Dispatch,
  Kernel,
  Measuring,
  Pipeline,
  Placed,
  StepPlan,
  TensorBuffers,
  TensorPlan,
  WgslMeasurer,
} from './engine.ts';
import { kernelName, kernelState, modeOf } from './engine.ts';
import { QUADS, UNIFORM_BYTES, WORKGROUP, stepShader, writeUniform } from './wgsl.ts';

/**
 * All tensors of a model in one buffer each: element i of tensor k at index base_k + i, so every tensor starts on a multiple
 * of 64 elements (256 bytes). What lies between tensors is written too and means nothing. The state `alignment` has one number a tensor:
 * that of tensor k at index 64 k.
 */
export type FlatBuffers = TensorBuffers<GPUBuffer>;

/** A step whose commands are ready, from `prepareFlat`. */
export interface PreparedStep {
  /** Records the step into a pass of the caller's. */
  record(pass: GPUComputePassEncoder): void;
  /** To be called once everything recorded has been submitted. */
  dispose(): void;
}

/** The device went away: its reason and message, and what to do. */
export class DeviceLostError extends Error {
  /** `DeviceLostError`. */
  override readonly name = 'DeviceLostError';
  /** The protocol's word for it: `internal`. */
  readonly code = 'internal';
}

/** Flags of `GPUBufferUsage`, which Node has no global for. */
export const STORAGE = 0x80;
export const UNIFORM = 0x40;
export const COPY_DST = 0x08;
export const COPY_SRC = 0x04;
const COMPUTE_STAGE = 0x04;

/** Elements from one tensor's alignment to the next in a flat buffer: 256 bytes, any device's alignment of a binding. */
export const ALIGNMENT_STRIDE = 64;

/** A kernel's buffers in the order of their bindings. */
const boundBuffers = (
  kernel: Kernel,
  { parameter, gradient, state }: TensorBuffers<GPUBuffer>,
): readonly GPUBuffer[] => [parameter, gradient, ...kernelState(kernel).map((name) => state[name] as GPUBuffer)];

const sameSettings = (a: TensorPlan, b: TensorPlan): boolean =>
  a.measure === null &&
  b.measure === null &&
  a.scalars === b.scalars &&
  a.threshold === b.threshold &&
  kernelName(a.kernel) === kernelName(b.kernel);

const endOf = ({ base, size }: TensorPlan): number =>
  base + Math.ceil(size / LAYOUT.tensorAlignment) * LAYOUT.tensorAlignment;

/** Whether nothing happens to a tensor; the alignment of one without elements goes on. */
export const isIdle = ({ size, measure }: TensorPlan): boolean => size === 0 && measure === null;

/** Neighbours with equal settings, as one tensor that spans them and the gaps between; `index` is the first one's. */
function mergeNeighbours(plan: StepPlan): readonly { readonly tensor: TensorPlan; readonly index: number }[] {
  const merged: { tensor: TensorPlan; index: number }[] = [];
  for (const [index, tensor] of plan.tensors.entries()) {
    if (tensor === null || isIdle(tensor)) continue;
    const last = merged.at(-1);
    if (last !== undefined && endOf(last.tensor) === tensor.base && sameSettings(last.tensor, tensor)) {
      last.tensor = { ...last.tensor, size: tensor.base + tensor.size - last.tensor.base };
    } else merged.push({ tensor, index });
  }
  return merged;
}

/** The tensors of a step on flat buffers, neighbours with equal settings as one. */
export function placeFlat(plan: StepPlan, buffers: FlatBuffers, access = QUADS): readonly Placed[] {
  return mergeNeighbours(plan).map(({ tensor, index }) => ({ tensor, index, buffers, at: tensor.base, access }));
}

/** Steps on one device, over buffers that fit: whoever has buffers from elsewhere checks them (`webGpuEngine.ts`). */
export interface WebGpuSteps {
  /** Throws `DeviceLostError` once the device is gone. */
  checkLost(): void;
  /** A step as commands; its scalars go into the buffer that `room` gives for so many bytes. */
  commandsOf(
    plan: StepPlan,
    placed: readonly Placed[],
    flat: boolean,
    room: (bytes: number) => GPUBuffer,
  ): PreparedStep;
  /** Adds a step to what `encoder` has, and submits it. */
  submit(plan: StepPlan, placed: readonly Placed[], flat: boolean, encoder: GPUCommandEncoder): void;
  /** @param gradients - by tensor; copied into `buffers.gradient` first. Left out: they are there already. */
  stepFlat(
    plan: StepPlan,
    placed: readonly Placed[],
    buffers: FlatBuffers,
    gradients?: readonly (GPUBuffer | null)[],
  ): void;
  /** Frees the few hundred bytes of its own. */
  dispose(): void;
}

/** The steps of a `GPUDevice`. Tensors larger than the device's bindings take several dispatches. */
export function createSteps(device: GPUDevice): WebGpuSteps {
  const pipelines = new Map<string, Pipeline>();
  const stride = Math.max(256, device.limits.minUniformBufferOffsetAlignment);
  const alignment = Math.max(LAYOUT.tensorAlignment, device.limits.minStorageBufferOffsetAlignment / 4);
  /** Elements that one binding may hold. */
  const windowLimit = Math.floor(device.limits.maxStorageBufferBindingSize / 4 / alignment) * alignment;
  const groupLimit = device.limits.maxComputeWorkgroupsPerDimension;
  let uniforms: GPUBuffer | undefined;
  let staging = new ArrayBuffer(0);
  let measurer: WgslMeasurer | undefined;
  let lost: string | undefined;
  void device.lost.then(({ reason, message }) => (lost = `${reason}: ${message}`));

  const pipelineOf = (
    key: string,
    types: readonly GPUBufferBindingType[],
    uniformBytes: number,
    code: () => string,
  ): Pipeline => {
    let entry = pipelines.get(key);
    if (entry === undefined) {
      const layout = device.createBindGroupLayout({
        entries: [
          ...types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })),
          {
            binding: types.length,
            visibility: COMPUTE_STAGE,
            buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: uniformBytes } as const,
          },
        ],
      });
      const pipeline = device.createComputePipeline({
        label: `learning rate dropout ${key}`,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: device.createShaderModule({ code: code() }), entryPoint: 'main' },
      });
      pipelines.set(key, (entry = { pipeline, layout }));
    }
    return entry;
  };

  const stepPipeline = ({ stretch: { tensor }, access, factor }: Dispatch): Pipeline => {
    const { kernel, measure } = tensor;
    const mode = modeOf(tensor);
    const scales = factor === undefined ? undefined : (measure?.scalesDecay ?? false);
    return pipelineOf(
      `${kernelName(kernel)} ${access.name} ${mode} ${scales}`,
      [
        'storage',
        'read-only-storage',
        ...kernelState(kernel).map(() => 'storage' as const),
        ...(factor === undefined ? [] : (['read-only-storage'] as const)),
      ],
      UNIFORM_BYTES,
      () => stepShader(kernel, access, mode, scales),
    );
  };

  /** Cuts a stretch of one set of buffers into dispatches that the device's limits allow. `at`: its first element there. */
  const cut = ({ tensor, buffers, at, access }: Placed, unit = access.unit, factor?: GPUBufferBinding): Dispatch[] => {
    const dispatches: Dispatch[] = [];
    for (let done = 0; done < tensor.size;) {
      const offset = Math.floor((at + done) / windowLimit) * windowLimit;
      const inside = at + done - offset;
      const count = Math.min(tensor.size - done, windowLimit - inside);
      // Whole quads: what follows the last element is padding here, see `FlatBuffers`.
      const covered = Math.ceil(count / unit) * unit;
      dispatches.push({
        stretch: { tensor, count: covered, first: inside / unit, block: (tensor.base + done) / 8 },
        access,
        buffers,
        offset,
        window: inside + covered,
        factor,
      });
      done += count;
    }
    return dispatches;
  };

  const checkLost = (): void => {
    if (lost !== undefined) {
      throw new DeviceLostError(
        `the GPU device must be alive, it was lost (${lost}); open another and put the parameters there`,
      );
    }
  };

  /** Writes the dispatches' scalars into `target` and binds everything. */
  const prepare = (plan: StepPlan, dispatches: readonly Dispatch[], target: GPUBuffer): readonly Command[] => {
    const bytes = stride * dispatches.length;
    if (staging.byteLength < bytes) staging = new ArrayBuffer(bytes);
    dispatches.forEach(({ stretch }, i) => writeUniform(staging, stride * i, stretch, plan.key, plan.step));
    device.queue.writeBuffer(target, 0, staging, 0, bytes);
    const block = { buffer: target, offset: 0, size: UNIFORM_BYTES };
    let bound: { readonly dispatch: Dispatch; readonly pipeline: Pipeline; readonly group: GPUBindGroup } | undefined;
    return dispatches.map((dispatch, i): Command => {
      const { stretch, access, buffers, offset, window, factor } = dispatch;
      const { kernel } = stretch.tensor;
      const pipeline = stepPipeline(dispatch);
      const fits =
        bound?.pipeline === pipeline &&
        bound.dispatch.factor === factor &&
        bound.dispatch.buffers === buffers &&
        bound.dispatch.offset === offset &&
        bound.dispatch.window >= window;
      if (bound === undefined || !fits) {
        // A flat buffer is bound to its window's end, so that the next stretch can use the same group.
        const elements = access.unit === 1 ? window : fullWindow(dispatch);
        const resources: GPUBufferBinding[] = [
          ...boundBuffers(kernel, buffers).map((buffer) => ({ buffer, offset: 4 * offset, size: 4 * elements })),
          ...(factor === undefined ? [] : [factor]),
          block,
        ];
        const group = device.createBindGroup({
          layout: pipeline.layout,
          entries: resources.map((resource, binding) => ({ binding, resource })),
        });
        bound = { dispatch: { ...dispatch, window: elements }, pipeline, group };
      }
      const groups = Math.ceil(stretch.count / (8 * WORKGROUP));
      const width = Math.min(groups, groupLimit);
      return {
        pipeline: pipeline.pipeline,
        group: bound.group,
        offset: stride * i,
        size: [width, Math.ceil(groups / width)],
      };
    });
  };

  const record = (pass: GPUComputePassEncoder, commands: readonly Command[]): void => {
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, group, offset, size } of commands) {
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, group, [offset]);
      pass.dispatchWorkgroups(...size);
    }
  };

  /** The dispatches of a step, and what is to be measured before them. */
  const dispatchesOf = (list: readonly Placed[], flat: boolean): { dispatches: Dispatch[]; measuring?: Measuring } => {
    const measures = list.find(({ tensor }) => tensor.measure !== null)?.tensor.measure;
    if (measures === null || measures === undefined) return { dispatches: list.flatMap((placed) => cut(placed)) };
    measurer ??= measures.webgpu({ device, stride, pipelineOf, cut });
    const measuring = measurer.prepare(list, flat);
    return {
      measuring,
      dispatches: list.flatMap((placed) => cut(placed, undefined, measuring.factors.get(placed.tensor))),
    };
  };

  const commandsOf: WebGpuSteps['commandsOf'] = (plan, placed, flat, room) => {
    const { dispatches, measuring } = dispatchesOf(placed, flat);
    const commands = prepare(plan, dispatches, room(stride * Math.max(1, dispatches.length)));
    return {
      record: (pass) => record(pass, [...(measuring?.commands ?? []), ...commands]),
      dispose: () => measuring?.release(),
    };
  };

  const submit: WebGpuSteps['submit'] = (plan, placed, flat, encoder) => {
    const step = commandsOf(plan, placed, flat, (size) => {
      if (uniforms === undefined || uniforms.size < size) {
        uniforms?.destroy();
        uniforms = device.createBuffer({ size, usage: UNIFORM | COPY_DST });
      }
      return uniforms;
    });
    const pass = encoder.beginComputePass();
    step.record(pass);
    pass.end();
    device.queue.submit([encoder.finish()]);
    step.dispose();
  };

  /** Elements from a window's start that all of its buffers have. */
  const fullWindow = ({ buffers, offset, stretch }: Dispatch): number => {
    const sizes = boundBuffers(stretch.tensor.kernel, buffers).map((buffer) => Math.floor(buffer.size / 16) * 4);
    return Math.min(windowLimit, Math.min(...sizes) - offset);
  };

  return {
    checkLost,
    commandsOf,
    submit,
    stepFlat(plan, placed, { gradient: target }, gradients) {
      if (placed.length === 0) return;
      const encoder = device.createCommandEncoder();
      gradients?.forEach((gradient, index) => {
        const tensor = plan.tensors[index];
        if (gradient === null || tensor === null || tensor === undefined || tensor.size === 0) return;
        encoder.copyBufferToBuffer(gradient, 0, target, 4 * tensor.base, 4 * tensor.size);
      });
      submit(plan, placed, true, encoder);
    },
    dispose() {
      uniforms?.destroy();
      uniforms = undefined;
    },
  };
}

/** Bytes of a flat buffer for tensors laid out up to element `end`: throws `UnsupportedError` where the device allows fewer. */
export function flatBufferBytes(device: GPUDevice, end: number): number {
  const bytes = Math.max(16, 4 * Math.ceil(end / LAYOUT.tensorAlignment) * LAYOUT.tensorAlignment);
  if (bytes > device.limits.maxBufferSize) {
    throw new UnsupportedError(
      `a flat buffer of ${bytes} bytes must be within the device's maxBufferSize of ${device.limits.maxBufferSize}; keep the parameters in separate buffers`,
    );
  }
  return bytes;
}
