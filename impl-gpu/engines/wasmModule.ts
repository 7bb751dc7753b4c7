/**
 * WebAssembly modules, assembled at run time: one a kernel and mode, for plain or shared memory. The step has hundreds of variants (rule, flags, mask,
 * kind of memory) of some kilobytes each; assembling those that are asked for takes a few milliseconds and needs no compiler, no build step and no
 * binary in the repository. Here is what they are made of: the assembler, a pass over elements, the mask's draw.
 */
import { PHILOX } from '../../spec/stream.ts';
import type { Kernel, Place, ScalarName } from './engine.ts';
import { SCALARS } from './engine.ts';
import * as OP from './opcodes.ts';
import * as SIMD from './simdOpcodes.ts';
import type { Algebra } from './formulas.ts';
import { divides } from './formulas.ts';

/** Bytes of a page of a WebAssembly memory. */
export const PAGE = 65536;

/** Elements of one turn of the main loop: four blocks of the mask stream. */
export const LANES = 32;

export const I32 = 0x7f;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;

export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    const byte = value & 0x7f;
    value >>>= 7;
    bytes.push(value === 0 ? byte : byte | 0x80);
  } while (value !== 0);
  return bytes;
}

function signed(value: number): number[] {
  const bytes: number[] = [];
  for (;;) {
    const byte = value & 0x7f;
    value >>= 7;
    if (value === ((byte & 0x40) === 0 ? 0 : -1)) return [...bytes, byte];
    bytes.push(byte | 0x80);
  }
}

const vector = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()];
/** "\0asm", version 1. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
const name = (text: string): number[] => vector(Array.from(new TextEncoder().encode(text), (byte) => [byte]));

/** A function under construction. Values are the indices of locals; every operation writes a new one. */
export class Assembler {
  readonly #code: number[] = [];
  readonly #parameters: readonly number[];
  readonly #locals: number[] = [];

  constructor(parameters: readonly number[]) {
    this.#parameters = parameters;
  }

  emit(...parts: readonly (readonly number[])[]): void {
    for (const part of parts) this.#code.push(...part);
  }

  local(type: number): number {
    this.#locals.push(type);
    return this.#parameters.length + this.#locals.length - 1;
  }

  get(local: number): number[] {
    return [0x20, ...unsigned(local)];
  }

  set(local: number): void {
    this.emit([0x21, ...unsigned(local)]);
  }

  i32(value: number): number[] {
    return [0x41, ...signed(value | 0)];
  }

  simd(opcode: number, ...immediates: readonly number[]): number[] {
    return [0xfd, ...unsigned(opcode), ...immediates];
  }

  /** A new local with the result of `opcode` on the given locals. */
  apply(type: number, opcode: readonly number[], ...operands: readonly number[]): number {
    const result = this.local(type);
    this.emit(...operands.map((operand) => this.get(operand)), opcode);
    this.set(result);
    return result;
  }

  v128(opcode: number, ...operands: readonly number[]): number {
    return this.apply(V128, this.simd(opcode), ...operands);
  }

  splat(value: number): number {
    const result = this.local(V128);
    this.emit(this.i32(value), this.simd(SIMD.i32x4Splat));
    this.set(result);
    return result;
  }

  /** Lanes of 32 bits from two vectors: 0 to 3 of `a`, 4 to 7 of `b`. */
  shuffle(a: number, b: number, ...lanes: readonly number[]): number {
    const bytes = lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
    return this.apply(V128, this.simd(SIMD.shuffle, ...bytes), a, b);
  }

