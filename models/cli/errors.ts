import { InvalidArgumentError, foreignText, launchOf } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import { inWords } from '../storage/inputs.ts';

/** The reader has gone: a pager that was left, a terminal that was closed. No reason to give up work that goes on without it. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    });
  }
}

/** What the system refused, as in a folder that vanished under way, in one line; undefined for anything else. */
function ofSystem(error: unknown): string | undefined {
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (code !== undefined && syscall !== undefined) return `${path ?? syscall}: ${inWords(error)}`;
  const ofMemory =
    error instanceof RangeError && /allocation failed|Invalid (typed )?array( buffer)? length/i.test(error.message);
  return ofMemory ? `there is not enough memory (${error.message})` : undefined;
}

/**
 * Whether another of the processes that were started together speaks for this one: the first does. What is wrong with their call it says with its
 * exit code: with one of its own this process might be the first to end, and the launcher would cut the other's words short.
 */
export function othersSpeak(): boolean {
  return process.argv.includes('--data-parallel') && (launchOf(process.env)?.rank ?? 0) > 0;
}

/** Runs a command: a user's mistake is one line on stderr and exit code 2, a job that failed one line and 1. */
export async function reportErrors(command: () => void | Promise<void>): Promise<void> {
  outliveReaders();
  try {
    await command();
  } catch (error) {
    if (error instanceof UsageError || error instanceof InvalidArgumentError) {
      if (othersSpeak()) return;
      process.exitCode = 2;
      process.stderr.write(`lrd: ${foreignText(error.message, 4000)}\n`);
    } else if (error instanceof JobError) {
      process.stderr.write(`lrd: ${foreignText(error.message, 4000)}\n`);
      process.exitCode = error.exitCode;
    } else if (ofSystem(error) !== undefined) {
      process.stderr.write(`lrd: ${foreignText(ofSystem(error), 4000)}\n`);
      process.exitCode = 1;
    } else {
      // A fault of the program: its trace is what whoever mends it needs.
      process.stderr.write(`lrd: internal error, please report it\n${(error as Error).stack ?? String(error)}\n`);
      process.exitCode = 1;
    }
  }
}
