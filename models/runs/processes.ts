/** Processes that train one network together (`lrd train --data-parallel`): what a run needs of them. */
import { createHash } from 'node:crypto';
import { serialize } from 'node:v8';
import * as tf from '@tensorflow/tfjs';
import { GroupError, UnsupportedError, distributed, gatherTexts, mpi, replicaOf } from 'learning-rate-dropout';
import type { Group, LrdOptimizer, Replica } from 'learning-rate-dropout';
import { InvalidArgumentError } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import type { Part } from '../tasks/part.ts';
import type { Team, Wishes } from '../trainer/train.ts';
import { DivergedError, StoppedError } from '../trainer/failures.ts';

/** What a process says of a piece of work that all do: nothing, or how it failed. */
interface Outcome {
  readonly kind: 'usage' | 'job' | 'diverged' | 'fault';
  readonly message: string;
}

const STOP = 1;
const CHECKPOINT = 2;

/** Errors that every process knows of: one of them is enough to tell it. */
const known = new WeakSet<Error>();

/** Whether all processes have come to this error together; else it is one process's own, and the others wait for it. */
export function isShared(error: unknown): boolean {
  return error instanceof StoppedError || error instanceof DivergedError || (error instanceof Error && known.has(error));
}

/** Marks an error that says more of one that all processes know of. */
export function asShared<T extends Error>(error: T, of: unknown): T {
  if (isShared(of)) known.add(error);
  return error;
}

function outcomeOf(error: unknown): Outcome {
  const { message } = error as Error;
  if (error instanceof DivergedError) return { kind: 'diverged', message };
  if (error instanceof UsageError || error instanceof InvalidArgumentError) return { kind: 'usage', message };
  if (error instanceof JobError || error instanceof UnsupportedError) return { kind: 'job', message };
  return { kind: 'fault', message: (error as Error).stack ?? String(error) };
}

function errorOf({ kind, message }: Outcome): Error {
  const error =
    kind === 'usage' ? new UsageError(message) : kind === 'diverged' ? new DivergedError(message) : new JobError(message);
  known.add(error);
  return error;
}

/** All processes of a run, as one of them sees it. */
export class Processes implements Part, Team {
  readonly group: Group;
  #replica: Replica | undefined;

  constructor(group: Group) {
    this.group = group;
  }

  get rank(): number {
    return this.group.rank;
  }

  get size(): number {
    return this.group.size;
  }

  /** Whether this is the one that writes and speaks. */
  get first(): boolean {
    return this.rank === 0;
  }

  /**
   * Does something on every process. When it fails on any, it fails on all, with the error of the first that failed: which process that is
   * stands in front where it is not all of them.
   */
  async together<T>(work: () => T | Promise<T>): Promise<T> {
    let result: T | undefined;
    let own: Outcome | undefined;
    try {
      result = await work();
    } catch (error) {
      own = outcomeOf(error);
    }
    const outcomes = gatherTexts(this.group, own === undefined ? '' : JSON.stringify(own)).map((text) =>
      text === '' ? undefined : (JSON.parse(text) as Outcome),
    );
    const rank = outcomes.findIndex((outcome) => outcome !== undefined);
    if (rank < 0) return result as T;
    const { kind, message } = outcomes[rank] as Outcome;
    const everywhere = outcomes.every((outcome) => outcome?.message === message);
    throw errorOf({ kind, message: everywhere || rank === 0 ? message : `process ${rank}: ${message}` });
  }

