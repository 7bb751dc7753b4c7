import { setImmediate as turn } from 'node:timers/promises';

/**
 * Between two batches of a test: the event loop has its turn, since a backend that answers at once would never let a signal in. Throws the
 * signal's reason when it is aborted.
 */
export async function attend(signal: AbortSignal | undefined): Promise<void> {
  await turn();
  signal?.throwIfAborted();
}
