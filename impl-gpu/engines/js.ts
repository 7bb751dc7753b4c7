/**
 * The fused step on `Float32Array`s in plain JavaScript: for the backends that keep their data there, and for everything
 * without SIMD or a GPU. Arithmetic is float64 with one rounding at each store, so it is never less exact than float32.
 */
import { STREAMS } from '../../spec/stream.ts';
import { philox4x32 } from '../philox.ts';
import type { Key } from '../philox.ts';
import { InvalidArgumentError } from '../validate.ts';
import type { Engine, Kernel, Scalars, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { KEEP_ALL, kernelState } from './engine.ts';

/** Elements that get their mask at once: the only scratch memory. A multiple of the block's eight. */
const CHUNK = 2048;

const words = new Uint32Array(4);

/** kept[i] = 1 iff element `first + i` of the mask stream is kept. `first` is a multiple of 8. */
function drawMask(key: Key, step: number, first: number, count: number, threshold: number, kept: Uint8Array): void {
  const firstBlock = first / 8;
  for (let i = 0; i < count; i += 8) {
    const block = firstBlock + i / 8;
    philox4x32(block >>> 0, Math.floor(block / 2 ** 32), step, STREAMS.mask, key, words);
    for (let j = 0; j < 4; j++) {
      const word = words[j] as number;
      kept[i + 2 * j] = (word & 0xffff) < threshold ? 1 : 0;
      kept[i + 2 * j + 1] = word >>> 16 < threshold ? 1 : 0;
    }
  }
}

/** A stretch of one tensor: elements `first` to `last` - 1, with kept[i - first]. */
interface Stretch {
  readonly parameter: Float32Array;
  readonly gradient: Float32Array;
  readonly state: Readonly<Record<string, Float32Array>>;
  readonly first: number;
  readonly last: number;
  readonly kept: Uint8Array;
}

// Typed arrays give `number | undefined` to the compiler; `first <= i < last` lies inside all of them.
type Floats = Record<number, number>;

function stepGradient(
  { parameter, gradient, first, last, kept }: Stretch,
  { decay, rate }: Scalars,
  kernel: Kernel,
): void {
  const [p, g] = [parameter as Floats, gradient as Floats];
  const { coupled } = kernel;
  for (let i = first; i < last; i++) {
    if (kept[i - first] === 0) continue;
    const old = p[i] as number;
    p[i] = old - rate * (coupled ? (g[i] as number) + decay * old : (g[i] as number));
  }
}

function stepMomentum(stretch: Stretch, scalars: Scalars, { coupled, nesterov }: Kernel): void {
  const { first, last, kept } = stretch;
  const { decay, rate, firstKeep, firstAdd, momentum } = scalars;
  const [p, g, buf] = [stretch.parameter as Floats, stretch.gradient as Floats, stretch.state['buf'] as Floats];
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    const b = firstKeep * (buf[i] as number) + firstAdd * d;
    buf[i] = b;
    if (kept[i - first] !== 0) p[i] = old - rate * (nesterov ? d + momentum * b : b);
  }
}

function stepRmsprop(stretch: Stretch, scalars: Scalars, kernel: Kernel): void {
  const { first, last, kept } = stretch;
  const { coupled, centered, inside, buffered } = kernel;
  const { decay, rate, firstKeep, firstAdd, secondKeep, secondAdd, momentum, epsilon } = scalars;
  const [p, g, v] = [stretch.parameter as Floats, stretch.gradient as Floats, stretch.state['v'] as Floats];
  const [gavg, buf] = [stretch.state['gavg'] as Floats, stretch.state['buf'] as Floats];
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    const square = secondKeep * (v[i] as number) + secondAdd * d * d;
    v[i] = square;
    let spread = square;
    if (centered) {
      const mean = firstKeep * (gavg[i] as number) + firstAdd * d;
      gavg[i] = mean;
      spread = Math.max(square - mean * mean, 0);
    }
    let delta = inside ? d / Math.sqrt(spread + epsilon) : d / (Math.sqrt(spread) + epsilon);
    if (buffered) {
      delta += momentum * (buf[i] as number);
      buf[i] = delta;
    }
    if (kept[i - first] !== 0) p[i] = old - rate * delta;
  }
}

