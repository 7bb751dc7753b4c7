/** The engine for WebGPU as the package exports it: buffers of a caller's are checked before anything is queued. */
import { InvalidArgumentError } from '../validate.ts';
import type { Access, Engine, Placed, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { planState, stateSize } from './engine.ts';
import { eachTensor } from './checked.ts';
import type { FlatBuffers, PreparedStep } from './webgpu.ts';
import { ALIGNMENT_STRIDE, COPY_DST, COPY_SRC, STORAGE, UNIFORM, createSteps, isIdle, placeFlat } from './webgpu.ts';
import { QUADS } from './wgsl.ts';
import { ELEMENTS, SPREAD } from './wgslAccess.ts';

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

/** How a WebGPU engine lays its work over threads. */
export interface WebGpuEngineOptions {
  /**
   * Lets neighbouring threads touch neighbouring 16 bytes, at the price of a barrier: what GPUs like best, and software
   * adapters least. The bits are the same. Default false; `lrd bench engines` compares the two on hardware.
   */
  readonly spread?: boolean;
}

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

/** What a flat step touches, after checking that the buffers have it. */
function placeChecked(plan: StepPlan, buffers: FlatBuffers, access: Access): readonly Placed[] {
  const placed = placeFlat(plan, buffers, access);
  for (const { tensor, index } of placed) {
    // Whole quads are touched, so whole quads must exist.
    const elements = Math.ceil((tensor.base + tensor.size) / 4) * 4;
    checkBuffers(tensor, 'the flat buffers', buffers, elements, ALIGNMENT_STRIDE * index + 1);
  }
  return placed;
}

/**
 * The engine for a `GPUDevice`. Buffers need the usage `STORAGE` and at least four bytes an element; those of one tensor must
 * differ. Throws `InvalidArgumentError` on a buffer that does not fit, and `DeviceLostError` once the device is gone, before
 * anything is queued. Tensors larger than the device's bindings take several dispatches.
 */
export function createWebGpuEngine(device: GPUDevice, { spread = false }: WebGpuEngineOptions = {}): WebGpuEngine {
  const steps = createSteps(device);
  const quads = spread ? SPREAD : QUADS;
  return {
    step(plan, tensors) {
      steps.checkLost();
      const placed: Placed[] = [];
      eachTensor(plan, tensors, (tensor, index, buffers) => {
        if (isIdle(tensor)) return;
        checkBuffers(tensor, `tensor ${index}`, buffers, tensor.size);
        placed.push({ tensor, index, buffers, at: 0, access: tensor.size % 4 === 0 ? quads : ELEMENTS });
      });
      if (placed.length > 0) steps.submit(plan, placed, false, device.createCommandEncoder());
    },

    prepareFlat(plan, buffers) {
      steps.checkLost();
      let own: GPUBuffer | undefined;
      const step = steps.commandsOf(plan, placeChecked(plan, buffers, quads), true, (size) => {
        own = device.createBuffer({ size, usage: UNIFORM | COPY_DST });
        return own;
      });
      return {
        record: (pass) => step.record(pass),
        dispose: () => {
          own?.destroy();
          step.dispose();
        },
      };
    },

    stepFlat(plan, buffers, gradients) {
      steps.checkLost();
      const placed = placeChecked(plan, buffers, quads);
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
      steps.stepFlat(plan, placed, buffers, gradients);
    },

    dispose() {
      steps.dispose();
    },
  };
}
