import { foreignText } from 'learning-rate-dropout/internal';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { JobError } from '../errors.ts';
import type { Plan } from './plan.ts';
import { cellLabel } from './plan.ts';
import type { Store } from './store.ts';

/** Workers that die one after the other without a cell finished in between: then something else is wrong. */
const MOST_DEATHS = 5;

/** The arguments of one worker: those of the crew, without `--workers`. */
function workerArguments(args: readonly string[]): string[] {
  return args.flatMap((argument, index) => {
    if (argument === '--workers' || argument.startsWith('--workers=')) return [];
    return args[index - 1] === '--workers' ? [] : [argument];
  });
}

/**
 * Runs a plan with several processes, each of which is the command itself with one worker. One that is killed is replaced, and
 * its cell is taken up again. Ctrl-C reaches all of them.
 */
export async function runCrew(workers: number, args: readonly string[], store: Store, plan: Plan): Promise<void> {
  const undone = (): number => plan.cells.filter((cell) => store.result(cell) === undefined).length;
  const failures = (): string[] =>
    plan.cells.flatMap((cell) => {
      const message = store.result(cell) === undefined ? store.failure(cell) : undefined;
      return message === undefined ? [] : [`${cellLabel(cell)}: ${message}`];
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
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, LRD_CREW: '1' },
      });
      children.add(child);
      let rest = '';
      child.stderr.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) process.stderr.write(`[${number}] ${foreignText(line, 4000)}\n`);
      });
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
  const failed = failures();
  if (stopping) throw new JobError(`stopped with ${undone()} cells to do; the same command goes on`);
  if (failed.length > 0) throw new JobError(`${failed.length} of ${plan.cells.length} cells failed: ${failed[0]}`);
  console.log(`${plan.cells.length - undone()} of ${plan.cells.length} cells done`);
}
