/**
 * How much of a file one call of the system moves: systems refuse 2 GiB and more, so nothing here asks for a file at once. Between two pieces
 * the event loop has its turn where the work may wait for it: a signal is heard in the middle of a file of gigabytes.
 */
import { setImmediate as turn } from 'node:timers/promises';

let most = 2 ** 24;

/** Bytes that one read or write moves at most. */
export function pieceBytes(): number {
  return most;
}

/** Does something with smaller pieces, so that a small file stands for one of gigabytes. For tests. */
export async function withPieces<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  const before = most;
  most = bytes;
  try {
    return await work();
  } finally {
    most = before;
  }
}

/** The bytes piece by piece, with a turn of the event loop behind each. */
export async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += most) {
    yield bytes.subarray(at, at + most);
    await turn();
  }
}
