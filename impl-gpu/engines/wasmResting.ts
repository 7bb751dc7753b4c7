/**
 * Elements that rest. Numbers below 2^-126 take a processor a hundred times as long as others to multiply. A unit that no example wakes ends there:
 * without a gradient its moments shrink by a factor each step, and stay, since .9 of the smallest number rounds to itself. Such an element's parameter is
 * too large to be moved by what its moments still say: it steps with 0 in their place, while they go on beside it, as whole numbers of 2^-149. No bit
 * differs from the rule's own arithmetic.
 *
 * With d below 2^-115 as a moment, rate * d / epsilon (without a division, rate * d) is below 2^-85 under the bounds below, and a parameter of at least
 * 2^-30 is a whole number of 2^-54: neither it nor a decay that could reach its last bit is rounded to another number for that.
 */
import type { Kernel, Mode, ScalarName } from './engine.ts';
import { kernelState } from './engine.ts';
import { decayed } from './formulas.ts';
import * as OP from './opcodes.ts';
import * as SIMD from './simdOpcodes.ts';
import {
  Assembler,
  I32,
  PARAMETER_TYPES,
  V128,
  accessAt,
  algebraOf,
  assemble,
  emitAdd,
  emitAdvance,
  indexOf,
  scalarIndex,
} from './wasmModule.ts';
import type { Update } from './wasmStep.ts';
import { assemblePlain, assembleStep, pointersOf, useModules } from './wasmStep.ts';

/** The bits of a power of two. */
const bitsOf = (exponent: number): number => (exponent + 127) << 23;

const MAGNITUDE = 0x7fffffff;
const INFINITE = 0x7f800000;
const RESTING_PARAMETER = bitsOf(-30);
/** So much of vmax hides v. */
const SMALLEST_MAXIMUM = bitsOf(-100);
/** Here the bits without the sign are the whole number itself, and so are those of a product with a factor up to 1. */
const WHOLE = bitsOf(-125);
/** The square root of what rests has no part in sqrt(v) + epsilon. */
const SMALLEST_EPSILON = 2 ** -37;
const LARGEST_RATE = 2 ** 30;
/** A product with less might be 0, whose sign is another matter. */
const SMALLEST_KEEP = 2 ** -20;
const LARGEST_SCALE = 2 ** 20;
/** 1.5 * 2^52: the last bits of a sum with it are the whole number that is nearest, of two the even one. */
const TO_WHOLE = 1.5 * 2 ** 52;

/** Elements that step together, all as if some of them might rest, or all as if none did. */
const STRETCH = 2048;
/** Elements of which some are looked at: a power of two. */
const LOOKED = 512;

interface Moment {
  /** The factor by which it shrinks; undefined: it does not. */
  readonly keep: ScalarName | undefined;
  /** Its element may rest if its bits without the sign are below. */
  readonly below: number;
}

/** What the state is, in the order of `kernelState`. A mean whose square is at least 2^-126 may have its part in the spread of the gradients. */
function momentsOf(kernel: Kernel): readonly Moment[] {
  const moments: Readonly<Record<string, Moment>> = {
    m: { keep: 'firstKeep', below: bitsOf(-115) },
    v: { keep: 'secondKeep', below: WHOLE },
    gavg: { keep: 'firstKeep', below: bitsOf(-60) },
    vmax: { keep: undefined, below: 0 },
    buf: { keep: kernel.family === 'momentum' ? 'firstKeep' : 'momentum', below: bitsOf(-115) },
  };
  return kernelState(kernel).map((name) => moments[name] as Moment);
}

const hasEpsilon = ({ family }: Kernel): boolean => family === 'rmsprop' || family === 'adam' || family === 'amsgrad';

/** What is the same for all elements of a call. */
interface Constants {
  readonly magnitude: number;
  readonly whole: number;
  readonly restingParameter: number;
  readonly smallestMaximum: number;
  readonly infinite: number;
  readonly toWhole: number;
  /** Where each of the state rests. */
  readonly below: readonly number[];
  /** Factors in float64. */
  readonly keep: ReadonlyMap<ScalarName, number>;
}

