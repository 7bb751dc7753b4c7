import { JobError } from '../errors.ts';
import type { ClaimKind } from './claim.ts';
import { holding, takeClaim } from './claim.ts';

/**
 * A run's folder. Its lock lapses ahead of the claim on the cell around it (`claim.ts`), so that whoever takes up a cell of a machine that
 * is gone finds its run free.
 */
const RUN: ClaimKind = { name: 'lock', lapseSeconds: 240, kept: false };

/** Another process trains in the run's folder. */
export class LockedError extends JobError {}

function locked(folder: string, owner: string): LockedError {
  return new LockedError(`${folder}: ${owner} is training in this folder; wait until it ends, or stop it`);
}

/** Throws a `LockedError` that names the process when one is training in the folder, which must be there. */
export function checkUnlocked(folder: string): void {
  const held = holding(folder, RUN);
  if (held.state === 'held') throw locked(folder, held.owner);
}

/** A run's folder that this process alone trains in. */
export interface RunLock {
  /** Throws a `LockedError` when another process has taken the folder over: this one was silent for minutes. */
  checkHeld(): void;
  /** Removes the lock. */
  release(): Promise<void>;
}

/**
 * Keeps every other process from training in a folder, which must be there, until it is released or this process ends in any way. Throws
 * a `LockedError` that names the folder and the process that trains there.
 */
export function lockRun(folder: string): RunLock {
  const claim = takeClaim(folder, RUN);
  if (claim === undefined) {
    checkUnlocked(folder);
    throw locked(folder, 'another process');
  }
  return {
    checkHeld: () => {
      if (claim.stillHeld()) return;
      checkUnlocked(folder);
      throw locked(folder, 'another process');
    },
    release: () => claim.release(),
  };
}
