/** The fused step of a kernel as a WebAssembly module. */
import type { Kernel, Mode, ScalarName } from './engine.ts';
import { kernelState } from './engine.ts';
import type { Updated } from './formulas.ts';
import { decayed, update, usedScalars } from './formulas.ts';
import * as SIMD from './simdOpcodes.ts';
import type { Access } from './wasmModule.ts';
import {
  Assembler,
  LANES,
  PARAMETER_TYPES,
  V128,
  accessAt,
  algebraOf,
  assemble,
  assembleRun,
  emitAgree,
  emitMasks,
  emitPass,
  emitScalars,
  indexOf,
  tailAccess,
} from './wasmModule.ts';
import { assembleChooser, emitConstants, emitFaded, emitRests } from './wasmResting.ts';

/** The pointers that a kernel reads, in the order parameter, gradient, state. */
const pointersOf = (kernel: Kernel): readonly number[] => [
  indexOf('parameter'),
  indexOf('gradient'),
  ...kernelState(kernel).map((_, i) => indexOf(`s${i}`)),
];

/** The new values of four elements. */
type Update = (parameter: number, gradient: number, state: readonly number[]) => Updated<number>;

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

/** The step of a kernel; `resting`: of elements of which some may rest. */
function assembleStep(kernel: Kernel, mode: Mode, resting: boolean): number[] {
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
  let updateOf = plain;
  if (resting) {
    const constants = emitConstants(f, kernel);
    updateOf = (parameter, gradient, state) => {
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

/**
 * A module whose `run` is the step of a kernel on `count` elements from the given byte pointers on, with masks from block `block` on.
 */
export function assembleModule(kernel: Kernel, mode: Mode, shared: boolean): Uint8Array<ArrayBuffer> {
  const step = assembleStep(kernel, mode, false);
  if (kernelState(kernel).length === 0) return assembleRun(step, shared);
  const of = (body: readonly number[]): { parameters: readonly number[]; body: readonly number[] } => ({
    parameters: PARAMETER_TYPES,
    body,
  });
  return assemble(
    {
      step: of(step),
      resting: of(assembleStep(kernel, mode, true)),
      run: of(assembleChooser(kernel, pointersOf(kernel), 0, 1)),
    },
    shared,
  );
}
