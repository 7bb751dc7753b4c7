import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as assert from 'uvu/assert';
import { readRun } from '../runFolder.ts';
import { readArchive } from '../../storage/safetensors.ts';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';

const program = fileURLToPath(new URL('../../cli/lrd.ts', import.meta.url));

/** The words of `node ... lrd train ARGS`. */
export function trainWords(args: readonly string[]): string[] {
  return [process.execPath, ...FROM_SOURCE, program, 'train', ...args];
}

export interface Started {
  readonly child: ChildProcess;
  /** The exit code; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly stderr: () => string;
}

/** Starts a program whose stdout is thrown away. */
export function startProgram([command, ...args]: readonly string[]): Started {
  const child = spawn(command as string, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, ended, stderr: () => stderr };
}

/** Starts `lrd train`. */
export function start(args: readonly string[]): Started {
  return startProgram(trainWords(args));
}

/** Runs a program to its end; the exit code must be as said. Returns what stood on stderr. */
export async function completeProgram(words: readonly string[], status = 0): Promise<string> {
  const { ended, stderr } = startProgram(words);
  assert.is(await ended, status, stderr());
  return stderr();
}

/** Runs `lrd train` to its end. */
export function complete(args: readonly string[], status = 0): Promise<string> {
  return completeProgram(trainWords(args), status);
}

/** The last line of stderr: what a failed command says. */
export function lastLine(stderr: string): string {
  return stderr.trimEnd().replace(/^[^]*\n/, '');
}

/** A run's checkpoint. */
export function latest(run: string): string {
  return join(run, 'checkpoint', 'latest.safetensors');
}

/** A small run that takes a checkpoint after every step. */
export function smallRun(out: string, epochs: number): string[] {
  return `fcnet --data digits --optimizer adam --keep 0.5 --width 100 --seed 3 --epochs ${epochs} --backend wasm --checkpoint-seconds 0`
    .split(' ')
    .concat('--out', out);
}

/** Bits of every tensor of a run's checkpoint, and the metrics without their times. */
export function outcome(run: string): { tensors: [string, string][]; metrics: object[] } {
  const { tensors } = readArchive(latest(run));
  const bits = [...tensors].map(([name, { values }]): [string, string] => [
    name,
    Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64'),
  ]);
  return { tensors: bits, metrics: readRun(run).metrics.map((m) => ({ ...m, seconds: 0, inputSeconds: 0 })) };
}
