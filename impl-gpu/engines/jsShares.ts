/** The two halves of a replica's step on `Float32Array`s in plain JavaScript, for where WebAssembly SIMD is not. */
import type { StepPlan, TensorBuffers, TensorPlan } from './engine.ts';
import { KEEP_ALL } from './engine.ts';
import { checkArrays } from './checked.ts';
import { CHUNK, drawMask, select } from './js.ts';
import type { ShareEngine } from './shares.ts';
import { KeptBits, checkShares, shareOf, wordsOf } from './shares.ts';

/** Writes the share of elements `first` to `last` - 1 into `share`, and updates the state. */
function stepShare(
  tensor: TensorPlan,
  weight: number,
  { parameter, gradient, state }: TensorBuffers<Float32Array>,
  first: number,
  last: number,
  share: Float32Array,
): void {
  const { kernel, decay } = shareOf(tensor, weight);
  const { firstKeep, firstAdd, momentum } = tensor.scalars;
  const { coupled, nesterov } = kernel;
  const buf = kernel.family === 'momentum' ? state['buf'] : undefined;
  for (let i = first; i < last; i++) {
    const weighted = weight * (gradient[i] as number);
    const g = coupled ? weighted + decay * (parameter[i] as number) : weighted;
    if (buf === undefined) {
      share[i - first] = g;
      continue;
    }
    const b = firstKeep * (buf[i] as number) + firstAdd * g;
    buf[i] = b;
    share[i - first] = nesterov ? g + momentum * b : b;
  }
}

/** Bits of `kept` (-1 or 0), 32 a word. */
function holdBits(kept: Int32Array, count: number, words: Int32Array, at: number): void {
  for (let first = 0; first < count; first += 32) {
    let word = 0;
    const last = Math.min(first + 32, count);
    for (let i = first; i < last; i++) word |= (kept[i] as number) & (1 << (i & 31));
    words[at + first / 32] = word;
  }
}

function readBits(words: Int32Array, at: number, count: number, kept: Int32Array): void {
  for (let i = 0; i < count; i++) kept[i] = -(((words[at + (i >> 5)] as number) >> (i & 31)) & 1);
}

/** Both halves on `Float32Array`s. `pack` throws as `createJsEngine` does, and on a rule that is not linear or a weight outside [0, 1]. */
export function createJsShareEngine(): ShareEngine<Float32Array> {
  const held = new KeptBits();
  const kept = new Int32Array(CHUNK);
  const share = new Float32Array(CHUNK);
  const next = new Float32Array(CHUNK);
  const nextBits = new Int32Array(next.buffer);

  const each = (
    plan: StepPlan,
    run: (tensor: TensorPlan, index: number, first: number, last: number, word: number) => void,
  ): void => {
    let word = 0;
    plan.tensors.forEach((tensor, index) => {
      if (tensor === null) return;
      for (let first = 0; first < tensor.size; first += CHUNK) {
        run(tensor, index, first, Math.min(first + CHUNK, tensor.size), word + first / 32);
      }
      word += wordsOf(tensor);
    });
  };

  return {
    pack(plan, tensors, weight, wire) {
      checkShares(plan, weight);
      checkArrays(plan, tensors);
      const words = held.reserve(plan);
      let at = 0;
      each(plan, (tensor, index, first, last, word) => {
        const count = last - first;
        stepShare(tensor, weight, tensors[index] as TensorBuffers<Float32Array>, first, last, share);
        if (tensor.threshold === KEEP_ALL) {
          wire.set(share.subarray(0, count), at);
          at += count;
          return;
        }
        drawMask(plan.key, plan.step, tensor.base + first, count, tensor.threshold, kept);
        holdBits(kept, count, words, word);
        // No branch, which a random mask would mispredict: a dropped one is written and overwritten.
        for (let i = 0; i < count; i++) {
          wire[at] = share[i] as number;
          at -= kept[i] as number;
        }
      });
      return at;
    },
    apply(plan, tensors, wire) {
      const words = held.reserve(plan);
      let at = 0;
      each(plan, (tensor, index, first, last, word) => {
        const { parameter } = tensors[index] as TensorBuffers<Float32Array>;
        const { rate } = tensor.scalars;
        const count = last - first;
        const masked = tensor.threshold < KEEP_ALL;
        if (masked) readBits(words, word, count, kept);
        else kept.fill(-1);
        for (let i = 0; i < count; i++) {
          next[i] = (parameter[first + i] as number) - rate * (wire[at] as number);
          at -= kept[i] as number;
        }
        const bits = new Int32Array(parameter.buffer, parameter.byteOffset, parameter.length);
        select(bits, nextBits, kept, first, last);
      });
    },
  };
}
