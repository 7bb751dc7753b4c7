/**
 * The two halves of a replica's step in WebAssembly SIMD, in place on any `WebAssembly.Memory`. Packing is part of the pass that updates the
 * state: the kept ones of four elements are moved together by one byte shuffle, whose indices a table gives for each of the 16 masks.
 */
import { UnsupportedError } from '../validate.ts';
import type { Kernel, Place, StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { KEEP_ALL, kernelName, kernelState } from './engine.ts';
import { share } from './formulas.ts';
import * as OP from './opcodes.ts';
import * as SIMD from './simdOpcodes.ts';
import type { ShareEngine } from './shares.ts';
import { checkShares, shareOf, wordsOf } from './shares.ts';
import { checkPointers } from './checked.ts';
import { isShared } from './wasm.ts';
import type { Access, Kept } from './wasmModule.ts';
import {
  Assembler,
  F32,
  I32,
  LANES,
  PLACE,
  V128,
  assemble,
  accessAt,
  algebraOf,
  emitAdd,
  emitPass,
  tailAccess,
  unsigned,
} from './wasmModule.ts';

/** The parameters of `pack`: the place in the stream, pointers, then scalars. */
const PACK = [...PLACE, 'parameter', 'gradient', 's0', 'wire', 'bits', 'tables'] as const;
const PACK_SCALARS = ['weight', 'decay', 'firstKeep', 'firstAdd', 'momentum'] as const;
const PACK_TYPES = [...PACK.map(() => I32), ...PACK_SCALARS.map(() => F32)];
const packIndex = (name: (typeof PACK)[number]): number => PACK.indexOf(name);

/** The parameters of `apply`, behind which the rate follows. */
const APPLY = ['count', 'parameter', 'wire', 'bits', 'tables'] as const;
const APPLY_TYPES = [...APPLY.map(() => I32), F32];
const applyIndex = (name: (typeof APPLY)[number]): number => APPLY.indexOf(name);

/** Bytes of the two tables: 16 shuffles that move the kept of four elements together, then 16 that move them back. */
const TABLE = 16 * 16;
export const TABLES = 2 * TABLE;

/** A byte index that a shuffle answers with 0. */
const NOTHING = 0x80;

/** Both tables, as bytes. */
export function shuffles(): Uint8Array {
  const bytes = new Uint8Array(TABLES).fill(NOTHING);
  for (let mask = 0; mask < 16; mask++) {
    let next = 0;
    for (let lane = 0; lane < 4; lane++) {
      if (((mask >> lane) & 1) === 0) continue;
      for (let byte = 0; byte < 4; byte++) {
        bytes[16 * mask + 4 * next + byte] = 4 * lane + byte;
        bytes[TABLE + 16 * mask + 4 * lane + byte] = 4 * next + byte;
      }
      next++;
    }
  }
  return bytes;
}

/** The share of the step direction of four elements (or of one, in lane 0); the state is updated on the way. */
function emitShare(f: Assembler, kernel: Kernel, splat: ReadonlyMap<string, number>, { load, store }: Access): number {
  const zero = splat.get('zero') as number;
  const state = kernelState(kernel).map(() => f.apply(V128, load, packIndex('s0')));
  const { delta, state: next } = share<number>(kernel, algebraOf(f), {
    parameter: kernel.coupled ? f.apply(V128, load, packIndex('parameter')) : zero,
    gradient: f.apply(V128, load, packIndex('gradient')),
    state,
    weight: splat.get('weight') as number,
    scalar: (name) => splat.get(name) as number,
    zero,
  });
  for (const value of next) f.emit(f.get(packIndex('s0')), f.get(value), store);
  return delta;
}

/** `pointer` += bytes * `elements`. */
function emitMove(f: Assembler, pointer: number, kept: readonly (readonly number[])[]): void {
  f.emit(f.get(pointer), ...kept, f.i32(2), OP.i32Shl, OP.i32Add);
  f.set(pointer);
}

/** A local with bits 4 * group to 4 * group + 3 of a word. */
function emitNibble(f: Assembler, word: number, group: number): number {
  const nibble = f.local(I32);
  f.emit(f.get(word), f.i32(4 * group), OP.i32ShrU, f.i32(15), OP.i32And);
  f.set(nibble);
  return nibble;
}

/** The shuffle of a nibble, from the table at `offset` of the tables. */
function emitShuffle(f: Assembler, tables: number, nibble: number, offset: number): number {
  const result = f.local(V128);
  f.emit(f.get(tables), f.get(nibble), f.i32(4), OP.i32Shl, OP.i32Add, f.simd(SIMD.load, 2, ...unsigned(offset)));
  f.set(result);
  return result;
}

/** The bits of 32 elements, in their order. */
function emitWord(f: Assembler, halves: Kept): number {
  const word = f.local(I32);
  halves.forEach(([front, back], half) => {
    // As bytes: elements 0 to 3 of the first block, of the second, then 4 to 7 of both.
    const bytes = f.v128(SIMD.i8x16NarrowI16x8S, front, back);
    f.emit(f.get(f.shuffle(bytes, bytes, 0, 2, 1, 3)), f.simd(SIMD.i8x16Bitmask));
    if (half === 1) f.emit(f.i32(16), OP.i32Shl, f.get(word), OP.i32Or);
    f.set(word);
  });
  return word;
}

function assemblePack(kernel: Kernel, masked: boolean): number[] {
  const f = new Assembler(PACK_TYPES);
  const [wire, bits] = [packIndex('wire'), packIndex('bits')];
  const sources = [packIndex('parameter'), packIndex('gradient'), packIndex('s0')];
  const splat = new Map<string, number>([
    ...PACK_SCALARS.map((name, i) => [name, f.v128(SIMD.f32x4Splat, PACK.length + i)] as const),
    ['zero', f.splat(0)],
  ]);

  const tailWord = f.local(I32);
  emitPass(
    f,
    sources,
    masked,
    (halves) => {
      const word = halves === undefined ? undefined : emitWord(f, halves);
      if (word !== undefined) {
        f.emit(f.get(bits), f.get(word), OP.i32Store);
        emitAdd(f, bits, 4);
      }
      for (let group = 0; group < LANES / 4; group++) {
        const delta = emitShare(f, kernel, splat, accessAt(f, group));
        if (word === undefined) {
          f.emit(f.get(wire), f.get(delta), f.simd(SIMD.store, 2, 0));
          emitAdd(f, wire, 16);
          continue;
        }
        const nibble = emitNibble(f, word, group);
        const packed = f.v128(SIMD.swizzle, delta, emitShuffle(f, packIndex('tables'), nibble, 0));
        f.emit(f.get(wire), f.get(packed), f.simd(SIMD.store, 2, 0));
        emitMove(f, wire, [f.get(nibble), OP.i32Popcnt]);
      }
    },
    (mask, position) => {
      const { store } = tailAccess(f);
      f.emit(f.get(wire), f.get(emitShare(f, kernel, splat, tailAccess(f))), store);
      if (mask === undefined) {
        emitAdd(f, wire, 4);
        return;
      }
      const kept = f.local(I32);
      f.emit(f.get(mask), f.simd(SIMD.i32x4ExtractLane, 0), f.i32(1), OP.i32And);
      f.set(kept);
      emitMove(f, wire, [f.get(kept)]);
      f.emit(f.get(tailWord), f.get(kept), f.get(position), OP.i32Shl, OP.i32Or);
      f.set(tailWord);
      f.emit(f.get(bits), f.get(tailWord), OP.i32Store);
    },
  );
  f.emit(f.get(wire));
  return f.body();
}

function assembleApply(masked: boolean): number[] {
  const f = new Assembler(APPLY_TYPES);
  const [count, parameter, wire, bits] = APPLY.map((name) => applyIndex(name)) as [number, number, number, number];
  const rate = f.v128(SIMD.f32x4Splat, APPLY.length);
  const stepped = (old: number, sum: number): number => f.v128(SIMD.f32x4Sub, old, f.v128(SIMD.f32x4Mul, rate, sum));

  f.emit(f.get(count), f.i32(LANES), OP.i32GeU, OP.ifThen, OP.loop);
  const word = f.local(I32);
  if (masked) {
    f.emit(f.get(bits), OP.i32Load);
    f.set(word);
    emitAdd(f, bits, 4);
  }
  for (let group = 0; group < LANES / 4; group++) {
    const { load, store } = accessAt(f, group);
    const old = f.apply(V128, load, parameter);
    const packed = f.apply(V128, f.simd(SIMD.load, 2, 0), wire);
    let next: number;
    if (masked) {
      const nibble = emitNibble(f, word, group);
      const shuffle = emitShuffle(f, applyIndex('tables'), nibble, TABLE);
      // A shuffle that answers with 0 has its sign bit set: all ones where dropped.
      const dropped = f.local(V128);
      f.emit(f.get(shuffle), f.i32(31), f.simd(SIMD.i32x4ShrS));
      f.set(dropped);
      const moved = stepped(old, f.v128(SIMD.swizzle, packed, shuffle));
      next = f.v128(SIMD.bitselect, old, moved, dropped);
      emitMove(f, wire, [f.get(nibble), OP.i32Popcnt]);
    } else {
      next = stepped(old, packed);
      emitAdd(f, wire, 16);
    }
    f.emit(f.get(parameter), f.get(next), store);
  }
  emitAdd(f, parameter, 4 * LANES);
  emitAdd(f, count, -LANES);
  f.emit(f.get(count), f.i32(LANES), OP.i32GeU, OP.brIf0, OP.end, OP.end);

  f.emit(f.get(count), OP.ifThen);
  if (masked) {
    f.emit(f.get(bits), OP.i32Load);
    f.set(word);
  }
  f.emit(OP.loop);
  if (masked) f.emit(f.get(word), f.i32(1), OP.i32And, OP.ifThen);
  const { load, store } = tailAccess(f);
  const old = f.apply(V128, load, parameter);
  f.emit(f.get(parameter), f.get(stepped(old, f.apply(V128, load, wire))), store);
  emitAdd(f, wire, 4);
  if (masked) {
    f.emit(OP.end, f.get(word), f.i32(1), OP.i32ShrU);
    f.set(word);
  }
  emitAdd(f, parameter, 4);
  emitAdd(f, count, -1);
  f.emit(f.get(count), OP.brIf0, OP.end, OP.end);
  f.emit(f.get(wire));
  return f.body();
}

/** Packs `count` elements; returns the wire's pointer behind the last one written. Scalars as `PACK_SCALARS`. */
type PackFunction = (
  ...values: readonly [
    ...Place,
    parameter: number,
    gradient: number,
    s0: number,
    wire: number,
    bits: number,
    tables: number,
    ...scalars: readonly number[],
  ]
) => number;

/** Applies to `count` elements; returns the wire's pointer behind the last one read. */
type ApplyFunction = (
  count: number,
  parameter: number,
  wire: number,
  bits: number,
  tables: number,
  rate: number,
) => number;

interface PackInstance {
  readonly masked: PackFunction;
  readonly all: PackFunction;
}
interface ApplyInstance {
  readonly masked: ApplyFunction;
  readonly all: ApplyFunction;
}

const modules = new Map<string, WebAssembly.Module>();

function moduleOf(key: string, make: () => Uint8Array<ArrayBuffer>): WebAssembly.Module {
  let compiled = modules.get(key);
  if (compiled !== undefined) return compiled;
  try {
    compiled = new WebAssembly.Module(make());
  } catch (error) {
    throw new UnsupportedError(
      'the wasm engine needs WebAssembly with SIMD, which is not here; the js engine does without',
      { cause: error },
    );
  }
  modules.set(key, compiled);
  return compiled;
}

/** The functions of both halves on one memory, instantiated as they are first needed. */
export class ShareKernels {
  readonly #memory: WebAssembly.Memory;
  readonly #packs = new Map<string, PackInstance>();
  #apply: ApplyInstance | undefined;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  /** Throws `UnsupportedError` without WebAssembly SIMD. */
  pack(kernel: Kernel): PackInstance {
    const name = kernelName(kernel);
    let instance = this.#packs.get(name);
    if (instance === undefined) {
      instance = this.#instantiate(`pack ${name}`, (shared) =>
        assemble(
          {
            masked: { parameters: PACK_TYPES, results: [I32], body: assemblePack(kernel, true) },
            all: { parameters: PACK_TYPES, results: [I32], body: assemblePack(kernel, false) },
          },
          shared,
        ),
      ) as unknown as PackInstance;
      this.#packs.set(name, instance);
    }
    return instance;
  }

  /** Throws `UnsupportedError` without WebAssembly SIMD. */
  apply(): ApplyInstance {
    return (this.#apply ??= this.#instantiate('apply', (shared) =>
      assemble(
        {
          masked: { parameters: APPLY_TYPES, results: [I32], body: assembleApply(true) },
          all: { parameters: APPLY_TYPES, results: [I32], body: assembleApply(false) },
        },
        shared,
      ),
    ) as unknown as ApplyInstance);
  }

  #instantiate(key: string, make: (shared: boolean) => Uint8Array<ArrayBuffer>): WebAssembly.Exports {
    const shared = isShared(this.#memory);
    const compiled = moduleOf(`${key} ${shared}`, () => make(shared));
    return new WebAssembly.Instance(compiled, { env: { memory: this.#memory } }).exports;
  }
}

/** Where the halves of a step find what they share, as byte pointers. */
export interface ShareWorkspace {
  readonly tables: number;
  readonly bits: number;
}

/** Elements of one call: the engine's optimising compiler, which swaps code between calls only, gets its turn. */
const CALL = 1 << 17;

/** Packs elements `first` to `last` - 1 of a tensor, `first` a multiple of 32; returns the wire's pointer behind them. */
export function packStretch(
  kernels: ShareKernels,
  { key, step }: Pick<StepPlan, 'key' | 'step'>,
  tensor: TensorPlan,
  weight: number,
  { parameter, gradient, state }: TensorBuffers<number>,
  { wire, bits, tables }: ShareWorkspace & { readonly wire: number },
  first: number,
  count: number,
): number {
  const { kernel, decay } = shareOf(tensor, weight);
  const { masked, all } = kernels.pack(kernel);
  const { base, threshold, scalars } = tensor;
  const run = threshold < KEEP_ALL ? masked : all;
  const [s0 = 0] = kernelState(kernel).map((name) => state[name] as number);
  const values = [weight, decay, scalars.firstKeep, scalars.firstAdd, scalars.momentum];
  return (
    run(
      count,
      (base + first) / 8,
      step,
      key[0],
      key[1],
      threshold,
      parameter,
      gradient,
      s0,
      wire,
      bits,
      tables,
      ...values,
    ) >>> 0
  );
}

/** What the engine keeps in the memory beside its buffers: it asks for it here, and gives it back when it is disposed. */
export interface Heap {
  /** A byte pointer to `bytes` bytes, a multiple of 4. */
  allocate(bytes: number): number;
  /** Gives back what `allocate` gave. */
  free(pointer: number): void;
}

/**
 * Both halves on a `WebAssembly.Memory`. Buffers are byte pointers, multiples of 4; those of one tensor must not overlap. Between the halves
 * the engine holds one bit an element, from `heap`.
 *
 * `pack` throws `InvalidArgumentError` on pointers that are outside the memory or overlap and on a weight outside [0, 1], before it writes
 * anything, and `UnsupportedError` on a rule that is not linear in the gradient or without WebAssembly SIMD.
 */
export function createWasmShareEngine(
  memory: WebAssembly.Memory,
  heap: Heap,
): ShareEngine<number> & { dispose(): void } {
  const kernels = new ShareKernels(memory);
  let tables: number | undefined;
  let bits = { pointer: 0, words: 0 };

  const workspace = (plan: StepPlan): ShareWorkspace => {
    if (tables === undefined) {
      tables = heap.allocate(TABLES);
      new Uint8Array(memory.buffer, tables, TABLES).set(shuffles());
    }
    const words = plan.tensors.reduce((sum, tensor) => sum + wordsOf(tensor), 0);
    if (words > bits.words) {
      if (bits.words > 0) heap.free(bits.pointer);
      bits = { pointer: 0, words: 0 };
      bits = { pointer: heap.allocate(4 * words), words };
    }
    return { tables, bits: bits.pointer };
  };

  /** Calls `run` for stretches of every tensor, with the wire's pointer, and the bits', where they begin. */
  const each = (
    plan: StepPlan,
    wire: number,
    at: number,
    run: (tensor: TensorPlan, index: number, first: number, count: number, wire: number, bits: number) => number,
  ): number => {
    let next = wire;
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null) return;
      for (let first = 0; first < tensor.size; first += CALL) {
        next = run(tensor, index, first, Math.min(CALL, tensor.size - first), next, at + first / 8);
      }
      at += 4 * wordsOf(tensor);
    });
    return next;
  };

  return {
    pack(plan, tensors, weight, wire) {
      checkShares(plan, weight);
      checkPointers(plan, tensors, memory);
      const { tables: table, bits: at } = workspace(plan);
      const end = each(plan, wire, at, (tensor, index, first, count, next, word) => {
        const { parameter, gradient, state } = tensors[index] as TensorBuffers<number>;
        const offset = 4 * first;
        const moved = {
          parameter: parameter + offset,
          gradient: gradient + offset,
          state: Object.fromEntries(Object.entries(state).map(([name, pointer]) => [name, pointer + offset])),
        };
        const places = { wire: next, bits: word, tables: table };
        return packStretch(kernels, plan, tensor, weight, moved, places, first, count);
      });
      return (end - wire) / 4;
    },
    apply(plan, tensors, wire) {
      const { tables: table, bits: at } = workspace(plan);
      const { masked, all } = kernels.apply();
      each(plan, wire, at, (tensor, index, first, count, next, word) => {
        const { parameter } = tensors[index] as TensorBuffers<number>;
        const run = tensor.threshold < KEEP_ALL ? masked : all;
        return run(count, parameter + 4 * first, next, word, table, tensor.scalars.rate) >>> 0;
      });
    },
    dispose() {
      if (tables !== undefined) heap.free(tables);
      if (bits.words > 0) heap.free(bits.pointer);
      tables = undefined;
      bits = { pointer: 0, words: 0 };
    },
  };
}
