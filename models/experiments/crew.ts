import { foreignText } from 'learning-rate-dropout/internal';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { JobError } from '../errors.ts';
import type { Plan } from './plan.ts';
import type { Store } from './store.ts';
import type { FailedCell, WorkSummary } from './work.ts';

/** Workers that die one after the other without a cell finished in between: then something else is wrong. */
const MOST_DEATHS = 5;

/** Calls with each whole line of a stream; what a process that was killed left of one is nobody's. */
function eachLine(stream: Readable, told: (line: string) => void): void {
  stream.setEncoding('utf8');
  let rest = '';
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) told(line);
  });
}

/** The arguments of one worker: those of the crew, without `--workers`. */
function workerArguments(args: readonly string[]): string[] {
  return args.flatMap((argument, index) => {
    if (argument === '--workers' || argument.startsWith('--workers=')) return [];
    return args[index - 1] === '--workers' ? [] : [argument];
  });
}

/** Options of `runCrew`. */
export interface CrewOptions {
  /** How many work side by side, at most. */
  readonly workers: number;
  /** The command's own arguments, behind `experiment`. */
  readonly args: readonly string[];
  readonly store: Store;
  readonly plan: Plan;
  /** Called when they were stopped. */
  readonly stopped: () => void;
  /** Whether they say in lines of JSON what happens, which go to stdout. */
  readonly lines: boolean;
}

/**
 * Runs a plan with several processes, each of which is the command itself with one worker. One that is killed is replaced, and
 * its cell is taken up again. Ctrl-C reaches all of them. Throws a `JobError` where they were stopped, or cannot work.
 */
export async function runCrew({
  workers,
  args,
  store,
  plan,
  stopped,
  lines,
}: CrewOptions): Promise<Pick<WorkSummary, 'done' | 'failed'>> {
  const undone = (): number => plan.cells.filter((cell) => store.result(cell) === undefined).length;
  const failures = (): FailedCell[] =>
    plan.cells.flatMap((cell) => {
      const note = store.result(cell) === undefined ? store.failure(cell) : undefined;
      return note === undefined ? [] : [{ cell, note }];
    });
  const children = new Set<ChildProcess>();
  let stopping = false;
  let deaths = 0;
  let undoneBefore = undone();
  let trouble: string | undefined;
  const program = process.argv[1] as string;
  const member = (number: number): Promise<void> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [...process.execArgv, program, 'experiment', ...workerArguments(args)], {
        stdio: ['ignore', lines ? 'pipe' : 'ignore', 'pipe'],
        env: { ...process.env, LRD_CREW: '1' },
      });
      children.add(child);
      if (child.stderr !== null)
        eachLine(child.stderr, (line) => process.stderr.write(`[${number}] ${foreignText(line, 4000)}\n`));
      if (child.stdout !== null) eachLine(child.stdout, (line) => process.stdout.write(`${line}\n`));
      child.on('close', (status, signal) => {
        children.delete(child);
        const now = undone();
        deaths = now < undoneBefore ? 0 : deaths;
        undoneBefore = now;
        if (status === 0 || stopping || now === failures().length) return resolve();
        deaths += 1;
        process.stderr.write(`[${number}] worker ended with ${signal ?? `exit code ${status}`}\n`);
        if (deaths > MOST_DEATHS) {
          trouble = `${deaths} workers ended without a cell finished, the last with ${signal ?? `exit code ${status}`}`;
          return resolve();
        }
        member(number).then(resolve, resolve);
      });
    });
  const onSignal = (signal: NodeJS.Signals): void => {
    // A terminal's Ctrl-C reaches the workers by itself too, and a second one would end them at once: the first time they get what
    // may come twice.
    const passedOn = stopping ? signal : 'SIGHUP';
    stopping = true;
    for (const child of children) child.kill(passedOn);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    await Promise.all(Array.from({ length: Math.min(workers, plan.cells.length) }, (_, k) => member(k + 1)));
  } finally {
    for (const signal of signals) process.removeListener(signal, onSignal);
  }
  if (trouble !== undefined) throw new JobError(trouble);
  if (stopping) {
    stopped();
    throw new JobError(`stopped with ${undone()} cells to do; the same command goes on`);
  }
  return { done: plan.cells.length - undone(), failed: failures() };
}
