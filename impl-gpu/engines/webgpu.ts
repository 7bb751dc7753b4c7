/**
 * The fused step on WebGPU, in place on buffers of the caller's: a dispatch a tensor, or one dispatch for all parameters laid
 * out in flat buffers. Commands go to the device's own queue, so they run after everything submitted before.
 */
import { LAYOUT } from '../../spec/stream.ts';
import { InvalidArgumentError, UnsupportedError } from '../validate.ts';
import type {
  Command,
  Dispatch,
  Engine,
  Kernel,
  Measuring,
  Pipeline,
  Placed,
  StepPlan,
  TensorBuffers,
  TensorPlan,
  WgslMeasurer,
} from './engine.ts';
import { kernelName, kernelState, modeOf, planState, stateSize } from './engine.ts';
import { UNIFORM_BYTES, WORKGROUP, stepShader, writeUniform } from './wgsl.ts';

/**
 * All tensors of a model in one buffer each: element i of tensor k at index base_k + i, so every tensor starts on a multiple
 * of 64 elements (256 bytes). What lies between tensors is written too and means nothing. The state `alignment` has one number a tensor:
 * that of tensor k at index 64 k.
 */
export type FlatBuffers = TensorBuffers<GPUBuffer>;

export interface WebGpuEngine extends Engine<GPUBuffer> {
  /**
   * The step over flat buffers: neighbouring tensors with equal settings share a dispatch.
   * @param gradients - by tensor; copied into `buffers.gradient` first, on the GPU. Left out: they are there already.
   */
  stepFlat(plan: StepPlan, buffers: FlatBuffers, gradients?: readonly (GPUBuffer | null)[]): void;
  /**
   * The flat step as commands for a pass of the caller's, to be recorded once or many times (gradients in place). Its scalars
   * are fixed here, in a buffer of its own, so it may wait in an encoder while other steps are queued.
   */
  prepareFlat(plan: StepPlan, buffers: FlatBuffers): PreparedStep;
  /** Frees the engine's own few hundred bytes. */
  dispose(): void;
}

export interface WebGpuEngineOptions {
  /**
   * Lets neighbouring threads touch neighbouring 16 bytes, at the price of a barrier: what GPUs like best, and software
   * adapters least. The bits are the same. Default false; `lrd bench engines` compares the two on hardware.
   */
  readonly spread?: boolean;
}

export interface PreparedStep {
  record(pass: GPUComputePassEncoder): void;
  /** To be called once everything recorded has been submitted. */
  dispose(): void;
}

/** The device went away: its reason and message, and what to do. */
export class DeviceLostError extends Error {
  override readonly name = 'DeviceLostError';
  readonly code = 'internal';
}

/** Flags of `GPUBufferUsage`, which Node has no global for. */
const STORAGE = 0x80;
const UNIFORM = 0x40;
const COPY_DST = 0x08;
const COPY_SRC = 0x04;
const COMPUTE_STAGE = 0x04;

/** Elements from one tensor's alignment to the next in a flat buffer: 256 bytes, any device's alignment of a binding. */
export const ALIGNMENT_STRIDE = 64;

/** A kernel's buffers in the order of their bindings. */
const boundBuffers = (
  kernel: Kernel,
  { parameter, gradient, state }: TensorBuffers<GPUBuffer>,
): readonly GPUBuffer[] => [parameter, gradient, ...kernelState(kernel).map((name) => state[name] as GPUBuffer)];

function checkBuffer(
  name: string,
  where: string,
  buffer: GPUBuffer | undefined,
  elements: number,
  usage: number,
  usageName: string,
): void {
  if (buffer === undefined) throw new InvalidArgumentError(`${name} of ${where} must be a GPUBuffer, got undefined`);
  if (buffer.size < 4 * elements) {
    throw new InvalidArgumentError(`${name} of ${where} must have at least ${4 * elements} bytes, got ${buffer.size}`);
  }
  if ((buffer.usage & usage) !== usage) {
    throw new InvalidArgumentError(
      `${name} of ${where} must have the usage ${usageName}, got usage 0x${buffer.usage.toString(16)}`,
    );
  }
}

/** @param numbers - the elements that a state of one number a tensor must have */
function checkBuffers(
  tensor: TensorPlan,
  where: string,
  buffers: TensorBuffers<GPUBuffer>,
  elements: number,
  numbers = 1,
): void {
  const names = planState(tensor);
  const { parameter, gradient, state } = buffers;
  const all: Readonly<Record<string, GPUBuffer | undefined>> = { ...state, parameter, gradient };
  const bound = ['parameter', 'gradient', ...names];
  for (const name of bound) {
    const size = stateSize(name, elements) === elements ? elements : numbers;
    checkBuffer(name, where, all[name], size, STORAGE, 'STORAGE');
  }
  if (new Set(bound.map((name) => all[name])).size < bound.length) {
    throw new InvalidArgumentError(
      `${bound.join(', ')} of ${where} must be ${bound.length} different buffers, got one twice`,
    );
  }
}

const sameSettings = (a: TensorPlan, b: TensorPlan): boolean =>
  a.measure === null &&
  b.measure === null &&
  a.scalars === b.scalars &&
  a.threshold === b.threshold &&
  kernelName(a.kernel) === kernelName(b.kernel);

const endOf = ({ base, size }: TensorPlan): number =>
  base + Math.ceil(size / LAYOUT.tensorAlignment) * LAYOUT.tensorAlignment;

/** Whether nothing happens to a tensor; the alignment of one without elements goes on. */
const isIdle = ({ size, measure }: TensorPlan): boolean => size === 0 && measure === null;

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