const f64Bytes = (value: number): readonly number[] => [...new Uint8Array(new Float64Array([value]).buffer)];
const f32Bytes = (value: number): readonly number[] => [...new Uint8Array(new Float32Array([value]).buffer)];

function emitConstants(f: Assembler, kernel: Kernel): Constants {
  const toWhole = f.local(V128);
  f.emit(f.simd(SIMD.constant, ...f64Bytes(TO_WHOLE), ...f64Bytes(TO_WHOLE)));
  f.set(toWhole);
  const keep = new Map<ScalarName, number>();
  for (const { keep: name } of momentsOf(kernel)) {
    if (name === undefined || keep.has(name)) continue;
    const factor = f.local(V128);
    f.emit(f.get(scalarIndex(name)), OP.f64PromoteF32, f.simd(SIMD.f64x2Splat));
    f.set(factor);
    keep.set(name, factor);
  }
  return {
    magnitude: f.splat(MAGNITUDE),
    whole: f.splat(WHOLE),
    restingParameter: f.splat(RESTING_PARAMETER),
    smallestMaximum: f.splat(SMALLEST_MAXIMUM),
    infinite: f.splat(INFINITE),
    toWhole,
    below: momentsOf(kernel).map(({ below }) => f.splat(below)),
    keep,
  };
}

interface Elements {
  /** The gradient with coupled decay. */
  readonly g: number;
  readonly state: readonly number[];
  readonly zero: number;
}

/** All ones where an element rests, for each of its state: there a step may take 0 in its place. */
function emitRests(
  f: Assembler,
  kernel: Kernel,
  constants: Constants,
  { parameter, g, state, zero }: Elements & { readonly parameter: number },
): readonly number[] {
  const and = (a: number, b: number): number => f.v128(SIMD.and, a, b);
  const resting = and(
    f.v128(SIMD.f32x4Eq, g, zero),
    f.v128(SIMD.i32x4GeS, and(parameter, constants.magnitude), constants.restingParameter),
  );
  const names = kernelState(kernel);
  const at = (name: string): number => state[names.indexOf(name)] as number;
  return names.map((name, k) => {
    const x = state[k] as number;
    // The square root of a v below 0 is not a number: without its sign taken off it is not below anything.
    const small =
      name === 'v'
        ? f.v128(SIMD.i32x4LtU, x, constants.below[k] as number)
        : f.v128(SIMD.i32x4LtS, and(x, constants.magnitude), constants.below[k] as number);
    const rests = and(resting, small);
    if (name === 'buf' && kernel.family === 'rmsprop') {
      // Where v is negative, infinite or not a number, or the mean is not one, the buffer has to hear of it.
      const squares = f.v128(SIMD.i32x4LtU, at('v'), constants.infinite);
      const mean = at('gavg');
      return and(rests, kernel.centered ? and(squares, f.v128(SIMD.f32x4Eq, mean, mean)) : squares);
    }
    if (name === 'v' && kernel.family === 'amsgrad')
      return and(rests, f.v128(SIMD.i32x4GeS, at('vmax'), constants.smallestMaximum));
    return rests;
  });
}

/** What the state of resting elements becomes: keep * x + 0, with the sign of a zero gradient; undefined for what does not shrink. */
function emitFaded(
  f: Assembler,
  kernel: Kernel,
  { magnitude, whole, toWhole, keep }: Constants,
  { g, state, scalars, zero }: Elements & { readonly scalars: ReadonlyMap<ScalarName, number> },
): readonly (number | undefined)[] {
  const names = kernelState(kernel);
  return momentsOf(kernel).map(({ keep: factor }, k) => {
    if (factor === undefined) return undefined;
    const x = state[k] as number;
    const bits = f.v128(SIMD.and, x, magnitude);
    const isWhole = f.v128(SIMD.i32x4LtS, bits, whole);
    const number = f.v128(SIMD.and, bits, isWhole);
    // The product is exact in float64.
    const [low, high] = [number, f.shuffle(number, number, 2, 3, 2, 3)].map((two) =>
      f.v128(
        SIMD.f64x2Add,
        f.v128(SIMD.f64x2Mul, f.v128(SIMD.f64x2ConvertLowI32x4S, two), keep.get(factor) as number),
        toWhole,
      ),
    ) as [number, number];
    const next = f.shuffle(low, high, 0, 2, 4, 6);
    // Of two zeros both are negative, or the sum is not; the square of a gradient has no sign.
    const sign = f.v128(SIMD.andNot, x, magnitude);
    const positive = f.v128(SIMD.i32x4Eq, next, zero);
    const lost = names[k] === 'v' ? positive : f.v128(SIMD.andNot, positive, g);
    const small = f.v128(SIMD.or, next, f.v128(SIMD.andNot, sign, lost));
    const large = f.v128(SIMD.f32x4Mul, scalars.get(factor) as number, f.v128(SIMD.andNot, x, isWhole));
    return f.v128(SIMD.bitselect, small, large, isWhole);
  });
}

