import { drawWords } from 'learning-rate-dropout/stream';
import type { Part, Rows } from '../part.ts';
import { WHOLE, rowsOf } from '../part.ts';
import type { BatchRequest } from '../task.ts';

/** Windows of a text, and the byte behind each of their bytes. */
export interface WindowBatch {
  readonly count: number;
  /** `count * context` bytes. */
  readonly inputs: Int32Array;
  /** The same, one further on. */
  readonly labels: Int32Array;
  /** Where these rows lie in the batch. */
  readonly rows: Rows;
}

/** The windows of a text that begin at some places. */
export function windowsAt(
  text: Uint8Array,
  context: number,
  starts: readonly number[],
  rows = rowsOf(WHOLE, starts.length),
): WindowBatch {
  const inputs = new Int32Array(starts.length * context);
  const labels = new Int32Array(inputs.length);
  starts.forEach((start, row) => {
    inputs.set(text.subarray(start, start + context), row * context);
    labels.set(text.subarray(start + 1, start + 1 + context), row * context);
  });
  return { count: starts.length, inputs, labels, rows };
}

/**
 * The training batches of an epoch of `steps`, from batch `first` on: windows that begin anywhere, drawn from the shuffling stream. They are a function of
 * (text, batch size, seed, epoch) alone.
 */
export async function* trainingWindows(
  text: Uint8Array,
  { context, steps }: { readonly context: number; readonly steps: number },
  { batchSize, seed, epoch, first }: BatchRequest,
  part: Pick<Part, 'rank' | 'size'> = WHOLE,
): AsyncGenerator<WindowBatch, void, undefined> {
  const places = text.length - context;
  for (let batch = first; batch < steps; batch++) {
    const words = drawWords({ seed, stream: 'shuffling', step: epoch }, batch * batchSize, batchSize);
    const rows = rowsOf(part, batchSize);
    const starts = Array.from(words, (word) => Math.floor((word * places) / 2 ** 32));
    yield windowsAt(text, context, starts.slice(rows.first, rows.first + rows.count), rows);
  }
}

/** Windows that a test has, at most. */
const MOST = 256;

/** Where the windows of a test begin: evenly over the text, without overlap. */
export function testStarts(text: Uint8Array, context: number): readonly number[] {
  const count = Math.min(MOST, Math.floor(text.length / (context + 1)));
  const room = text.length - (context + 1);
  return Array.from({ length: count }, (_, k) => (count === 1 ? 0 : Math.floor((k * room) / (count - 1))));
}
