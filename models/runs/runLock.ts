import { existsSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { JobError } from '../errors.ts';
import type { Claim, ClaimKind, Holder } from './claim.ts';
import { formatDuration } from '../trainer/progress.ts';
import { LAPSE_SECONDS, holding, takeClaim } from './claim.ts';
import type { Watch } from './watch.ts';

/**
 * A run's folder. Its lock lapses sooner than the claim on the cell around it (`claim.ts`); whoever has seen the one lapse finds the other
 * free at once, since both belong to one process.
 */
const RUN: ClaimKind = { name: 'lock', lapseSeconds: 0.75 * LAPSE_SECONDS, kept: false };

const LOOK_MS = 1000;

/** Another process trains in the run's folder. */
export class LockedError extends JobError {}

/** A lock of another machine cannot be asked about here: its file is named, and what to do where that process is known to be gone. */
function locked(folder: string, { name, here, path, seconds }: Pick<Holder, 'name' | 'here' | 'path' | 'seconds'>): LockedError {
  const sign = seconds < 0 ? 'a moment ago, by a clock that is ahead of this one' : `${formatDuration(seconds)} ago`;
  const elsewhere = here ? '' : ` there (its lock ${path}, last sign of life ${sign}); if it is known to be gone, remove that file`;
  return new LockedError(`${folder}: ${name} is training in this folder; wait until it ends, or stop it${elsewhere}`);
}

/** Of a folder that was this process's and is no longer this process's, or is not there any more. */
function lost(folder: string): JobError {
  if (!existsSync(folder)) return new JobError(`${folder}: the folder is gone: it was removed or moved away while this run trained in it`);
  if (!statSync(folder).isDirectory()) return new JobError(`${folder}: a file has taken the folder's place while this run trained in it`);
  const now = holding(folder, RUN);
  if (now.state === 'held') return locked(folder, now.holder);
  return new JobError(`${folder}: this run's lock was removed, so another process may train in the folder`);
}

/** How a lock is waited for. */
export interface LockOptions {
  /** Told of a wait. */
  readonly line?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** Remembers signs of life. Default: one for the process. */
  readonly watch?: Watch;
}

/**
 * Returns when nobody trains in the folder, which must be there. A process of another machine cannot be asked whether it lives: it is watched
 * for a while. Throws a `LockedError` that names the process, as soon as it shows a sign of life.
 */
export async function untilUnlocked(folder: string, { line, signal, watch }: LockOptions = {}): Promise<void> {
  let first: Holder | undefined;
  for (;;) {
    const held = holding(folder, RUN, watch);
    if (held.state === 'free') return;
    const { holder } = held;
    if (holder.here || signal?.aborted === true) throw locked(folder, holder);
    if (first === undefined) {
      line?.(`${folder}: ${holder.name} began to train here; watching for ${RUN.lapseSeconds} s whether it lives`);
    } else if (holder.stamp !== first.stamp || holder.name !== first.name) throw locked(folder, holder);
    first = holder;
    await pause(LOOK_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}

/** A run's folder that this process alone trains in. */
export interface RunLock {
  /** Throws a `LockedError` when another process has taken the folder over: this one was silent for minutes. */
  checkHeld(): void;
  /** Removes the lock. */
  release(): Promise<void>;
}

const lockOf = (folder: string, claim: Claim): RunLock => ({
  checkHeld: () => {
    if (claim.stillHeld()) return;
    throw lost(folder);
  },
  release: () => claim.release(),
});

/**
 * Keeps every other process from training in a folder, which must be there, until it is released or this process ends in any way. Throws
 * a `LockedError` that names the folder and the process that trains there.
 */
export async function lockRun(folder: string, options: LockOptions = {}): Promise<RunLock> {
  await untilUnlocked(folder, options);
  const claim = takeClaim(folder, RUN, options.watch);
  if (claim !== undefined) return lockOf(folder, claim);
  const held = holding(folder, RUN, options.watch);
  if (held.state === 'held') throw locked(folder, held.holder);
  // It took the folder and has given it up since.
  throw locked(folder, { name: 'another process', here: true, path: folder, seconds: 0 });
}