/** Leaves 1 on the stack if elements of a step with these scalars may rest, else 0. */
function emitMayRest(f: Assembler, kernel: Kernel): void {
  const number = (value: number): readonly number[] => [0x43, ...f32Bytes(value)];
  const within = (name: ScalarName, least: number, most: readonly number[]): void => {
    f.emit(f.get(scalarIndex(name)), number(least), OP.f32Ge, OP.i32And);
    f.emit(f.get(scalarIndex(name)), most, OP.f32Le, OP.i32And);
  };
  const names = new Set(momentsOf(kernel).map(({ keep }) => keep));
  f.emit(f.i32(1));
  for (const name of names) if (name !== undefined) within(name, SMALLEST_KEEP, number(1));
  if (kernel.nesterov) within('momentum', 0, number(1));
  if (hasEpsilon(kernel)) {
    within('epsilon', SMALLEST_EPSILON, number(Infinity));
    within('rate', 0, [...f.get(scalarIndex('epsilon')), ...number(LARGEST_RATE), ...OP.f32Mul]);
  }
  within('rate', 0, number(LARGEST_RATE));
  if (kernel.family === 'amsgrad') within('maxScale', 0, number(LARGEST_SCALE));
}

/**
 * Leaves on the stack whether some of the elements from `pointer` on might rest: 1 if one that is not 0 is below 2^-126, of sixteen in every 512 that
 * change from step to step. Being wrong costs time only.
 */
function emitSomeTiny(f: Assembler, pointer: number, count: number): void {
  const [at, end, least, seed, line] = [f.local(I32), f.local(I32), f.local(V128), f.local(I32), f.local(I32)];
  f.emit(f.get(pointer));
  f.set(at);
  f.emit(f.get(pointer), f.get(count), f.i32(-LOOKED), OP.i32And, f.i32(4), OP.i32Mul, OP.i32Add);
  f.set(end);
  f.emit(f.get(indexOf('step')), f.i32(0x85ebca6b), OP.i32Mul);
  f.set(seed);
  f.emit(f.i32(-1), f.simd(SIMD.i32x4Splat));
  f.set(least);
  const ones = f.splat(-1);
  f.emit(f.get(at), f.get(end), OP.i32LtU, OP.ifThen, OP.loop);
  // One of the 32 lines of 64 bytes, by a product's high bits.
  f.emit(f.get(at), f.i32(11), OP.i32ShrU, f.i32(0x9e3779b1), OP.i32Mul, f.get(seed), OP.i32Add);
  f.emit(f.i32(21), OP.i32ShrU, f.i32(0x7c0), OP.i32And, f.get(at), OP.i32Add);
  f.set(line);
  for (let vector = 0; vector < 4; vector++) {
    const value = f.apply(V128, accessAt(f, vector).load, line);
    // Twice the bits without the sign, and 0 as the greatest of all.
    const doubled = f.v128(SIMD.i32x4Add, f.v128(SIMD.i32x4Add, value, value), ones);
    f.emit(f.get(least), f.get(doubled), f.simd(SIMD.i32x4MinU));
    f.set(least);
  }
  emitAdd(f, at, 4 * LOOKED);
  f.emit(f.get(at), f.get(end), OP.i32LtU, OP.brIf0, OP.end, OP.end);
  f.emit(f.get(f.v128(SIMD.i32x4LtU, least, f.splat(2 * bitsOf(-126) - 1))), f.simd(SIMD.v128AnyTrue));
}

