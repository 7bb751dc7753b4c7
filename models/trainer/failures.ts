import { JobError } from '../errors.ts';

/** Training came to values that are not numbers. To go on from the checkpoint with the same settings would lead there again. */
export class DivergedError extends JobError {}

/** What to try about it. */
const REMEDY = 'A smaller learning rate, --regularizer clip-norm:LIMIT, or a larger --epsilon may help';

/** Something at a step, counted from 1, is NaN or infinite: a loss, a parameter. */
export function diverged(what: string, value: number, step: number): DivergedError {
  return new DivergedError(`training stopped: ${what} at step ${step} is ${value}, no longer finite. ${REMEDY}`);
}

/** Training was asked to stop, and did so behind a checkpoint. */
export class StoppedError extends Error {
  /** `StoppedError`. */
  override readonly name = 'StoppedError';

  constructor(epoch: number, batch: number) {
    super(`stopped in epoch ${epoch} after ${batch} batches`);
  }
}

/** How the engines below say that there is no memory left: V8 by the first three, tfjs's WASM heap by the others. */
const OUT_OF_MEMORY: readonly RegExp[] = [
  /^Array buffer allocation failed/,
  /^Invalid (typed )?array( buffer)? length/i,
  /^WebAssembly.Memory\.grow\(\)/,
  /^memory access out of bounds/,
  /^Aborted\(/,
];

/**
 * A `JobError` for what was thrown for want of memory, else undefined. tfjs's WASM heap, of 4 GiB at most, does not check what it
 * allocates: it fails at the first access.
 */
export function outOfMemory(thrown: unknown): JobError | undefined {
  if (!(thrown instanceof RangeError) && !(thrown instanceof WebAssembly.RuntimeError)) return undefined;
  const { message } = thrown;
  if (!OUT_OF_MEMORY.some((pattern) => pattern.test(message))) return undefined;
  return new JobError(`out of memory (${message}); a smaller --batch-size or --width needs less`);
}
