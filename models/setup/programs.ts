import { spawn } from 'node:child_process';
import { JobError } from '../errors.ts';

/** What a program left. */
export interface Finished {
  /** `undefined` where it could not be started or was ended for taking too long. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly seconds: number;
}

/** Runs a program to its end. Never rejects. */
export function runProgram(
  [program, ...args]: readonly string[],
  { cwd, env, seconds }: RunOptions,
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program as string, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: seconds * 1000,
      ...(cwd === undefined ? {} : { cwd }),
      ...(env === undefined ? {} : { env }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', (error) => resolve({ code: undefined, stdout, stderr: error.message }));
    child.once('close', (code, signal) => {
      const late = signal === null ? '' : `\nended by ${signal} (the limit is ${seconds} s)`;
      resolve({ code: code ?? undefined, stdout, stderr: `${stderr}${late}` });
    });
  });
}

/** The line of a program's complaint that says most: the last with the word error, else the last. */
export function complaint({ stdout, stderr }: Finished): string {
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  return (lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? 'no output').trim().slice(0, 300);
}

/** The first of some commands that runs with `--version`; a `JobError` with `advice` where none does. */
export async function firstThatRuns(
  candidates: readonly (readonly string[])[],
  what: string,
  advice: string,
): Promise<readonly string[]> {
  for (const candidate of candidates) {
    const { code } = await runProgram([...candidate, '--version'], { seconds: 60 });
    if (code === 0) return candidate;
  }
  const tried = candidates.map((candidate) => candidate.join(' ')).join(', ');
  throw new JobError(`${what} is needed and none of these runs: ${tried}; ${advice}`);
}
