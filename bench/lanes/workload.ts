/** What an optimizer step is measured on: lists of tensor sizes, and values that stay finite over thousands of steps. */
import type { RuleName } from 'learning-rate-dropout/spec';
import { keyOf, layOut } from 'learning-rate-dropout/stream';
import { sizeOf } from 'learning-rate-dropout/internal';
import type { Mask, StepPlan } from 'learning-rate-dropout/gpu';
import { planStep } from 'learning-rate-dropout/gpu';

/** A list of tensors by shape. */
export interface Workload {
  /** As in "1,000,000 in 1 tensor" or "ResNet-34". */
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly sizes: readonly number[];
  readonly elements: number;
  /** Two columns in five have a gradient in the first step only, and have been without for `SILENT_STEPS`: units that no example wakes any more. */
  readonly silent?: true;
}

/** Steps without a gradient before those that are measured: .9 to this power is below the smallest float32. */
export const SILENT_STEPS = 1000;

function workload(name: string, shapes: readonly (readonly number[])[]): Workload {
  const sizes = shapes.map(sizeOf);
  return { name, shapes, sizes, elements: sizes.reduce((sum, size) => sum + size, 0) };
}

const digits = (value: number): string => value.toLocaleString('en');

/** One tensor of so many elements. */
export function single(elements: number): Workload {
  return workload(`${digits(elements)} in 1 tensor`, [[elements]]);
}

/** So many elements in `tensors` tensors of equal length. */
export function split(elements: number, tensors: number): Workload {
  const shapes = Array.from({ length: tensors }, () => [Math.floor(elements / tensors)]);
  return workload(`${digits(elements)} in ${tensors} tensors`, shapes);
}

/** ResNet-34 for 32 x 32 images and 10 classes (a 3 x 3 stem): 21,282,122 parameters in 110 tensors. */
export function resNet34(): Workload {
  const shapes: number[][] = [];
  const convolution = (kernel: number, inputs: number, outputs: number): void => {
    shapes.push([kernel, kernel, inputs, outputs], [outputs], [outputs]);
  };
  convolution(3, 3, 64);
  let channels = 64;
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const width = 64 * 2 ** stage;
    for (let block = 0; block < blocks; block++) {
      convolution(3, channels, width);
      convolution(3, width, width);
      if (block === 0 && stage > 0) convolution(1, channels, width);
      channels = width;
    }
  }
  shapes.push([512, 10], [10]);
  return workload('ResNet-34, 21,282,122 in 110 tensors', shapes);
}

/** DenseNet-121 for 32 x 32 images and 10 classes: 6,956,298 parameters in 362 tensors. */
export function denseNet121(): Workload {
  const growth = 32;
  const shapes: number[][] = [[3, 3, 3, 2 * growth]];
  let channels = 2 * growth;
  const normalisation = (): void => void shapes.push([channels], [channels]);
  for (const [stage, layers] of [6, 12, 24, 16].entries()) {
    for (let layer = 0; layer < layers; layer++) {
      normalisation();
      shapes.push([1, 1, channels, 4 * growth], [4 * growth], [4 * growth], [3, 3, 4 * growth, growth]);
      channels += growth;
    }
    normalisation();
    if (stage === 3) break;
    shapes.push([1, 1, channels, channels / 2]);
    channels /= 2;
  }
  shapes.push([channels, 10], [10]);
  return workload('DenseNet-121, 6,956,298 in 362 tensors', shapes);
}

/** FCNet: 784-1000-1000-10. */
export function fcNet(): Workload {
  return workload('FCNet, 1,796,010 in 6 tensors', [[784, 1000], [1000], [1000, 1000], [1000], [1000, 10], [10]]);
}

/** The same, of which two columns in five have been without a gradient for long. */
export const silenced = (awake: Workload): Workload => ({ ...awake, silent: true });

/** The gradients of a tensor without those of its silent columns. */
export const silence = (values: Float32Array, shape: readonly number[]): Float32Array =>
  values.map((value, i) => ((i % (shape.at(-1) as number)) % 5 < 2 ? 0 : value));

/** What a lane's name says of its workload. */
export const silentName = ({ silent }: Workload): string => (silent === true ? ', two units in five silent' : '');

/** Gradients of about 1e-2: enough to move every parameter, too little to leave float32's range. */
export function gradientValues(size: number): Float32Array {
  const values = new Float32Array(size);
  let x = 12345;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    // Never 0: a peer might take a short cut.
    values[i] = (x | 1) * (0.02 / 2 ** 31);
  }
  return values;
}

/** Plans the next step of a workload on each call, as an optimizer would: the host's part of a step. */
export function planner(rule: RuleName, { sizes }: Workload, keepProbability: number, mask?: Mask): () => StepPlan {
  const bases = layOut(sizes);
  const hyper = {};
  const key = keyOf(0x0123456789abcdefn);
  let step = 0;
  return () => {
    step += 1;
    const tensors = sizes.map((size, k) => ({
      base: bases[k] as number,
      size,
      count: step,
      hyper,
      keepProbability,
      mask,
    }));
    return planStep({ rule, key, step, tensors });
  };
}

/** State that each rule keeps with its defaults, in tensors of the parameters' size. */
const STATES: Readonly<Partial<Record<RuleName, readonly string[]>>> = {
  sgdm: ['buf'],
  rmsprop: ['v'],
  adam: ['m', 'v'],
  amsgrad: ['m', 'v', 'vmax'],
  radam: ['m', 'v'],
  adamw: ['m', 'v'],
};

/** Rules that the fused engines run. */
export const FUSED_RULES = Object.keys(STATES) as readonly RuleName[];

export function statesOf(rule: RuleName, mask?: Mask): readonly string[] {
  const states = STATES[rule];
  if (states === undefined) throw new Error(`${rule} is not a rule of the fused engines`);
  return mask === undefined ? states : [...states, ...mask.stateNames(rule, {})];
}

/** Bytes that a step must read and write: parameter and state both ways, the gradient once. 28 a parameter for Adam. */
export function bytesMoved(rule: RuleName, elements: number): number {
  return elements * 4 * (2 * (1 + statesOf(rule).length) + 1);
}
