/** The fused step of a kernel as a WebAssembly module. */
import type { Kernel, Mode, ScalarName } from './engine.ts';
import { kernelState } from './engine.ts';
import type { Updated } from './formulas.ts';
import { update, usedScalars } from './formulas.ts';
import * as SIMD from './simdOpcodes.ts';
import type { Access } from './wasmModule.ts';
import {
  Assembler,
  LANES,
  PARAMETER_TYPES,
  V128,
  accessAt,
  algebraOf,
  assembleRun,
  emitAgree,
  emitMasks,
  emitPass,
  emitScalars,
  indexOf,
  tailAccess,
} from './wasmModule.ts';

/** The pointers that a kernel reads, in the order parameter, gradient, state. */
export const pointersOf = (kernel: Kernel): readonly number[] => [
  indexOf('parameter'),
  indexOf('gradient'),
  ...kernelState(kernel).map((_, i) => indexOf(`s${i}`)),
];

/** Emits the new values of four elements. */
export type Update = (parameter: number, gradient: number, state: readonly number[]) => Updated<number>;

/** Reads four elements (or one into lane 0), updates, selects, writes. `drawn`: the mask, in mode `masked`. */
function emitUpdate(
  f: Assembler,
  kernel: Kernel,
  mode: Mode,
  zero: number,
  drawn: number | undefined,
  access: Access,
  updateOf: Update,
): void {
  const pointers = pointersOf(kernel);
  const [parameter, gradient, ...state] = pointers.map((pointer) => f.apply(V128, access.load, pointer)) as [
    number,
    number,
    ...number[],
  ];
  const updated = updateOf(parameter, gradient, state);
  const mask = updated.signs === undefined ? drawn : emitAgree(f, kernel, updated.signs, zero);
  const dropped = updated.dropped ?? parameter;
  let next: number | undefined = updated.parameter;
  if (mode === 'none') next = updated.dropped;
  // Selected, not multiplied: a dropped element keeps its bits whatever the step is.
  else if (mask !== undefined) next = f.v128(SIMD.bitselect, updated.parameter, dropped, mask);
  if (next !== undefined) f.emit(f.get(pointers[0] as number), f.get(next), access.store);
  updated.state.forEach((value, i) => f.emit(f.get(pointers[i + 2] as number), f.get(value), access.store));
}

/** Makes another update of the formula's, `plain`, with the same results. */
type Wrap = (plain: Update, f: Assembler, scalars: ReadonlyMap<ScalarName, number>, zero: number) => Update;

/** The step of a kernel. */
export function assembleStep(kernel: Kernel, mode: Mode, wrap: Wrap = (plain) => plain): number[] {
  const f = new Assembler(PARAMETER_TYPES);
  const scalars = emitScalars(f, usedScalars(kernel));
  const zero = f.splat(0);
  const algebra = algebraOf(f);
  const plain: Update = (parameter, gradient, state) =>
    update<number>(kernel, algebra, {
      parameter,
      gradient,
      state,
      scalar: (name: ScalarName) => scalars.get(name) as number,
      zero,
    });
  const updateOf = wrap(plain, f, scalars, zero);
  emitPass(
    f,
    pointersOf(kernel),
    mode === 'masked',
    (kept) => {
      const masks = kept === undefined ? undefined : emitMasks(f, kept);
      for (let group = 0; group < LANES / 4; group++) {
        emitUpdate(f, kernel, mode, zero, masks?.[group], accessAt(f, group), updateOf);
      }
    },
    (mask) => emitUpdate(f, kernel, mode, zero, mask, tailAccess(f), updateOf),
  );
  return f.body();
}

type AssembleModule = (kernel: Kernel, mode: Mode, shared: boolean) => Uint8Array<ArrayBuffer>;

/** A module of the step alone. */
export const assemblePlain: AssembleModule = (kernel, mode, shared) => assembleRun(assembleStep(kernel, mode), shared);

let assembled = assemblePlain;

/** Has other modules made from now on: `letRest` of `wasmResting.ts`, which not every bundle carries. */
export function useModules(other: AssembleModule): void {
  assembled = other;
}

/**
 * A module whose `run` is the step of a kernel on `count` elements from the given byte pointers on, with masks from block `block` on.
 */
export const assembleModule: AssembleModule = (...what) => assembled(...what);