/**
 * The body of a step that goes stretch by stretch to function `step`, or to `resting` where elements may rest.
 * @param pointers - of parameter, gradient and state
 */
function assembleChooser(kernel: Kernel, pointers: readonly number[], step: number, resting: number): number[] {
  const f = new Assembler(PARAMETER_TYPES);
  const [count, block] = [indexOf('count'), indexOf('block')];
  const left = f.local(I32);
  const call = (callee: number): void =>
    f.emit(...PARAMETER_TYPES.map((_, parameter) => f.get(parameter)), OP.call, [callee]);
  emitMayRest(f, kernel);
  f.emit(OP.i32Eqz, OP.ifThen);
  call(step);
  f.emit(OP.return_, OP.end);
  f.emit(f.get(count));
  f.set(left);
  f.emit(f.get(left), OP.ifThen, OP.loop);
  f.emit(f.i32(STRETCH), f.get(left), f.get(left), f.i32(STRETCH), OP.i32GeU, OP.select);
  f.set(count);
  const names = kernelState(kernel);
  f.emit(f.i32(0));
  names.forEach((name, k) => {
    if (name === 'vmax' || name === 'gavg') return;
    emitSomeTiny(f, pointers[k + 2] as number, count);
    // What shrinks faster than v and ends at the smallest number tells for both: .9 of that is that again, .5 of it is 0.
    if (name === 'v' && kernel.family !== 'rmsprop')
      f.emit(f.get(scalarIndex('firstKeep')), [0x43, ...f32Bytes(0.5)], OP.f32Le, OP.i32And);
    f.emit(OP.i32Or);
  });
  f.emit(OP.ifThen);
  call(resting);
  f.emit(OP.else_);
  call(step);
  f.emit(OP.end);
  emitAdvance(f, pointers, 4 * STRETCH);
  emitAdd(f, block, STRETCH / 8);
  f.emit(f.get(left), f.get(count), OP.i32Sub);
  f.set(left);
  f.emit(f.get(left), OP.brIf0, OP.end, OP.end);
  return f.body();
}

/** The formula on elements of which some may rest. */
function restingUpdate(
  kernel: Kernel,
  plain: Update,
  f: Assembler,
  scalars: ReadonlyMap<ScalarName, number>,
  zero: number,
): Update {
  const constants = emitConstants(f, kernel);
  const algebra = algebraOf(f);
  return (parameter, gradient, state) => {
    const operands = { parameter, gradient, state, scalar: (name: ScalarName) => scalars.get(name) as number, zero };
    const g = decayed(kernel, algebra, operands);
    const rests = emitRests(f, kernel, constants, { parameter, g, state, zero });
    const awake = state.map((value, k) => f.v128(SIMD.andNot, value, rests[k] as number));
    const updated = plain(parameter, gradient, awake);
    const faded = emitFaded(f, kernel, constants, { g, state, scalars, zero });
    return {
      ...updated,
      state: updated.state.map((value, k) => {
        const other = faded[k];
        return other === undefined ? value : f.v128(SIMD.bitselect, other, value, rests[k] as number);
      }),
    };
  };
}

function assembleRestingModule(kernel: Kernel, mode: Mode, shared: boolean): Uint8Array<ArrayBuffer> {
  if (kernelState(kernel).length === 0) return assemblePlain(kernel, mode, shared);
  const bodies = {
    step: assembleStep(kernel, mode),
    resting: assembleStep(kernel, mode, (...parts) => restingUpdate(kernel, ...parts)),
    run: assembleChooser(kernel, pointersOf(kernel), 0, 1),
  };
  const functions = Object.entries(bodies).map(
    ([name, body]) => [name, { parameters: PARAMETER_TYPES, body }] as const,
  );
  return assemble(Object.fromEntries(functions), shared);
}

/**
 * Has the WASM kernels let elements rest, from the next one on that is needed. In Node, with the engines of `learning-rate-dropout/gpu` and after
 * `enableTraining()` they do.
 */
export function letRest(): void {
  useModules(assembleRestingModule);
}
