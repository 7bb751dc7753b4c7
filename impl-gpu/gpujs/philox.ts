/**
 * Philox4x32-10 as gpu.js helper functions, exact in all of its modes.
 *
 * gpu.js has 32-bit integers only where a helper's argument or result is declared `Integer`: an integer `let` decays to
 * float32 on webgpu and webasm, `Math.imul` is a float product there, and literals above 2^24 that stand alone as an argument pass through
 * float32 on webasm. So no 32-bit value is ever held in a local: a round is a function whose arguments are the state, each round
 * calls the next, and constants are 16-bit halves or stand beside an operator. Every product below also stays under 2^53, because cpu mode
 * computes in JavaScript numbers. The helpers are text, not functions to be read back with `toString`: what a minifier or
 * a transpiler does to functions (renaming, `__name`) cannot reach them.
 */
import { PHILOX, STREAMS } from '../../spec/stream.ts';
import type { Key } from '../philox.ts';

/** A function to add to a gpu.js kernel: all arguments and the result are 32-bit integers. */
interface IntegerHelper {
  readonly name: string;
  readonly source: string;
  readonly arguments: number;
}

const helper = (name: string, parameters: readonly string[], expression: string): IntegerHelper => ({
  name,
  source: `function ${name}(${parameters.join(', ')}) { return ${expression}; }`,
  arguments: parameters.length,
});

/** The low word of a * (high * 2^16 + low). */
const lowWord = (a: string, low: number, high: number): string =>
  `(((${a} | 0) * ${low} + (((${a} | 0) * ${high}) << 16)) | 0)`;

/** Its high word. Written in place, not as helpers: a call costs webasm more than the product that its compiler finds twice. */
function highWord(a: string, low: number, high: number): string {
  const middle = `((${a} & 65535) * ${high} + (((${a} & 65535) * ${low}) >>> 16))`;
  const other = `((${a} >>> 16) * ${low} + (${middle} & 65535))`;
  return `(((${a} >>> 16) * ${high} + (${middle} >>> 16) + (${other} >>> 16)) | 0)`;
}

const STATE = ['c0', 'c1', 'c2', 'c3', 'k0', 'k1', 'threshold'] as const;

/** The eight draws of a block against the threshold, as a byte: bit i is set where element i of the block is kept. */
function keptBits(): string {
  const bits = ['c0', 'c1', 'c2', 'c3'].flatMap((word, i) => [
    `(((${word} & 65535) - threshold) >>> 31) << ${2 * i}`,
    `(((${word} >>> 16) - threshold) >>> 31) << ${2 * i + 1}`,
  ]);
  return bits.map((bit) => `(${bit})`).join(' | ');
}

type Halves = readonly [low: number, high: number];

function round(index: number): IntegerHelper {
  const [w0, w1] = PHILOX.weyl.map((word) => word | 0) as [number, number];
  const [m0, m1] = PHILOX.multipliers.map((word): Halves => [word & 0xffff, word >>> 16]) as [Halves, Halves];
  const next = index + 1 === PHILOX.rounds ? 'keptBits' : `round${index + 1}`;
  const counter = [
    `${highWord('c2', ...m1)} ^ c1 ^ k0`,
    lowWord('c2', ...m1),
    `${highWord('c0', ...m0)} ^ c3 ^ k1`,
    lowWord('c0', ...m0),
  ];
  return helper(
    `round${index}`,
    STATE,
    `${next}(${counter.join(', ')}, (k0 + ${w0}) | 0, (k1 + ${w1}) | 0, threshold)`,
  );
}

/** Helpers of the mask kernel, each after those that it calls. */
const HELPERS: readonly IntegerHelper[] = [
  helper('keptBits', STATE, keptBits()),
  ...Array.from({ length: PHILOX.rounds }, (_, i) => round(PHILOX.rounds - 1 - i)),
];

/**
 * The mask kernel: thread i draws block `block` + i of the LRD stream and returns its eight kept bits as a number below 256, so an
 * element's bit costs an eighth of a block. Arguments are Integers: words of counter and key as int32, the threshold at most 65535.
 */
export const MASK_SOURCE = `function mask(block, step, key0, key1, threshold) {
  return round0((this.thread.x + block) | 0, 0, step, ${STREAMS.mask}, key0, key1, threshold);
}`;

/** Integers only, for the mask's helpers. */
const integers = (count: number): readonly 'Integer'[] => Array.from({ length: count }, () => 'Integer' as const);

/** Settings of the mask kernel, beside its output. */
export const MASK_SETTINGS = {
  argumentTypes: integers(5),
  returnType: 'Number',
  functions: HELPERS.map(({ source, arguments: count }) => ({
    source,
    settings: { argumentTypes: integers(count), returnType: 'Integer' },
  })),
} as const;

/** The mask kernel's arguments, all int32. */
export const maskArguments = (block: number, step: number, key: Key, threshold: number): number[] => [
  block | 0,
  step | 0,
  key[0] | 0,
  key[1] | 0,
  threshold,
];
