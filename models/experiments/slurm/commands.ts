import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { JobError } from '../../errors.ts';

/** Longer than any busy controller takes; Slurm's own commands give up after about as long. */
const PATIENCE_MS = 120_000;

/** What Slurm's commands say, as one line: without the command's name before each of them, without what a terminal would obey. */
export function inOneLine(words: string): string {
  const lines = words
    // oxlint-disable-next-line no-control-regex -- control characters are what is taken away
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ')
    .split('\n')
    .map((line) => line.replace(/^\s*(?:sbatch|squeue|scancel|scontrol): (?:error: |fatal: )?/, '').trim())
    .filter((line) => line !== '');
  return [...new Set(lines)].join('; ');
}

/** Whether a command can be found on the PATH. */
export function isOnPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}

/** Throws a `JobError` where Slurm's commands are not on the PATH. */
export function checkSlurm(): void {
  if (!isOnPath('sbatch')) {
    throw new JobError('--on slurm needs sbatch, which is not on the PATH; call it on a login node of the cluster');
  }
}

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly ok: boolean;
}

function ask(command: string, args: readonly string[]): Answer {
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    maxBuffer: 1 << 28,
  });
  const trouble = error?.message ?? (signal === null ? '' : `ended by ${signal}`);
  return { stdout: stdout ?? '', stderr: `${stderr ?? ''}\n${trouble}`, ok: status === 0 };
}

const failed = (command: string, { stderr }: Answer): JobError =>
  new JobError(`${command}: ${inOneLine(stderr) || 'failed and does not say why'}`);

/** Submits a script. Returns the job's id. Throws a `JobError` with Slurm's own words. */
export function submitScript(args: readonly string[]): string {
  const answer = ask('sbatch', ['--parsable', ...args]);
  // Warnings may stand around it, and `;CLUSTER` behind it.
  const id = /^(\d+)(?:;.*)?$/m.exec(answer.stdout)?.[1];
  if (!answer.ok || id === undefined) throw failed('sbatch', answer);
  return id;
}

/** Cancels jobs, with all of their tasks. Throws a `JobError` with Slurm's own words. */
export function cancelJobs(ids: readonly string[]): void {
  const answer = ask('scancel', ids);
  if (!answer.ok) throw failed('scancel', answer);
}

/** One more than the highest index that an array may have; Slurm's own default where it does not say. */
export function maxArraySize(): number {
  const { stdout } = ask('scontrol', ['show', 'config']);
  return Number(/^MaxArraySize\s*=\s*(\d+)/m.exec(stdout)?.[1] ?? 1001);
}

/** A task that the cluster has in its queue. */
export interface QueuedTask {
  readonly job: string;
  readonly index: number;
  /** In Slurm's words: PENDING, RUNNING, COMPLETING ... */
  readonly state: string;
  /** Why it waits. */
  readonly reason: string;
  readonly timeLeft: string;
  readonly node: string;
}

/**
 * What is left of some array jobs, by one call of `squeue`: tasks that have ended are not in it. Throws a `JobError` with Slurm's own words.
 */
export function queuedTasks(jobs: readonly string[]): readonly QueuedTask[] {
  if (jobs.length === 0) return [];
  const answer = ask('squeue', ['--noheader', '--array', '--jobs', jobs.join(','), '--format', '%F|%K|%T|%L|%N|%r']);
  // What is asked for by one number that the controller has forgotten is an error, of several it is not.
  if (!answer.ok && /Invalid job id/i.test(answer.stderr)) return [];
  if (!answer.ok) throw failed('squeue', answer);
  return answer.stdout.split('\n').flatMap((line) => {
    const [job, index, state, timeLeft = '', node = '', reason = ''] = line.trim().split('|');
    if (job === undefined || state === undefined || !/^\d+$/.test(index ?? '')) return [];
    const said = inOneLine(reason).replace(/^None$/, '');
    return [{ job, index: Number(index), state, timeLeft: inOneLine(timeLeft), node: inOneLine(node), reason: said }];
  });
}
