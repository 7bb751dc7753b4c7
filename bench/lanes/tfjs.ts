/** Optimizer steps in TensorFlow.js: LRD's optimizers, tfjs's own without LRD, and LRD written with tfjs's operations. */
import * as tf from '@tensorflow/tfjs';
import { webGpuStorage } from 'learning-rate-dropout/internal/tfjs';
import { useBackend } from '../../models/backend.ts';
import { BACKENDS } from '../../models/backendNames.ts';
import { JobError } from '../../models/errors.ts';
import { createOptimizer } from '../../models/recipes/optimizers.ts';
import type { RuleName } from 'learning-rate-dropout/spec';
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import type { StepSettings } from './engines.ts';
import { burstOf, maskName, sharedGpu } from './engines.ts';
import { threads } from './threads.ts';
import type { Workload } from './workload.ts';
import { SILENT_STEPS, bytesMoved, gradientValues, silence, silentName } from './workload.ts';

/** `node`: TensorFlow on the processor. */
export type TfjsBackend = 'cpu' | 'wasm' | 'webgpu' | 'node';

/** What steps in a lane. */
type Kind = 'lrd' | 'own' | 'operations';

interface Stepper {
  step(gradients: readonly { name: string; tensor: tf.Tensor }[]): void;
  dispose(): void;
}

/** tfjs's own optimizers, with the hyper-parameters of `spec/rules.ts`; it has none for the other rules. */
const OWN: Readonly<Partial<Record<RuleName, () => tf.Optimizer>>> = {
  sgdm: () => tf.train.momentum(0.1, 0.9),
  rmsprop: () => tf.train.rmsprop(1e-3, 0.99, 0, 1e-8),
  adam: () => tf.train.adam(1e-3, 0.9, 0.999, 1e-8),
};

/** Whether tfjs has an optimizer for a rule. */
export const tfjsHas = (rule: RuleName): boolean => OWN[rule] !== undefined;

function ownStepper(rule: RuleName): Stepper {
  const create = OWN[rule];
  if (create === undefined) throw new Unavailable(`tfjs has no optimizer for ${rule}`);
  const optimizer = create();
  return {
    step: (gradients) => optimizer.applyGradients([...gradients]),
    dispose: () => optimizer.dispose(),
  };
}

function lrdStepper({ rule, keepProbability, mask }: StepSettings): Stepper {
  const optimizer = createOptimizer(rule, {
    keepProbability: mask?.kind === 'cautious' ? undefined : keepProbability,
    seed: 1n,
    others: { mask },
  });
  return {
    step: (gradients) => optimizer.applyGradients([...gradients]),
    dispose: () => optimizer.dispose(),
  };
}

/** LRD as one would write it with tfjs: a mask from `tf.randomUniform` for each variable, multiplied into the update. */
function operationsStepper(rule: RuleName, variables: readonly tf.Variable[], keepProbability: number): Stepper {
  if (rule !== 'sgdm' && rule !== 'adam') throw new Unavailable(`LRD in tfjs operations is written for sgdm and adam`);
  const zeros = (): tf.Variable[] => variables.map(({ shape }) => tf.tidy(() => tf.variable(tf.zeros(shape), false)));
  const m = zeros();
  const v = rule === 'adam' ? zeros() : [];
  let t = 0;
  const direction = (k: number, gradient: tf.Tensor): tf.Tensor => {
    const first = m[k] as tf.Variable;
    if (rule === 'sgdm') {
      first.assign(tf.add(tf.mul(first, 0.9), gradient));
      return tf.mul(first, 0.1);
    }
    const second = v[k] as tf.Variable;
    first.assign(tf.add(tf.mul(first, 0.9), tf.mul(gradient, 0.1)));
    second.assign(tf.add(tf.mul(second, 0.999), tf.mul(tf.square(gradient), 0.001)));
    const root = tf.sqrt(tf.mul(second, 1 / (1 - 0.999 ** t)));
    return tf.div(tf.mul(first, 1e-3 / (1 - 0.9 ** t)), tf.add(root, 1e-8));
  };
  return {
    step: (gradients) => {
      t += 1;
      gradients.forEach(({ tensor }, k) => {
        const variable = variables[k] as tf.Variable;
        tf.tidy(() => {
          const mask = tf.cast(tf.less(tf.randomUniform(variable.shape), keepProbability), 'float32');
          variable.assign(tf.sub(variable, tf.mul(mask, direction(k, tensor))));
        });
      });
    },
    dispose: () => tf.dispose([...m, ...v]),
  };
}

/** Starts a backend or selects it again. Throws `Unavailable` with the reason where it does not run. */
export async function selectBackend(backend: TfjsBackend): Promise<void> {
  const name = backend === 'node' ? 'tensorflow' : backend;
  if (tf.getBackend() === name) return;
  if (tf.findBackend(name) !== null && backend !== 'cpu') {
    await tf.setBackend(name);
    return;
  }
  if (!(BACKENDS as readonly string[]).includes(backend))
    throw new Unavailable(`the backend ${backend} is not built in`);
  try {
    await useBackend(backend, { threads: threads() });
  } catch (error) {
    if (error instanceof JobError) throw new Unavailable(error.message);
    throw error;
  }
}

/** Waits until a backend has done all work that it was given. */
export async function drain(backend: TfjsBackend): Promise<void> {
  if (backend !== 'webgpu') return;
  const storage = webGpuStorage();
  storage.flush();
  await storage.device.queue.onSubmittedWorkDone();
}