  /** Does something on process 0 alone; undefined on the others, which wait for it. */
  onFirst<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    return this.together<T | undefined>(() => (this.first ? work() : undefined));
  }

  /** Throws a `UsageError` that names the first setting that is not the same on all processes. */
  compare(settings: Readonly<Record<string, unknown>>): void {
    const [first, ...others] = gatherTexts(this.group, JSON.stringify(settings)).map(
      (text) => JSON.parse(text) as Record<string, unknown>,
    );
    others.forEach((other, index) => {
      for (const name of new Set([...Object.keys(first ?? {}), ...Object.keys(other)])) {
        const [a, b] = [first?.[name], other[name]].map((value) => JSON.stringify(value) ?? 'none') as [string, string];
        if (a === b) continue;
        const message = `all processes must be started alike: ${name} is ${a} on process 0 and ${b} on process ${index + 1}`;
        throw errorOf({ kind: 'usage', message });
      }
    });
  }

  /** Process 0's seed, on every process. */
  firstSeed(seed: bigint): bigint {
    return BigInt(gatherTexts(this.group, this.first ? String(seed) : '')[0] as string);
  }

  /** How gradients are reduced, and why; undefined before `join`. */
  get replica(): Replica | undefined {
    return this.#replica;
  }

  /** Lets an optimizer step together with those of the other processes. */
  join(optimizer: LrdOptimizer): Replica {
    distributed(optimizer, this.group);
    return (this.#replica = replicaOf(optimizer) as Replica);
  }

  weigh(share: number): void {
    if (this.#replica !== undefined) this.#replica.weight = share;
  }

  sum(values: Float64Array): void {
    this.group.allReduce(values, 'sum');
  }

  gather(text: string): readonly string[] {
    return gatherTexts(this.group, text);
  }

  wish({ stop, checkpoint }: Wishes): void {
    if (this.#replica === undefined) return;
    // Clocks differ: process 0's decides when it is time.
    this.#replica.flags = (stop ? STOP : 0) | (checkpoint && this.first ? CHECKPOINT : 0);
  }

  agreed(): Wishes {
    const flags = this.#replica?.flags ?? 0;
    return { stop: (flags & STOP) !== 0, checkpoint: (flags & CHECKPOINT) !== 0 };
  }

  anyStops(stop: boolean): boolean {
    const flag = Int32Array.of(stop ? 1 : 0);
    this.group.allReduce(flag, 'or');
    return flag[0] !== 0;
  }

  /** The mean of a variable over the processes; of one that is the same everywhere, its own bits. Collective. */
  meanOf(variable: tf.Variable): Float32Array {
    const sums = Float64Array.from(variable.dataSync<'float32'>());
    this.group.allReduce(sums, 'sum');
    return Float32Array.from(sums, (sum) => sum / this.size);
  }

  /** Does something while variables have their means over the processes; afterwards each process has its own values again. */
  async withMeans<T>(variables: readonly tf.Variable[], work: () => Promise<T>): Promise<T> {
    const own = variables.map((variable) => variable.dataSync<'float32'>().slice());
    const assign = (values: readonly Float32Array[]): void =>
      tf.tidy(() => variables.forEach((variable, k) => variable.assign(tf.tensor(values[k] as Float32Array, variable.shape))));
    assign(variables.map((variable) => this.meanOf(variable)));
    try {
      return await work();
    } finally {
      assign(own);
    }
  }

  /** Leaves the others. Collective. */
  close(): void {
    this.group.close();
  }
}

/** A hash of anything that can be copied: of a batch, to see whether all processes have the same data. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(serialize(value)).digest('hex').slice(0, 16);
}

/** Joins the processes that `mpirun` started. A `JobError` says what is missing. */
export async function joinProcesses(): Promise<Processes> {
  try {
    return new Processes(await mpi());
  } catch (error) {
    if (error instanceof UnsupportedError) throw new JobError(`--data-parallel: ${error.message}`);
    throw error;
  }
}

/** The other processes cannot be reached: a job's failure. */
class UnreachableError extends JobError {}

/** Whether it is that the other processes cannot be reached, which any of them may say. */
export const isUnreachable = (error: unknown): boolean => error instanceof UnreachableError;

/** What is the matter when the others cannot be reached, as a job's failure. */
export function unreachable(error: unknown): unknown {
  return error instanceof GroupError ? new UnreachableError(error.message) : error;
}
