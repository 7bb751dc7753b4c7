/**
 * The two halves of a replica's step on `Float32Array`s by the WASM kernels, stretch by stretch in a small WebAssembly memory, as
 * `arrays.ts` does whole steps.
 */
import { UnsupportedError } from '../validate.ts';
import type { StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { KEEP_ALL, kernelState } from './engine.ts';
import { checkArrays } from './checked.ts';
import { createJsShareEngine } from './jsShares.ts';
import type { ShareEngine } from './shares.ts';
import { KeptBits, WIRE_SLACK, checkShares, shareOf, wordsOf } from './shares.ts';
import { ShareKernels, TABLES, packStretch, shuffles } from './wasmShares.ts';
import { PAGE } from './wasmModule.ts';

/** Elements that are stepped at once, a multiple of the kernels' lanes: four arrays of 32 KiB stay in a second-level cache. */
const CHUNK = 8192;
/** Bytes from one slot to the next: not a power of two, so that the slots fall into different sets of a cache. */
const STRIDE = 4 * CHUNK + 192;
const [PARAMETER, GRADIENT, STATE, WIRE, BITS, TABLE] = [0, STRIDE, 2 * STRIDE, 3 * STRIDE, 4 * STRIDE, 5 * STRIDE];

interface Stage {
  readonly kernels: ShareKernels;
  readonly parameter: Float32Array;
  readonly gradient: Float32Array;
  readonly state: Float32Array;
  readonly wire: Float32Array;
  readonly bits: Int32Array;
}

let shared: Stage | undefined;

/** One for the whole process: a step has left it when it returns, and every WebAssembly memory reserves gigabytes of address space. */
function openStage(): Stage {
  if (typeof WebAssembly === 'undefined') throw new UnsupportedError('WebAssembly is not here');
  if (shared === undefined) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil((TABLE + TABLES) / PAGE) });
    new Uint8Array(memory.buffer, TABLE, TABLES).set(shuffles());
    const slot = (at: number): Float32Array => new Float32Array(memory.buffer, at, CHUNK + WIRE_SLACK);
    shared = {
      kernels: new ShareKernels(memory),
      parameter: slot(PARAMETER),
      gradient: slot(GRADIENT),
      state: slot(STATE),
      wire: slot(WIRE),
      bits: new Int32Array(memory.buffer, BITS, CHUNK / 32),
    };
  }
  return shared;
}

/**
 * Both halves on `Float32Array`s by the fastest kernels that run here, with the WASM engine's bits; where they cannot be compiled it silently is
 * JavaScript. `pack` throws as `createArrayEngine` does, and on a rule that is not linear or a weight outside [0, 1].
 */
export function createArrayShareEngine(): ShareEngine<Float32Array> {
  const held = new KeptBits();
  let fallback: ShareEngine<Float32Array> | undefined;

  /** The stage with all kernels of a step in place; undefined where it cannot be. */
  const prepare = (plan: StepPlan, weight: number): Stage | undefined => {
    try {
      const stage = openStage();
      stage.kernels.apply();
      for (const tensor of plan.tensors) if (tensor !== null) stage.kernels.pack(shareOf(tensor, weight).kernel);
      return stage;
    } catch (error) {
      if (error instanceof UnsupportedError) return undefined;
      throw error;
    }
  };

  const each = (
    plan: StepPlan,
    run: (tensor: TensorPlan, index: number, first: number, count: number, word: number) => void,
  ): void => {
    let word = 0;
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null) return;
      for (let first = 0; first < tensor.size; first += CHUNK) {
        run(tensor, index, first, Math.min(CHUNK, tensor.size - first), word + first / 32);
      }
      word += wordsOf(tensor);
    });
  };

  return {
    pack(plan, tensors, weight, wire) {
      checkShares(plan, weight);
      checkArrays(plan, tensors);
      const stage = fallback === undefined ? prepare(plan, weight) : undefined;
      if (stage === undefined) return (fallback ??= createJsShareEngine()).pack(plan, tensors, weight, wire);
      const words = held.reserve(plan);
      let at = 0;
      each(plan, (tensor, index, first, count, word) => {
        const { parameter, gradient, state } = tensors[index] as TensorBuffers<Float32Array>;
        const { kernel } = shareOf(tensor, weight);
        const [name] = kernelState(kernel);
        const buffer = name === undefined ? undefined : (state[name] as Float32Array);
        if (kernel.coupled) stage.parameter.set(parameter.subarray(first, first + count));
        stage.gradient.set(gradient.subarray(first, first + count));
        if (buffer !== undefined) stage.state.set(buffer.subarray(first, first + count));
        const pointers = {
          parameter: PARAMETER,
          gradient: GRADIENT,
          state: name === undefined ? {} : { [name]: STATE },
        };
        const places = { wire: WIRE, bits: BITS, tables: TABLE };
        const end = packStretch(stage.kernels, plan, tensor, weight, pointers, places, first, count);
        const packed = (end - WIRE) / 4;
        buffer?.set(stage.state.subarray(0, count), first);
        wire.set(stage.wire.subarray(0, packed), at);
        at += packed;
        if (tensor.threshold < KEEP_ALL) words.set(stage.bits.subarray(0, Math.ceil(count / 32)), word);
      });
      return at;
    },
    apply(plan, tensors, wire) {
      if (fallback !== undefined) return fallback.apply(plan, tensors, wire);
      const { kernels, parameter: slot, wire: packed, bits } = openStage();
      const { masked, all } = kernels.apply();
      const words = held.reserve(plan);
      let at = 0;
      each(plan, (tensor, index, first, count, word) => {
        const { parameter } = tensors[index] as TensorBuffers<Float32Array>;
        const keepsAll = tensor.threshold === KEEP_ALL;
        slot.set(parameter.subarray(first, first + count));
        // How many belong to this stretch only the bits know: as many as there could be.
        packed.set(wire.subarray(at, at + count));
        if (!keepsAll) bits.set(words.subarray(word, word + Math.ceil(count / 32)));
        const end = (keepsAll ? all : masked)(count, PARAMETER, WIRE, BITS, TABLE, tensor.scalars.rate);
        parameter.set(slot.subarray(0, count), first);
        at += (end - WIRE) / 4;
      });
    },
  };
}