interface EngineState {
  numBytes: number;
}

/** The most bytes of tensors that were alive at once during `work`, beyond those before it. */
function peakTensorBytes(work: () => void): number {
  const { state } = tf.engine() as unknown as { state: EngineState };
  const before = state.numBytes;
  let now = before;
  let peak = before;
  Object.defineProperty(state, 'numBytes', {
    configurable: true,
    enumerable: true,
    get: () => now,
    set: (value: number) => {
      now = value;
      peak = Math.max(peak, value);
    },
  });
  try {
    work();
  } finally {
    Object.defineProperty(state, 'numBytes', { configurable: true, enumerable: true, writable: true, value: now });
  }
  return peak - before;
}

interface BufferManager {
  acquireBuffer(...args: readonly unknown[]): GPUBuffer;
}

/** Bytes of the GPU buffers that `work` makes outside tfjs's own pool, which uses its buffers again. */
function newBufferBytes(device: GPUDevice, work: () => void): number {
  const { bufferManager } = tf.backend() as unknown as { bufferManager: BufferManager };
  const create = device.createBuffer.bind(device);
  const acquire = bufferManager.acquireBuffer.bind(bufferManager);
  let bytes = 0;
  let pooled = false;
  device.createBuffer = (descriptor) => {
    if (!pooled) bytes += descriptor.size;
    return create(descriptor);
  };
  bufferManager.acquireBuffer = (...args) => {
    pooled = true;
    try {
      return acquire(...args);
    } finally {
      pooled = false;
    }
  };
  try {
    work();
  } finally {
    device.createBuffer = create;
    bufferManager.acquireBuffer = acquire;
  }
  return bytes;
}

function kindName(backend: TfjsBackend, kind: Kind, settings: StepSettings): string {
  const { rule } = settings;
  switch (kind) {
    case 'lrd':
      return `tfjs-${backend}: lrd.${rule}, ${maskName(settings)}`;
    case 'own':
      return `tfjs-${backend}: its own ${rule === 'sgdm' ? 'momentum' : rule}, no LRD`;
    case 'operations':
      return `tfjs-${backend}: LRD-${rule} in tfjs operations`;
  }
}

async function openLane(backend: TfjsBackend, kind: Kind, settings: StepSettings, name: string): Promise<Lane> {
  const { rule, workload, keepProbability } = settings;
  await selectBackend(backend);
  const variables = variablesOf(workload);
  const gradients = variables.map(({ name: variable, size, shape }) => ({
    name: variable,
    tensor: tf.tensor(gradientValues(size), shape),
  }));
  const stepper =
    kind === 'own'
      ? ownStepper(rule)
      : kind === 'lrd'
        ? lrdStepper(settings)
        : operationsStepper(rule, variables, keepProbability);
  // The first step makes the state; its GPU buffers beyond variables and state are the optimizer's own.
  const step = (): void => stepper.step(gradients);
  const state = { bytes: 0 };
  let buffers: number | undefined;
  if (backend === 'webgpu') {
    const before = tf.memory().numBytes;
    buffers = newBufferBytes(webGpuStorage().device, step);
    state.bytes = tf.memory().numBytes - before;
  } else step();
  if (workload.silent === true) {
    gradients.forEach((gradient, k) => {
      const { size, shape } = variables[k] as tf.Variable;
      gradient.tensor.dispose();
      gradient.tensor = tf.tensor(silence(gradientValues(size), shape), shape);
    });
    for (let i = 0; i < SILENT_STEPS; i++) step();
  }
  const burst = backend === 'webgpu' ? burstOf(await sharedGpu()) : 1;
  const timed = (): void => {
    for (let i = 0; i < burst; i++) step();
  };
  const extraBytes = async (): Promise<number> => {
    if (backend === 'cpu') {
      const before = process.memoryUsage().arrayBuffers;
      step();
      return Math.max(0, process.memoryUsage().arrayBuffers - before);
    }
    const tensors = peakTensorBytes(step);
    await drain(backend);
    // LRD's flat buffers replace those of variables and state, which go back to tfjs; what is left over is extra.
    const kept = kind === 'lrd' && buffers !== undefined ? buffers - state.bytes - 4 * workload.elements : 0;
    return tensors + Math.max(0, kept);
  };
  return {
    name,
    steps: burst,
    prepare: () => selectBackend(backend),
    sample:
      backend === 'webgpu'
        ? async () => {
            timed();
            await drain(backend);
            return undefined;
          }
        : () => {
            timed();
            return undefined;
          },
    bytesMoved: bytesMoved(rule, workload.elements),
    // TensorFlow allocates below tfjs, which cannot tell.
    ...(backend === 'node' ? {} : { extraBytes }),
    close: async () => {
      await selectBackend(backend);
      await drain(backend);
      stepper.dispose();
      tf.dispose(variables);
      tf.dispose(gradients.map(({ tensor }) => tensor));
    },
  };
}

function variablesOf({ shapes }: Workload): tf.Variable[] {
  return shapes.map((shape) => tf.tidy(() => tf.variable(tf.zeros([...shape]))));
}

/** An optimizer of tfjs, or of this package in tfjs, as a lane. */
export function tfjsLane(backend: TfjsBackend, kind: Kind, settings: StepSettings): LaneSource {
  const name = `${kindName(backend, kind, settings)}${silentName(settings.workload)}`;
  return { name, open: () => openLane(backend, kind, settings, name) };
}
