/**
 * What the engines share: a step is planned once on the host (`planStep`), then an engine carries the plan out on buffers
 * that it does not own. No engine allocates anything of a parameter's size.
 */
import { MASK_STATE } from '../../spec/family.ts';
import type { Key } from '../philox.ts';
import type { Measure } from './measure.ts';
import { UnsupportedError } from '../validate.ts';

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
 *
 * A measured factor (`measure.ts`) multiplies rate, and shrink where it scales the decay.
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
  /** Kept where delta and g have the same sign; nothing is drawn. */
  readonly agreement: boolean;
  /** Decoupled decay falls on dropped elements too: parameter - shrink * parameter. */
  readonly plain: boolean;
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

const FLAGS = ['coupled', 'decoupled', 'nesterov', 'centered', 'inside', 'buffered', 'agreement', 'plain'] as const;

/** A kernel as a short name: the key of what was compiled, and the label in error messages. */
export function kernelName(kernel: Kernel): string {
  const flags = FLAGS.filter((flag) => kernel[flag]);
  return [kernel.family, ...flags].join('+');
}

/** `threshold` of a tensor whose elements are all kept: no mask is drawn. */
export const KEEP_ALL = 65536;

/** `threshold` of a tensor that is dropped whole: its state goes on, and no mask is drawn. */
export const KEEP_NONE = 0;

/** Where a step's mask comes from: the stream's draws, the agreement of signs, or nowhere. */
export type Mode = 'masked' | 'agreement' | 'all' | 'none';

export function modeOf({ kernel, threshold }: Pick<TensorPlan, 'kernel' | 'threshold'>): Mode {
  if (kernel.agreement) return 'agreement';
  return threshold === KEEP_ALL ? 'all' : threshold === KEEP_NONE ? 'none' : 'masked';
}

/** One tensor's part in a step. */
export interface TensorPlan {
  readonly kernel: Kernel;
  readonly scalars: Scalars;
  /** The global index of its first element in the mask stream: a multiple of 64. */
  readonly base: number;
  /** Elements. May be 0. */
  readonly size: number;
  /** Element kept iff its 16-bit draw is below; `KEEP_ALL` and `KEEP_NONE` draw nothing. */
  readonly threshold: number;
  /** What makes its factor; null: 1. */
  readonly measure: Measure | null;
}

/** All state that a tensor's step reads or writes: its kernel's, then its measure's, of which `alignment` has one element. */
export function planState({ kernel, measure }: Pick<TensorPlan, 'kernel' | 'measure'>): readonly string[] {
  return measure === null ? kernelState(kernel) : [...kernelState(kernel), ...measure.state];
}

/** Elements of a tensor's state by its name. */
export const stateSize = (name: string, size: number): number => (name === MASK_STATE.alignment ? 1 : size);

/** Whether a tensor's step is learning rate dropout's own: an element-wise draw or none, and no factor. */
export function isElementwise({ kernel, measure, threshold }: TensorPlan): boolean {
  return measure === null && !kernel.agreement && !kernel.plain && threshold !== KEEP_NONE;
}

/** Throws `UnsupportedError` unless all steps of a plan are element-wise. @param who - the engine, as the message begins */
export function requireElementwise({ tensors }: StepPlan, who: string): void {
  if (tensors.every((tensor) => tensor === null || isElementwise(tensor))) return;
  throw new UnsupportedError(
    `${who} runs element-wise Bernoulli masks only; the fused engines run the other kinds of mask (skip-update, magma, cautious)`,
  );
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
 * All are of the tensor's size but `alignment`, which has one element; the gradient is only read.
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
