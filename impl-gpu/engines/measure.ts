/**
 * What an engine needs of a mask whose factor is measured over a whole tensor, in a pass before its step. The mask brings it (`masks/`): who
 * has none bundles none.
 */
import type { Scalars, TensorBuffers, TensorPlan } from './engine.ts';
import type { Command, Dispatch, Pipeline, Placed } from './webgpu.ts';

/** Sums over a stretch, as a measuring function returns them. */
export type Sums = number | Iterable<number>;

/** How a tensor's factor is measured. */
export interface Measure {
  /** Whether the factor multiplies decoupled decay too. */
  readonly scalesDecay: boolean;
  /** The state that it keeps, by the names of `spec/family.ts`. */
  readonly state: readonly string[];
  /** The factor of a tensor on arrays; its state goes on. */
  arrays(tensor: TensorPlan, buffers: TensorBuffers<Float32Array>): number;
  /** By functions in WebAssembly. */
  wasm(tensor: TensorPlan): WasmMeasure;
  /** By shaders, for all measures of a step. */
  webgpu(host: WgslHost): WgslMeasurer;
  /** What `webgpu` needs of a tensor of this measure. */
  wgsl(tensor: TensorPlan): WgslMeasure;
}

/** A measuring pass in WebAssembly: a function that is called on stretches, and what it makes of its results. */
export interface WasmMeasure {
  /** Among the works of a kernel. */
  readonly name: string;
  /** A module that exports `run`, a function of a step's parameters that returns `Sums`. */
  assemble(shared: boolean): Uint8Array<ArrayBuffer>;
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
  /** The stretches of a tensor that one binding each may hold. */
  cut(this: void, placed: Placed): readonly Dispatch[];
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

/** A measuring pass on WebGPU: partial sums by up to 256 workgroups, then a factor by one. */
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
  /** Binds the partial sums, the factor and a uniform block of 32 bytes: two words, the first partial sum and their number, then `numbers`. */
  factorShader(this: void): string;
  readonly numbers: readonly number[];
}

/** A tensor's scalars with its measured factor in them. */
export function withFactor(scalars: Scalars, { scalesDecay }: Measure, factor: number): Scalars {
  const { rate, shrink } = scalars;
  return { ...scalars, rate: rate * factor, shrink: scalesDecay ? shrink * factor : shrink };
}
