/** Measuring passes in WebAssembly SIMD, assembled as the step is. */
import type { Kernel, ScalarName } from '../engines/engine.ts';
import { MEASURED } from '../engines/engine.ts';
import { decayed, usedScalars } from '../engines/formulas.ts';
import * as OP from '../engines/opcodes.ts';
import * as SIMD from '../engines/simdOpcodes.ts';
import type { Access } from '../engines/wasmModule.ts';
import {
  Assembler,
  LANES,
  PARAMETER_TYPES,
  V128,
  accessAt,
  algebraOf,
  emitAgree,
  emitPass,
  emitScalars,
  indexOf,
  tailAccess,
} from '../engines/wasmModule.ts';
import type { AlignmentMeasure } from './formulas.ts';
import { alignmentVectors, signState, signs } from './formulas.ts';

/**
 * A pass that accumulates: four elements a group, or one in lane 0 where the others are 0. Nothing is drawn.
 * @param stretches - of `MEASURED` elements side by side; `count` is that of one
 */
function emitSums(
  f: Assembler,
  pointers: readonly number[],
  stretches: number,
  group: (access: Access, index: number, stretch: number) => void,
): void {
  const all = Array.from({ length: stretches }, (_, stretch) => stretch);
  emitPass(
    f,
    pointers,
    false,
    () => {
      for (const stretch of all) {
        for (let index = 0; index < LANES / 4; index++) {
          group(accessAt(f, (stretch * MEASURED) / 4 + index), index, stretch);
        }
      }
    },
    // Whole stretches have no such rest.
    () => stretches === 1 && group(tailAccess(f), 0, 0),
  );
}

/** accumulator = accumulator `opcode` value. */
function emitAccumulate(f: Assembler, accumulator: number, opcode: number, value: number): void {
  f.emit(f.get(accumulator), f.get(value), f.simd(opcode));
  f.set(accumulator);
}

/**
 * The three sums m.g, m.m and g.g of a stretch, each product and sum in float64: products of float32 numbers are exact there, and nothing
 * overflows. `s0` is the moment. An own moment goes on. Of several stretches those of the first come first.
 */
export function assembleAlignment(
  kernel: Kernel,
  measure: Pick<AlignmentMeasure, 'own' | 'before'>,
  stretches: number,
): number[] {
  const f = new Assembler(PARAMETER_TYPES);
  const scalars = emitScalars(f, new Set(['decay', 'firstKeep', 'firstAdd']));
  const zero = f.splat(0);
  const [parameter, gradient, moment] = [indexOf('parameter'), indexOf('gradient'), indexOf('s0')];
  // Two of each, so that an addition need not wait for the one before.
  const sums = Array.from({ length: stretches }, () =>
    Array.from({ length: 3 }, () => [f.local(V128), f.local(V128)] as const),
  );
  const pointers = [gradient, moment, ...(kernel.coupled ? [parameter] : [])];
  emitSums(f, pointers, stretches, (access, index, stretch) => {
    const vectors = alignmentVectors<number>(kernel, measure, algebraOf(f), {
      parameter: kernel.coupled ? f.apply(V128, access.load, parameter) : zero,
      gradient: f.apply(V128, access.load, gradient),
      moment: f.apply(V128, access.load, moment),
      scalar: (scalar) => scalars.get(scalar) as number,
      zero,
    });
    if (vectors.mu !== undefined) f.emit(f.get(moment), f.get(vectors.mu), access.store);
    const promoted = [vectors.m, vectors.g].map((value) => [
      f.v128(SIMD.f64x2PromoteLowF32x4, value),
      f.v128(SIMD.f64x2PromoteLowF32x4, f.shuffle(value, value, 2, 3, 2, 3)),
    ]) as [[number, number], [number, number]];
    const [m, g] = promoted;
    for (const half of [0, 1] as const) {
      const products = [
        [m, g],
        [m, m],
        [g, g],
      ] as const;
      products.forEach(([a, b], sum) =>
        emitAccumulate(
          f,
          sums[stretch]?.[sum]?.[index % 2] as number,
          SIMD.f64x2Add,
          f.v128(SIMD.f64x2Mul, a[half], b[half]),
        ),
      );
    }
  });
  for (const [even, odd] of sums.flat()) {
    const total = f.v128(SIMD.f64x2Add, even, odd);
    for (const lane of [0, 1]) f.emit(f.get(total), f.simd(SIMD.f64x2ExtractLane, lane));
    f.emit(OP.f64Add);
  }
  return f.body();
}

/** How many elements of all stretches agree; `s0`, `s1` and `s2` are what `signState` names. */
export function assembleAgreement(kernel: Kernel, stretches: number): number[] {
  const f = new Assembler(PARAMETER_TYPES);
  const scalars = emitScalars(f, usedScalars(kernel));
  const zero = f.splat(0);
  const [parameter, gradient] = [indexOf('parameter'), indexOf('gradient')];
  const state = signState(kernel).map((_, i) => indexOf(`s${i}`));
  const counts = f.local(V128);
  emitSums(f, [gradient, ...state, ...(kernel.coupled ? [parameter] : [])], stretches, (access) => {
    const algebra = algebraOf(f);
    const operands = {
      parameter: kernel.coupled ? f.apply(V128, access.load, parameter) : zero,
      gradient: f.apply(V128, access.load, gradient),
      scalar: (scalar: ScalarName) => scalars.get(scalar) as number,
      zero,
    };
    // Nothing agrees with a gradient of 0, so that a moment which may be below 2^-126 need not be multiplied.
    const silent = f.v128(SIMD.f32x4Eq, decayed(kernel, algebra, { ...operands, state: [] }), zero);
    const asked = state.map((pointer) => f.v128(SIMD.andNot, f.apply(V128, access.load, pointer), silent));
    const pair = signs<number>(kernel, algebra, { ...operands, state: asked });
    emitAccumulate(f, counts, SIMD.i32x4Sub, emitAgree(f, kernel, pair, zero));
  });
  for (const lane of [0, 1, 2, 3]) f.emit(f.get(counts), f.simd(SIMD.i32x4ExtractLane, lane));
  f.emit(OP.i32Add, OP.i32Add, OP.i32Add);
  return f.body();
}