/**
 * The engine for a `GPUDevice`. Buffers need the usage `STORAGE` and at least four bytes an element; those of one tensor must
 * differ. Throws `InvalidArgumentError` on a buffer that does not fit, and `DeviceLostError` once the device is gone, before
 * anything is queued. Tensors larger than the device's bindings take several dispatches.
 */
export function createWebGpuEngine(device: GPUDevice, { spread = false }: WebGpuEngineOptions = {}): WebGpuEngine {
  const pipelines = new Map<string, Pipeline>();
  const stride = Math.max(256, device.limits.minUniformBufferOffsetAlignment);
  const alignment = Math.max(LAYOUT.tensorAlignment, device.limits.minStorageBufferOffsetAlignment / 4);
  /** Elements that one binding may hold. */
  const windowLimit = Math.floor(device.limits.maxStorageBufferBindingSize / 4 / alignment) * alignment;
  const groupLimit = device.limits.maxComputeWorkgroupsPerDimension;
  const quads = spread ? 'spread' : 'quads';
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
      `${kernelName(kernel)} ${access} ${mode} ${scales}`,
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
  const cut = ({ tensor, buffers, at, access }: Placed, factor?: GPUBufferBinding): Dispatch[] => {
    const unit = access === 'elements' ? 1 : 4;
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
        const elements = access === 'elements' ? window : fullWindow(dispatch);
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
    return { measuring, dispatches: list.flatMap((placed) => cut(placed, measuring.factors.get(placed.tensor))) };
  };

  const submit = (plan: StepPlan, list: readonly Placed[], flat: boolean, encoder: GPUCommandEncoder): void => {
    const { dispatches, measuring } = dispatchesOf(list, flat);
    const bytes = Math.max(stride, stride * dispatches.length);
    if (uniforms === undefined || uniforms.size < bytes) {
      uniforms?.destroy();
      uniforms = device.createBuffer({ size: bytes, usage: UNIFORM | COPY_DST });
    }
    const commands = prepare(plan, dispatches, uniforms);
    const pass = encoder.beginComputePass();
    record(pass, [...(measuring?.commands ?? []), ...commands]);
    pass.end();
    device.queue.submit([encoder.finish()]);
    measuring?.release();
  };

  /** Elements from a window's start that all of its buffers have. */
  const fullWindow = ({ buffers, offset, stretch }: Dispatch): number => {
    const sizes = boundBuffers(stretch.tensor.kernel, buffers).map((buffer) => Math.floor(buffer.size / 16) * 4);
    return Math.min(windowLimit, Math.min(...sizes) - offset);
  };

  const placeFlat = (plan: StepPlan, buffers: FlatBuffers): readonly Placed[] =>
    mergeNeighbours(plan).map(({ tensor, index }) => {
      // Whole quads are touched, so whole quads must exist.
      const elements = Math.ceil((tensor.base + tensor.size) / 4) * 4;
      checkBuffers(tensor, 'the flat buffers', buffers, elements, ALIGNMENT_STRIDE * index + 1);
      return { tensor, index, buffers, at: tensor.base, access: quads };
    });

  return {
    step(plan, tensors) {
      checkLost();
      if (tensors.length !== plan.tensors.length) {
        throw new InvalidArgumentError(`tensors must be ${plan.tensors.length} as planned, got ${tensors.length}`);
      }
      const placed = plan.tensors.flatMap((tensor, index): Placed[] => {
        if (tensor === null || isIdle(tensor)) return [];
        const buffers = tensors[index];
        if (buffers === null || buffers === undefined) {
          throw new InvalidArgumentError(`tensor ${index} must have buffers: it has a part in this step`);
        }
        checkBuffers(tensor, `tensor ${index}`, buffers, tensor.size);
        return [{ tensor, index, buffers, at: 0, access: tensor.size % 4 === 0 ? quads : 'elements' }];
      });
      if (placed.length > 0) submit(plan, placed, false, device.createCommandEncoder());
    },

    prepareFlat(plan, buffers) {
      checkLost();
      const { dispatches, measuring } = dispatchesOf(placeFlat(plan, buffers), true);
      const own = device.createBuffer({
        size: Math.max(stride, stride * dispatches.length),
        usage: UNIFORM | COPY_DST,
      });
      const commands = [...(measuring?.commands ?? []), ...prepare(plan, dispatches, own)];
      return {
        record: (pass) => record(pass, commands),
        dispose: () => {
          own.destroy();
          measuring?.release();
        },
      };
    },

    stepFlat(plan, buffers, gradients) {
      checkLost();
      const placed = placeFlat(plan, buffers);
      if (gradients !== undefined) {
        if (gradients.length !== plan.tensors.length) {
          throw new InvalidArgumentError(
            `gradients must be ${plan.tensors.length} as planned, got ${gradients.length}`,
          );
        }
        if (placed.length > 0) checkBuffer('gradient', 'the flat buffers', buffers.gradient, 0, COPY_DST, 'COPY_DST');
        plan.tensors.forEach((tensor, index) => {
          if (tensor === null || tensor.size === 0) return;
          const gradient = gradients[index] ?? undefined;
          checkBuffer('gradient', `tensor ${index}`, gradient, tensor.size, COPY_SRC, 'COPY_SRC');
        });
      }
      if (placed.length === 0) return;
      const encoder = device.createCommandEncoder();
      gradients?.forEach((gradient, index) => {
        const tensor = plan.tensors[index];
        if (gradient === null || tensor === null || tensor === undefined || tensor.size === 0) return;
        encoder.copyBufferToBuffer(gradient, 0, buffers.gradient, 4 * tensor.base, 4 * tensor.size);
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
