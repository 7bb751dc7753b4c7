import { closeSync, openSync, readFileSync, readdirSync, truncateSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { JobError } from '../errors.ts';
import { scalarsEvent, startEvent, stepOf, versionEvent } from './event.ts';
import { encodeRecord, readRecords } from './record.ts';

const PREFIX = 'events.out.tfevents.';

/** Event files of a folder in the order in which TensorBoard reads them. */
export function eventFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith(PREFIX))
    .sort()
    .map((name) => join(folder, name));
}

/** Cuts off what is behind `step`, and a record that a kill has left in half. Within a file steps never go down. */
function cutBehind(path: string, step: number): void {
  const file = readFileSync(path);
  let kept = 0;
  for (const { data, end } of readRecords(file)) {
    if (stepOf(data) > step) break;
    kept = end;
  }
  if (kept < file.length) truncateSync(path, kept);
}

/** Writes TensorBoard event files. */
export interface EventWriter {
  /** Throws a `JobError` when the file cannot be written. */
  scalars(step: number, scalars: Readonly<Record<string, number>>): void;
  close(): void;
}

/**
 * Opens a new event file in a run's folder. What earlier sessions wrote behind `step`, the last one that the run still knows, is cut off,
 * and the new file says that the run goes on from there, so that a TensorBoard that is looking on forgets it too: no step comes twice.
 */
export function openEvents(folder: string, step: number, now: () => number = Date.now): EventWriter {
  let path = folder;
  const attempt = <T>(act: () => T): T => {
    try {
      return act();
    } catch (error) {
      throw new JobError(`${path}: cannot be written (${(error as Error).message})`);
    }
  };
  const earlier = attempt(() => eventFiles(folder));
  const file = attempt(() => {
    for (path of earlier) cutBehind(path, step);
    // By name behind those before, also within one second.
    const last = Number(/tfevents\.(\d+)/.exec(earlier.at(-1) ?? '')?.[1] ?? 0);
    const stamp = Math.max(Math.floor(now() / 1000), last + 1);
    path = join(folder, `${PREFIX}${String(stamp).padStart(10, '0')}.${hostname()}.${process.pid}`);
    return openSync(path, 'wx');
  });
  const write = (event: Uint8Array): void => {
    attempt(() => {
      const record = encodeRecord(event);
      for (let at = 0; at < record.length;) at += writeSync(file, record, at);
    });
  };
  write(versionEvent(now() / 1000));
  if (earlier.length > 0) write(startEvent(now() / 1000, step + 1));
  return {
    scalars: (at, scalars) => write(scalarsEvent(now() / 1000, at, scalars)),
    close: () => closeSync(file),
  };
}