function stepAdam(stretch: Stretch, scalars: Scalars, kernel: Kernel): void {
  const { first, last, kept } = stretch;
  const { coupled, decoupled } = kernel;
  const { decay, rate, shrink, firstKeep, firstAdd, secondKeep, secondAdd, epsilon, maxScale } = scalars;
  const [p, g] = [stretch.parameter as Floats, stretch.gradient as Floats];
  const [m, v] = [stretch.state['m'] as Floats, stretch.state['v'] as Floats];
  const vmax = stretch.state['vmax'] as Floats;
  const amsgrad = kernel.family === 'amsgrad';
  const firstMoment = kernel.family === 'first-moment';
  for (let i = first; i < last; i++) {
    const old = p[i] as number;
    const d = coupled ? (g[i] as number) + decay * old : (g[i] as number);
    const mean = firstKeep * (m[i] as number) + firstAdd * d;
    let square = secondKeep * (v[i] as number) + secondAdd * d * d;
    m[i] = mean;
    v[i] = square;
    if (amsgrad) {
      square = Math.max(vmax[i] as number, maxScale * square);
      vmax[i] = square;
    }
    if (kept[i - first] !== 0) {
      const delta = firstMoment ? mean : mean / (Math.sqrt(square) + epsilon);
      p[i] = old - (decoupled ? shrink * old + rate * delta : rate * delta);
    }
  }
}

function runStretch(stretch: Stretch, { kernel, scalars }: TensorPlan): void {
  switch (kernel.family) {
    case 'gradient':
      return stepGradient(stretch, scalars, kernel);
    case 'momentum':
      return stepMomentum(stretch, scalars, kernel);
    case 'rmsprop':
      return stepRmsprop(stretch, scalars, kernel);
    case 'adam':
    case 'amsgrad':
    case 'first-moment':
      return stepAdam(stretch, scalars, kernel);
  }
}

function checkArray(name: string, index: number, array: Float32Array | undefined, size: number): void {
  if (!(array instanceof Float32Array)) {
    throw new InvalidArgumentError(`${name} of tensor ${index} must be a Float32Array, got ${typeof array}`);
  }
  if (array.length !== size) {
    throw new InvalidArgumentError(`${name} of tensor ${index} must have ${size} elements, got ${array.length}`);
  }
}

function checkBuffers(plan: StepPlan, tensors: readonly (TensorBuffers<Float32Array> | null)[]): void {
  if (tensors.length !== plan.tensors.length) {
    throw new InvalidArgumentError(`tensors must be ${plan.tensors.length} as planned, got ${tensors.length}`);
  }
  plan.tensors.forEach((tensor, index) => {
    if (tensor === null) return;
    const buffers = tensors[index];
    if (buffers === null || buffers === undefined) {
      throw new InvalidArgumentError(`tensor ${index} must have buffers: it has a part in this step`);
    }
    checkArray('parameter', index, buffers.parameter, tensor.size);
    checkArray('gradient', index, buffers.gradient, tensor.size);
    for (const name of kernelState(tensor.kernel)) checkArray(name, index, buffers.state[name], tensor.size);
  });
}

/**
 * The engine for `Float32Array`s. `step` throws `InvalidArgumentError` on a missing array or a wrong length, before it
 * writes anything.
 */
export function createJsEngine(): Engine<Float32Array> {
  const kept = new Uint8Array(CHUNK);
  return {
    step(plan, tensors) {
      checkBuffers(plan, tensors);
      plan.tensors.forEach((tensor, index) => {
        if (tensor === null) return;
        const { parameter, gradient, state } = tensors[index] as TensorBuffers<Float32Array>;
        const masked = tensor.threshold < KEEP_ALL;
        if (!masked) kept.fill(1);
        for (let first = 0; first < tensor.size; first += CHUNK) {
          const last = Math.min(first + CHUNK, tensor.size);
          if (masked) drawMask(plan.key, plan.step, tensor.base + first, last - first, tensor.threshold, kept);
          runStretch({ parameter, gradient, state, first, last, kept }, tensor);
        }
      });
    },
  };
}
