/**
 * What the engines share: a step is planned once on the host (`planStep`), then an engine carries the plan out on buffers
 * that it does not own. No engine allocates anything of a parameter's size.
 */
import { MASK_STATE } from '../../spec/family.ts';
import type { Key } from '../philox.ts';
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
 * A measured factor (`Measure`) multiplies rate, and shrink where it scales the decay.
 */
export type Family = 'gradient' | 'momentum' | 'rmsprop' | 'adam' | 'amsgrad' | 'first-moment';

/** What a kernel is compiled for. Flags that a family does not have are false. */
export interface Kernel {
  /** The recurrence. */
  readonly family: Family;
  /** Coupled decay: g = gradient + decay * parameter. */
  readonly coupled: boolean;
  /** Decoupled decay: the step carries shrink * parameter. */
  readonly decoupled: boolean;
  /** SGD looks ahead: g + momentum * buf. */
  readonly nesterov: boolean;
  /** RMSprop divides by the standard deviation. */
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
/** One of the numbers of a step, by name. */
export type ScalarName = (typeof SCALARS)[number];
/** All numbers of a step; those that a kernel does not take are 0. */
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
  /** What it is compiled to. */
  readonly kernel: Kernel;
  /** Its numbers, in float64. */
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
  /** The seed as (low, high) words. */
  readonly key: Key;
  /** The mask's step, from 1. */
  readonly step: number;
  /** By tensor; null stands still. */
  readonly tensors: readonly (TensorPlan | null)[];
}

/**
 * The buffers of one tensor. `Buffer` is a `Float32Array` (js), a byte pointer (wasm) or a `GPUBuffer` (webgpu).
 * All are of the tensor's size but `alignment`, which has one element; the gradient is only read.
 */
export interface TensorBuffers<Buffer> {
  /** Stepped in place. */
  readonly parameter: Buffer;
  /** Of this step; only read. */
  readonly gradient: Buffer;
  /** By the names of `spec/rules.ts`. Names that this step's kernel does not use are left alone. */
  readonly state: Readonly<Record<string, Buffer>>;
}

/** A fused step over separate buffers, in place. `tensors[i]` goes with `plan.tensors[i]`; it may be null where that is. */
export interface Engine<Buffer> {
  /** Carries out a step in place. Throws `InvalidArgumentError` where buffers and plan do not fit. */
  step(plan: StepPlan, tensors: readonly (TensorBuffers<Buffer> | null)[]): void;
}

/** How threads share a stretch out. */
export interface Access {
  readonly name: string;
  /** Elements of one item of a kernel's arrays: vectors of 4, or 1. */
  readonly unit: 1 | 4;
  /** Declarations and the main function, which calls `advance(i, kept)`; `masked`: `draw(block)` is there. */
  main(masked: boolean): string;
}

/** A stretch of elements that share kernel, scalars and threshold. */
export interface Stretch {
  readonly tensor: TensorPlan;
  /** Elements. */
  readonly count: number;
  /** Its first element in the bound buffers, in units of the access. */
  readonly first: number;
  /** Its first element's block in the mask stream. */
  readonly block: number;
}

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** One dispatch: which pipeline on which stretch, with `window` elements of each buffer bound from `offset` on. */
export interface Dispatch {
  readonly stretch: Stretch;
  readonly access: Access;
  readonly buffers: TensorBuffers<GPUBuffer>;
  /** In elements. */
  readonly offset: number;
  readonly window: number;
  /** Where its measured factor is. */
  readonly factor?: GPUBufferBinding | undefined;
}

/** A tensor of a step on its buffers, from element `at` on. `index` is its place in the plan. */
export interface Placed {
  readonly tensor: TensorPlan;
  readonly index: number;
  readonly buffers: TensorBuffers<GPUBuffer>;
  readonly at: number;
  readonly access: Access;
}

/** A dispatch as the pass takes it. */
export interface Command {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  /** Of its scalars in the uniform buffer. */
  readonly offset: number;
  readonly size: readonly [number, number];
}

/** Sums over a stretch, as a measuring function returns them. */
export type Sums = number | Iterable<number>;

/** What all assembled functions take first: how many elements, from which block of the streams on, and what is drawn. */
export type Place = readonly [
  count: number,
  block: number,
  step: number,
  key0: number,
  key1: number,
  threshold: number,
];

/** An assembled module's function: its place, pointers, then the ten `SCALARS`. A step returns nothing, a measure its sums. */
export type StepFunction = (
  ...values: readonly [
    ...Place,
    parameter: number,
    gradient: number,
    s0: number,
    s1: number,
    s2: number,
    ...scalars: readonly number[],
  ]
) => Sums | undefined;

/** What a module does to a stretch: step it, with a mask from somewhere or none, or measure it. */
export type Work = Mode | MeasuringWork;

/** One call of an assembled function, and its arguments. */
export interface Call {
  readonly kernel: Kernel;
  readonly work: Work;
  readonly values: Parameters<StepFunction>;
}

/** Where the engine for arrays steps them: slots for parameter, gradient and state, with their byte pointers, of `MEASURED` elements each. */
export interface Stage {
  readonly slots: readonly Float32Array[];
  readonly pointers: readonly [number, number, number, number, number];
  instanceOf(this: void, kernel: Kernel, work: Work): StepFunction;
}

/**
 * Elements that are measured at once. Each stretch's sums are added on the host in the order of the stretches, so that they have the same bits
 * whoever measured which. Small enough for the stage of `arrays.ts`, whole turns of the kernels, and no power of two: stretches side by side then
 * fall into different sets of a cache.
 */
