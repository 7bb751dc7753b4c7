/**
 * What the engines share: a step is planned once on the host (`planStep`), then an engine carries the plan out on buffers
 * that it does not own. No engine allocates anything of a parameter's size.
 */
import type { Key } from '../philox.ts';

/**
 * The arithmetic families that all rules and their variants reduce to once the host has folded bias corrections and
 * learning rate into scalars. With g the gradient after coupled decay (g + decay * parameter):
 *
 *     gradient      delta = g
 *     momentum      buf = firstKeep * buf + firstAdd * g;  delta = nesterov ? g + momentum * buf : buf
 *     rmsprop       v = secondKeep * v + secondAdd * g^2;  s = centered ? max(v - gavg^2, 0) : v
 *                   r = inside ? g / sqrt(s + epsilon) : g / (sqrt(s) + epsilon);  delta = buffered ? (buf = momentum * buf + r) : r
 *     adam          m = firstKeep * m + firstAdd * g;  v as above;  delta = m / (sqrt(v) + epsilon)
 *     amsgrad       m, v as above;  vmax = max(vmax, maxScale * v);  delta = m / (sqrt(vmax) + epsilon)
 *     first-moment  m, v as above;  delta = m                        (RAdam's first steps)
 *
 *     parameter = kept ? parameter - (shrink * parameter + rate * delta) : parameter
 */
export type Family = 'gradient' | 'momentum' | 'rmsprop' | 'adam' | 'amsgrad' | 'first-moment';

/** What a kernel is compiled for. Flags that a family does not have are false. */
export interface Kernel {
  readonly family: Family;
  /** Coupled decay: g = gradient + decay * parameter. */
  readonly coupled: boolean;
  /** Decoupled decay: the step carries shrink * parameter. */
  readonly decoupled: boolean;
  readonly nesterov: boolean;
  readonly centered: boolean;
  /** Epsilon inside the square root. */
  readonly inside: boolean;
  /** RMSprop with momentum. */
  readonly buffered: boolean;
}

/** The numbers of one step, as float64; engines round each of them to float32 once. In the order in which kernels take them. */
export const SCALARS = [
  'rate',
  'decay',
  'shrink',
  'firstKeep',
  'firstAdd',
  'secondKeep',
  'secondAdd',
  'momentum',
  'epsilon',
  'maxScale',
] as const;
export type ScalarName = (typeof SCALARS)[number];
export type Scalars = Readonly<Record<ScalarName, number>>;

/** The state that a kernel reads and writes, in the order in which engines take its buffers. */
export function kernelState(kernel: Kernel): readonly string[] {
  switch (kernel.family) {
    case 'gradient':
      return [];
    case 'momentum':
      return ['buf'];
    case 'rmsprop':
      return ['v', ...(kernel.centered ? ['gavg'] : []), ...(kernel.buffered ? ['buf'] : [])];
    case 'adam':
    case 'first-moment':
      return ['m', 'v'];
    case 'amsgrad':
      return ['m', 'v', 'vmax'];
  }
}

/** A kernel as a short name: the key of what was compiled, and the label in error messages. */
export function kernelName(kernel: Kernel): string {
  const flags = (['coupled', 'decoupled', 'nesterov', 'centered', 'inside', 'buffered'] as const).filter(
    (flag) => kernel[flag],
  );
  return [kernel.family, ...flags].join('+');
}

/** `threshold` of a tensor whose elements are all kept: no mask is drawn. */
export const KEEP_ALL = 65536;

/** One tensor's part in a step. */
export interface TensorPlan {
  readonly kernel: Kernel;
  readonly scalars: Scalars;
  /** The global index of its first element in the mask stream: a multiple of 64. */
  readonly base: number;
  /** Elements. May be 0. */
  readonly size: number;
  /** Element kept iff its 16-bit draw is below; `KEEP_ALL` draws nothing. */
  readonly threshold: number;
}

/** One optimizer step. A `null` in `tensors` stands still (no gradient this step). */
export interface StepPlan {
  readonly key: Key;
  /** The mask's step, from 1. */
  readonly step: number;
  readonly tensors: readonly (TensorPlan | null)[];
}

/**
 * The buffers of one tensor. `Buffer` is a `Float32Array` (js), a byte pointer (wasm) or a `GPUBuffer` (webgpu).
 * All are of the tensor's size; the gradient is only read.
 */
export interface TensorBuffers<Buffer> {
  readonly parameter: Buffer;
  readonly gradient: Buffer;
  /** By the names of `spec/rules.ts`. Names that this step's kernel does not use are left alone. */
  readonly state: Readonly<Record<string, Buffer>>;
}

/** A fused step over separate buffers, in place. `tensors[i]` goes with `plan.tensors[i]`; it may be null where that is. */
export interface Engine<Buffer> {
  step(plan: StepPlan, tensors: readonly (TensorBuffers<Buffer> | null)[]): void;
}
