/** Processes that train one model together, and what they say to one another: everything but reductions and broadcasts stays local. */

/** What a reduction does to the values of one place: adds them, keeps the largest, or joins their bits. */
export type ReduceOperation = 'sum' | 'max' | 'or';

/** `or` takes whole numbers only. */
export type Reducible = Float32Array | Float64Array | Int32Array | Uint8Array;

/** What a process has given into reductions and broadcasts so far. */
export interface Traffic {
  /** Collective calls. */
  readonly calls: number;
  /** Payload: how often a library copies it over the wire is its own affair. */
  readonly bytes: number;
}

/**
 * All processes of a run. Calls are collective: every process makes the same ones in the same order, and each blocks until its result is
 * there. They throw a `GroupError` when the others cannot be reached.
 */
export interface Group {
  /** This process, from 0. */
  readonly rank: number;
  /** Processes in the group. */
  readonly size: number;
  /** What carries the messages, as in "Open MPI 4.1.4"; of a single process, why it is alone. */
  readonly description: string;
  /** What this process has sent into collective calls so far. */
  readonly traffic: Traffic;
  /** Replaces the values by their reduction over all processes, in place: the same bits everywhere. */
  allReduce(values: Reducible, operation: ReduceOperation): void;
  /** Replaces the values by those of process `root`. */
  broadcast(values: Reducible, root: number): void;
  /** On process 0 the values of all, one process's behind the other's; undefined elsewhere. As many on each. */
  gather(values: Float32Array): Float32Array | undefined;
  /** Leaves. Collective, and the last call. */
  close(): void;
  /** Ends all processes with this exit code, without asking them. */
  abort(code: number): void;
}

/** The other processes cannot be reached: one has died, the network is broken, or somebody takes too long. */
export class GroupError extends Error {
  /** `GroupError`. */
  override readonly name = 'GroupError';
}

/** The group of one process: everything is its own result. */
export function alone(description: string): Group {
  return {
    rank: 0,
    size: 1,
    description,
    traffic: { calls: 0, bytes: 0 },
    allReduce: () => undefined,
    broadcast: () => undefined,
    gather: (values) => values.slice(),
    close: () => undefined,
    abort: () => undefined,
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Every process's text, in the order of ranks, on every process. */
export function gatherTexts(group: Group, own: string): string[] {
  const bytes = encoder.encode(own);
  const lengths = new Int32Array(group.size);
  lengths[group.rank] = bytes.length;
  group.allReduce(lengths, 'sum');
  const starts = Array.from(lengths, (_, rank) => lengths.subarray(0, rank).reduce((sum, n) => sum + n, 0));
  const all = new Uint8Array(lengths.reduce((sum, n) => sum + n, 0));
  all.set(bytes, starts[group.rank]);
  // Everybody's place is empty on the others.
  group.allReduce(all, 'or');
  return starts.map((start, rank) => decoder.decode(all.subarray(start, start + (lengths[rank] as number))));
}

/** Whether all processes hold the same numbers (finite ones). */
export function agreeOn(group: Group, numbers: readonly number[]): boolean {
  const both = Float64Array.from([...numbers, ...numbers.map((x) => -x)]);
  group.allReduce(both, 'max');
  return numbers.every((_, i) => both[i] === -(both[i + numbers.length] as number));
}
