/** One tensor's gradient, flat and row-major; null where a parameter has none in this step. */
export type Gradient = Float64Array | null;

/**
 * When a transformation acts: first 'clip', then 'noise' (dropout on gradients, gradient noise, Sparse Gradients), then, after coupled
 * L2, 'centralize'.
 */
export type Stage = 'clip' | 'noise' | 'centralize';

/** What a transformation may know about the step that it takes part in. */
export interface StepContext {
  /** The optimizer's step, counted from 1. */
  readonly step: number;
  /** Each tensor's shape, in list order. */
  readonly shapes: readonly (readonly number[])[];
  /** Each tensor's place in the random stream, in list order. */
  readonly bases: readonly number[];
}

/** A transformation's memory: a plain record of numbers. */
export type TransformationState = Readonly<Record<string, number>>;

/** A small change of the gradients, as in optax: a pure function with its state beside it. */
export interface GradientTransformation {
  /** Names its state; unique within an optimizer. */
  readonly name: string;
  /** Where it stands in a step's order. */
  readonly stage: Stage;
  /** Its state before the first step. */
  init(): TransformationState;
  /** The gradients and the state after it. Pure: neither argument is written to. */
  apply(
    gradients: readonly Gradient[],
    state: TransformationState,
    context: StepContext,
  ): { readonly gradients: readonly Gradient[]; readonly state: TransformationState };
}

/** A mask of the updates that is not learning rate dropout's own, with its state beside it. */
export interface UpdateMask {
  /** Names its state; unique within an optimizer. */
  readonly name: string;
  /** Its state before the first step. */
  init(): TransformationState;
  /** The result's `mask` gives each tensor's bits, 1 where it lets the update through. */
  draw(
    state: TransformationState,
    context: StepContext,
  ): { readonly mask: (tensor: number) => Uint8Array; readonly state: TransformationState };
}

/** The number of elements of a tensor of this shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}
