/** The text of the kernels that gpu.js translates: to WGSL, to WebAssembly or to JavaScript. */
import type { Kernel } from '../engines/engine.ts';
import { kernelName } from '../engines/engine.ts';
import type { Part } from './formulas.ts';
import { elementOf, partsOf } from './formulas.ts';

/** A kernel for gpu.js, with the types of its arguments in order. */
export interface KernelSource {
  readonly source: string;
  /** Arrays first, then scalars. */
  readonly arrays: readonly string[];
  readonly scalars: readonly string[];
}

/** The array of mask bytes: see `MASK_SOURCE`. */
export const MASK = 'kept';

/**
 * How a parameter's kernel is told what is kept: eight elements a number, as `MASK_SOURCE` draws them; or a number an element, for
 * a mode without integers. `none`: everything is kept.
 */
export type MaskForm = 'none' | 'bits' | 'flags';

/** Whether this thread's element is kept. */
const KEPT = {
  bits: `((${MASK}[this.thread.x >> 3] >> (this.thread.x & 7)) & 1) === 1`,
  flags: `${MASK}[this.thread.x] > 0.5`,
} as const;

const body = (statements: readonly string[]): string => statements.map((line) => `  ${line}\n`).join('');

/** A choice between two values, never a product: a dropped parameter is returned as it was read. */
const choose = (next: string, mask: MaskForm): string[] => [
  `const next = ${next};`,
  mask === 'none' ? 'return next;' : `return ${KEPT[mask]} ? next : ${elementOf('parameter')};`,
];

/** One part of a step; the parameter's part chooses by the mask. */
function partSource({ output, arrays, scalars, statements, expression }: Part, mask: MaskForm): KernelSource {
  const choosing = mask !== 'none' && output === 'parameter';
  const read = choosing && !arrays.includes('parameter') ? [...arrays, 'parameter'] : arrays;
  const all = choosing ? [...read, MASK] : read;
  const lines = [
    ...read.map((name) => `const ${elementOf(name)} = ${name}[this.thread.x];`),
    ...statements,
    ...(output === 'parameter' ? choose(expression, mask) : [`return ${expression};`]),
  ];
  return {
    source: `function next_${output}(${[...all, ...scalars].join(', ')}) {\n${body(lines)}}`,
    arrays: all,
    scalars,
  };
}

/** A part's kernel, with what it writes. */
export interface PartSource extends KernelSource {
  readonly output: string;
}

const sources = new Map<string, readonly PartSource[]>();

/** The kernels of a step, in the order in which they must run. */
export function stepSources(kernel: Kernel, mask: MaskForm): readonly PartSource[] {
  const key = `${kernelName(kernel)} ${mask}`;
  let parts = sources.get(key);
  if (parts === undefined) {
    parts = partsOf(kernel).map((part) => ({ ...partSource(part, mask), output: part.output }));
    sources.set(key, parts);
  }
  return parts;
}

/** sgdm-avg: the gradient with coupled decay, as it enters the ring. */
export const COUPLED: KernelSource = {
  source: `function coupled(parameter, gradient, decay) {
  return gradient[this.thread.x] + decay * parameter[this.thread.x];
}`,
  arrays: ['parameter', 'gradient'],
  scalars: ['decay'],
};

/**
 * sgdm-avg's step along the mean of a ring of `window` rows, eq. (10). The window is a literal: gpu.js cuts loops of a variable length
 * short after 1000 turns.
 */
export function averageSource(window: number, mask: MaskForm): KernelSource {
  const arrays = ['parameter', 'ring', ...(mask === 'none' ? [] : [MASK])];
  const lines = [
    `const ${elementOf('parameter')} = parameter[this.thread.x];`,
    'let sum = ring[0][this.thread.x];',
    ...(window > 1 ? [`for (let row = 1; row < ${window}; row++) { sum += ring[row][this.thread.x]; }`] : []),
    ...choose(`${elementOf('parameter')} - rate * (sum / ${window})`, mask),
  ];
  return {
    source: `function average(${[...arrays, 'rate'].join(', ')}) {\n${body(lines)}}`,
    arrays,
    scalars: ['rate'],
  };
}