export const MEASURED = 8704;

/**
 * Stretches that a call measures side by side where a tensor has as many: reading two arrays from one place each leaves most of a processor's
 * bandwidth unused.
 */
export const TOGETHER = 4;

/** What is summed over a tensor: the three products of an alignment, or how many elements agree. */
export type Measured =
  | {
      readonly of: 'alignment';
      /** Whether the moment is the measure's own, the state `mu`, which goes on. */
      readonly own: boolean;
      /** Whether the moment is the one before the step. */
      readonly before: boolean;
    }
  | { readonly of: 'agreement' };

/** How a tensor's factor is measured. */
export interface Measure {
  readonly measured: Measured;
  /** Whether the factor multiplies decoupled decay too. */
  readonly scalesDecay: boolean;
  /** The state that it keeps, by the names of `spec/family.ts`. */
  readonly state: readonly string[];
  /** The factor of a tensor on arrays; its state goes on. */
  arrays(tensor: TensorPlan, buffers: TensorBuffers<Float32Array>): number;
  /** By functions in WebAssembly. */
  wasm(tensor: TensorPlan): WasmMeasure;
  /** Steps a tensor in a memory by `run`, measured before or on the way. */
  inMemory(
    memory: WebAssembly.Memory,
    run: (call: Call) => Sums | undefined,
    position: Pick<StepPlan, 'key' | 'step'>,
    tensor: TensorPlan,
    buffers: TensorBuffers<number>,
  ): void;
  /** The same on arrays, stretch by stretch on the stage. */
  onStage(stage: Stage, tensor: TensorPlan, buffers: TensorBuffers<Float32Array>): TensorPlan;
  /** By shaders, for all measures of a step. */
  webgpu(host: WgslHost): WgslMeasurer;
  /** What `webgpu` needs of a tensor of this measure. */
  wgsl(tensor: TensorPlan): WgslMeasure;
}

/** A function that measures. */
export interface MeasuringWork {
  /** Among the works of a kernel. */
  readonly name: string;
  /** A module that exports `run`, a function of a step's parameters that returns `Sums`. */
  assemble(shared: boolean): Uint8Array<ArrayBuffer>;
}

/** A measuring pass in WebAssembly: functions that are called on stretches, and what it makes of their results. */
export interface WasmMeasure {
  /** Measures a stretch. */
  readonly alone: MeasuringWork;
  /** Measures `TOGETHER` stretches of `MEASURED` elements, of which the first begins at its pointers; it returns what `alone` does of each, or the sum of it. */
  readonly together: MeasuringWork;
  /** What it reads beside parameter and gradient, in the order of its pointers. The first one is written where `writes`. */
  readonly reads: readonly string[];
  readonly writes: boolean;
  readonly scalars: Scalars;
  /** @param alignment - the state of that name, one element, which goes on; undefined where the measure keeps none */
  factor(results: readonly Sums[], size: number, alignment: Float32Array | undefined): number;
}

/** What a measurer takes of the WebGPU engine that it works for. */
export interface WgslHost {
  readonly device: GPUDevice;
  /** Bytes from one uniform block to the next. */
  readonly stride: number;
  /** @param types - of all bindings but the last, the uniform block */
  pipelineOf(
    this: void,
    key: string,
    types: readonly GPUBufferBindingType[],
    uniformBytes: number,
    code: () => string,
  ): Pipeline;
  /** The stretches of a tensor that one binding each may hold, in units of `unit` elements. */
  cut(this: void, placed: Placed, unit: Access['unit']): readonly Dispatch[];
}

/** The measuring passes of a WebGPU engine's steps. */
export interface WgslMeasurer {
  /** @param flat - whether the buffers are flat: a tensor's alignment then lies at its index times `ALIGNMENT_STRIDE` */
  prepare(list: readonly Placed[], flat: boolean): Measuring;
}

/** What is to be dispatched before a step, and where its factors will be. */
export interface Measuring {
  readonly commands: readonly Command[];
  readonly factors: ReadonlyMap<TensorPlan, GPUBufferBinding>;
  /** To be called once everything has been submitted. */
  release(): void;
}

/** A measuring pass on WebGPU: partial sums by all invocations, fewer of them where they are many, then a factor by one workgroup. */
export interface WgslMeasure {
  /** Among the measures of a kernel. */
  readonly name: string;
  /** The buffers that it binds, in order, before the partial sums (16 bytes each) and the uniform block. The last is written where `writes`. */
  readonly binds: readonly string[];
  readonly writes: boolean;
  readonly scalars: Scalars;
  /** Its uniform block is the step's: `block` the first partial sum, `threshold` the number of workgroups. */
  sumShader(this: void): string;
  readonly factorName: string;
  /** Binds the partial sums and a uniform block of 16 bytes, four words: the first of the many, their number, the first of the few and their number. */
  gatherShader(this: void): string;
  /** Binds the partial sums, the factor and a uniform block of 32 bytes: two words, the first partial sum and their number, then `numbers`. */
  factorShader(this: void): string;
  readonly numbers: readonly number[];
}

/** A tensor's scalars with its measured factor in them. */
export function withFactor(scalars: Scalars, { scalesDecay }: Measure, factor: number): Scalars {
  const { rate, shrink } = scalars;
  return { ...scalars, rate: rate * factor, shrink: scalesDecay ? shrink * factor : shrink };
}