  /** The function's body in the code section. */
  body(): number[] {
    const locals = vector(this.#locals.map((type) => [1, type]));
    const bytes = [...locals, ...this.#code, ...OP.end];
    return [...unsigned(bytes.length), ...bytes];
  }
}

/** What all exported functions take first: how many elements, from which block of the streams on, and what is drawn. */
export const PLACE = ['count', 'block', 'step', 'key0', 'key1', 'threshold'];
/** The parameters of a step, in order; its scalars follow. */
const PARAMETERS = [...PLACE, 'parameter', 'gradient', 's0', 's1', 's2'];
export const PARAMETER_TYPES = [...PARAMETERS.map(() => I32), ...SCALARS.map(() => F32)];
export const indexOf = (parameter: string): number => PARAMETERS.indexOf(parameter);
export const scalarIndex = (scalar: ScalarName): number => PARAMETERS.length + SCALARS.indexOf(scalar);

/** The operations of `formulas.ts` on locals. */
export function algebraOf(f: Assembler): Algebra<number> {
  return {
    add: (a, b) => f.v128(SIMD.f32x4Add, a, b),
    sub: (a, b) => f.v128(SIMD.f32x4Sub, a, b),
    mul: (a, b) => f.v128(SIMD.f32x4Mul, a, b),
    div: (a, b) => f.v128(SIMD.f32x4Div, a, b),
    sqrt: (a) => f.v128(SIMD.f32x4Sqrt, a),
    max: (a, b) => f.v128(SIMD.f32x4Max, a, b),
  };
}

/** All ones where both have the same sign and neither is 0, nor, where the kernel divides, the first one infinite. */
export function emitAgree(f: Assembler, kernel: Kernel, [a, b]: readonly [number, number], zero: number): number {
  const both = (compare: number): number =>
    f.v128(SIMD.and, f.v128(compare, a, zero), a === b ? f.v128(compare, a, zero) : f.v128(compare, b, zero));
  const same = f.v128(SIMD.or, both(SIMD.f32x4Gt), both(SIMD.f32x4Lt));
  if (!divides(kernel)) return same;
  return f.v128(SIMD.and, same, f.v128(SIMD.f32x4Eq, f.v128(SIMD.f32x4Sub, a, a), zero));
}

/** How elements are read and written. */
export interface Access {
  readonly load: number[];
  readonly store: number[];
}

/** What is the same for all blocks of a call, in all lanes. */
interface Prologue {
  /** The keys of the ten rounds; the stream is in the first `key1`. */
  readonly key0: readonly number[];
  readonly key1: readonly number[];
  readonly m0: number;
  readonly m1: number;
  /** threshold - 1 in each half. */
  readonly limit: number;
  /** Words behind round 1 and 2 that do not depend on the block. */
  readonly low1: number;
  readonly round2: number;
  readonly low2: number;
  /** Blocks of a turn. */
  readonly four: number;
}

/** a * constant on four lanes: high and low words. */
function emitMultiply(f: Assembler, a: number, constant: number): { high: number; low: number } {
  const first = f.v128(SIMD.i64x2ExtmulLowU, a, constant);
  const second = f.v128(SIMD.i64x2ExtmulHighU, a, constant);
  return { high: f.shuffle(first, second, 1, 3, 5, 7), low: f.shuffle(first, second, 0, 2, 4, 6) };
}

/**
 * The bits of 32 elements: vectors of eight halves, all ones where kept. Two belong together: elements 0 to 3 of two blocks, and elements 4
 * to 7 of the same two.
 */
export type Kept = readonly (readonly [front: number, back: number])[];

/**
 * The bits of the four blocks in the lanes of `blocks`.
 * The other counter words are the same in all lanes, so half of the first two rounds is done once, in the prologue.
 */
function emitKept(f: Assembler, blocks: number, { key0, key1, m0, m1, limit, low1, round2, low2 }: Prologue): Kept {
  const xor = (a: number, b: number): number => f.v128(SIMD.xor, a, b);
  // Round 1 on (block, 0, step, stream), the stream inside the key: c1 = low1 in all lanes, and c0 is inside round2 and low2.
  const product0 = emitMultiply(f, blocks, m0);
  let c2 = xor(product0.high, key1[0] as number);
  // Round 2.
  const product1 = emitMultiply(f, c2, m1);
  let c0 = xor(xor(product1.high, low1), key0[1] as number);
  let c1 = product1.low;
  c2 = xor(product0.low, round2);
  let c3 = low2;
  for (let round = 2; round < PHILOX.rounds; round++) {
    const a = emitMultiply(f, c0, m0);
    const b = emitMultiply(f, c2, m1);
    c0 = xor(xor(b.high, c1), key0[round] as number);
    c2 = xor(xor(a.high, c3), key1[round] as number);
    c1 = b.low;
    c3 = a.low;
  }
  // half < T as half <= T - 1, which x86 has; then words of one block side by side.
  const kept = [c0, c1, c2, c3].map((word) => f.v128(SIMD.i16x8LeU, word, limit)) as [number, number, number, number];
  const [k0, k1, k2, k3] = kept;
  return [
    [f.shuffle(k0, k1, 0, 4, 1, 5), f.shuffle(k2, k3, 0, 4, 1, 5)],
    [f.shuffle(k0, k1, 2, 6, 3, 7), f.shuffle(k2, k3, 2, 6, 3, 7)],
  ];
}

/** The masks of 32 elements as eight vectors of four lanes. */
export function emitMasks(f: Assembler, kept: Kept): readonly number[] {
  return kept.flatMap(([front, back]) => [
    f.v128(SIMD.i32x4ExtendLowS, front),
    f.v128(SIMD.i32x4ExtendLowS, back),
    f.v128(SIMD.i32x4ExtendHighS, front),
    f.v128(SIMD.i32x4ExtendHighS, back),
  ]);
}

/** pointer += bytes, for all of the given pointers. */
export function emitAdvance(f: Assembler, pointers: readonly number[], bytes: number): void {
  for (const pointer of pointers) {
    f.emit(f.get(pointer), f.i32(bytes), OP.i32Add);
    f.set(pointer);
  }
}

export function emitAdd(f: Assembler, local: number, amount: number): void {
  f.emit(f.get(local), f.i32(amount), OP.i32Add);
  f.set(local);
}

/** `stream`: a parameter with the stream's number; undefined: the masks', which is 0. */
function emitPrologue(f: Assembler, stream?: number): Prologue {
  const splat32 = (i32: number): number => f.v128(SIMD.i32x4Splat, i32);
  const i32 = (parts: readonly (readonly number[])[]): number => {
    const result = f.local(I32);
    f.emit(...parts);
    f.set(result);
    return result;
  };
  const key = (parameter: string, increment: number): readonly number[] =>
    Array.from({ length: PHILOX.rounds }, (_, round) =>
      splat32(i32([f.get(indexOf(parameter)), f.i32(Math.imul(round, increment)), OP.i32Add])),
    );
  const xor = (a: number, b: number): number => f.v128(SIMD.xor, a, b);
  const [key0, plain1] = [key('key0', PHILOX.weyl[0]), key('key1', PHILOX.weyl[1])];
  const [first1 = 0, ...later1] = plain1;
  const key1 = [stream === undefined ? first1 : xor(first1, splat32(stream)), ...later1];
  const [m0, m1] = [f.splat(PHILOX.multipliers[0]), f.splat(PHILOX.multipliers[1])];
  const step = emitMultiply(f, splat32(indexOf('step')), m1);
  const round1 = xor(step.high, key0[0] as number);
  const next = emitMultiply(f, round1, m0);
  const limit = f.local(V128);
  f.emit(f.get(indexOf('threshold')), f.i32(1), OP.i32Sub, f.simd(SIMD.i16x8Splat));
  f.set(limit);
  const round2 = xor(next.high, key1[1] as number);
  return { key0, key1, m0, m1, limit, low1: step.low, round2, low2: next.low, four: f.splat(4) };
}

/** A local with the blocks of the first turn. */
function emitFirstBlocks(f: Assembler): number {
  const blocks = f.local(V128);
  // v128.const 0, 1, 2, 3 plus the first block.
  f.emit(f.get(indexOf('block')), f.simd(SIMD.i32x4Splat), f.simd(SIMD.constant, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0)); // prettier-ignore
  f.emit(f.simd(SIMD.i32x4Add));
  f.set(blocks);
  return blocks;
}

function emitNextBlocks(f: Assembler, blocks: number, { four }: Prologue): void {
  f.emit(f.get(blocks), f.get(four), f.simd(SIMD.i32x4Add));
  f.set(blocks);
}

/** Locals with the scalars that are used, in all lanes. */
export function emitScalars(f: Assembler, used: ReadonlySet<ScalarName>): ReadonlyMap<ScalarName, number> {
  return new Map(
    SCALARS.filter((scalar) => used.has(scalar)).map((scalar) => [
      scalar,
      f.v128(SIMD.f32x4Splat, scalarIndex(scalar)),
    ]),
  );
}

/** Group `group` of a turn's four elements. */
export function accessAt(f: Assembler, group: number): Access {
  const offset = unsigned(16 * group);
  return { load: f.simd(SIMD.load, 2, ...offset), store: f.simd(SIMD.store, 2, ...offset) };
}

/** One element, in lane 0. */
export const tailAccess = (f: Assembler): Access => ({
  load: f.simd(SIMD.load32Zero, 2, 0),
  store: f.simd(SIMD.store32Lane, 2, 0, 0),
});

/**
 * A pass over `count` elements from block `block` on: 32 a turn, then one by one in lane 0, by the same operations. Pointers move along.
 * @param turn - takes the bits of 32 elements, undefined where nothing is drawn
 * @param single - takes the mask of one element in lane 0, and a local that tells how many came before it since the last turn
 */
export function emitPass(
  f: Assembler,
  pointers: readonly number[],
  masked: boolean,
  turn: (kept: Kept | undefined) => void,
  single: (mask: number | undefined, position: number) => void,
): void {
  const [count, block] = [indexOf('count'), indexOf('block')];
  const prologue = masked ? emitPrologue(f) : undefined;
  f.emit(f.get(count), f.i32(LANES), OP.i32GeU, OP.ifThen);
  const blocks = masked ? emitFirstBlocks(f) : 0;
  f.emit(OP.loop);
  turn(prologue === undefined ? undefined : emitKept(f, blocks, prologue));
  emitAdvance(f, pointers, 4 * LANES);
  if (prologue !== undefined) {
    emitNextBlocks(f, blocks, prologue);
    emitAdd(f, block, LANES / 8);
  }
  emitAdd(f, count, -LANES);
  f.emit(f.get(count), f.i32(LANES), OP.i32GeU, OP.brIf0, OP.end, OP.end);

  f.emit(f.get(count), OP.ifThen, OP.loop);
  const position = f.local(I32);
  let mask: number | undefined;
  if (prologue !== undefined) {
    const halves = f.local(V128);
    f.emit(f.get(position), f.i32(7), OP.i32And, OP.i32Eqz, OP.ifThen);
    // Four blocks as in a turn, of which the first one's elements are taken, in their order.
    const [[front, back]] = emitKept(f, emitFirstBlocks(f), prologue) as [[number, number]];
    f.emit(f.get(f.shuffle(front, back, 0, 1, 4, 5)));
    f.set(halves);
    emitAdd(f, block, 1);
    f.emit(OP.end);
    mask = f.v128(SIMD.i32x4ExtendLowS, halves);
    // They move down by one.
    const down = Array.from({ length: 16 }, (_, byte) => byte + 2);
    f.emit(f.get(halves), f.get(halves), f.simd(SIMD.shuffle, ...down));
    f.set(halves);
  }
  single(mask, position);
  emitAdvance(f, pointers, 4);
  if (masked) emitAdd(f, position, 1);
  emitAdd(f, count, -1);
  f.emit(f.get(count), OP.brIf0, OP.end, OP.end);
}

/** An exported function: its types, and its body in the code section. */
export interface AssembledFunction {
  readonly parameters: readonly number[];
  /** Types of what it returns. Default none. */
  readonly results?: readonly number[];
  readonly body: readonly number[];
}

/** A module that imports `env.memory` and exports functions by name. */
export function assemble(
  functions: Readonly<Record<string, AssembledFunction>>,
  shared: boolean,
): Uint8Array<ArrayBuffer> {
  const types = (list: readonly number[]): number[] => vector(list.map((type) => [type]));
  const all = Object.values(functions);
  // Limits: any size. A shared memory needs a maximum, and the widest one takes every memory.
  const limits = shared ? [0x03, 0, ...unsigned(65536)] : [0x00, 0];
  const names = Object.keys(functions);
  return new Uint8Array([
    ...MAGIC,
    ...section(1, vector(all.map(({ parameters, results = [] }) => [0x60, ...types(parameters), ...types(results)]))),
    ...section(2, vector([[...name('env'), ...name('memory'), 0x02, ...limits]])),
    ...section(3, vector(names.map((_, index) => unsigned(index)))),
    ...section(7, vector(names.map((exported, index) => [...name(exported), 0x00, index]))),
    ...section(10, vector(all.map(({ body }) => body))),
  ]);
}

/** A module that imports `env.memory` (declared shared if `shared`) and exports `run`, a function of a step's parameters. */
export function assembleRun(
  body: readonly number[],
  shared: boolean,
  results: readonly number[] = [],
): Uint8Array<ArrayBuffer> {
  return assemble({ run: { parameters: PARAMETER_TYPES, results, body } }, shared);
}

/** The parameters of a draw. */
const DRAW_PARAMETERS = [...PLACE, 'stream', 'out'];

/** Bytes of 32 elements a turn: 1 where kept, else 0. */
function assembleKept(): number[] {
  const f = new Assembler(DRAW_PARAMETERS.map(() => I32));
  const [stream, out, count] = [DRAW_PARAMETERS.indexOf('stream'), DRAW_PARAMETERS.indexOf('out'), indexOf('count')];
  const prologue = emitPrologue(f, stream);
  const blocks = emitFirstBlocks(f);
  const one = f.local(V128);
  f.emit(f.i32(1), f.simd(SIMD.i8x16Splat));
  f.set(one);
  f.emit(OP.loop);
  emitKept(f, blocks, prologue).forEach(([front, back], half) => {
    // As bytes: elements 0 to 3 of the first block, of the second, then 4 to 7 of both.
    const bytes = f.v128(SIMD.i8x16NarrowI16x8S, front, back);
    const kept = f.v128(SIMD.and, f.shuffle(bytes, bytes, 0, 2, 1, 3), one);
    f.emit(f.get(out), f.get(kept), f.simd(SIMD.store, 0, ...unsigned(16 * half)));
  });
  emitNextBlocks(f, blocks, prologue);
  emitAdd(f, out, LANES);
  emitAdd(f, count, -LANES);
  f.emit(f.get(count), OP.brIf0, OP.end);
  return f.body();
}

/** A module that imports `env.memory` and exports `run`, a `DrawFunction`. */
export function assembleDraw(): Uint8Array<ArrayBuffer> {
  return assemble({ run: { parameters: DRAW_PARAMETERS.map(() => I32), body: assembleKept() } }, false);
}

/** Writes `count` bytes (a multiple of 32, not 0) from the byte pointer `out` on: 1 where an element of the stream is kept, from block `block` on. */
export type DrawFunction = (...values: readonly [...Place, stream: number, out: number]) => void;
