import { InvalidArgumentError, UnsupportedError, foreignText, launchOf } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import { inWords } from '../storage/inputs.ts';
import { columnsOf, wrapped } from '../terminal.ts';
import { blamed } from '../storage/modules.ts';

/**
 * A reader that has gone (a pager that was left, a terminal that was closed) is no reason to give up work that goes on without it. What
 * stdout cannot take for another reason, as on a full disk, is said once; the work goes on, and the exit code tells.
 */
function outliveReaders(): void {
  let told = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (told || error.code === 'EPIPE' || error.code === 'EIO') return;
    told = true;
    process.stderr.write(`lrd: stdout: cannot be written (${inWords(error)})\n`);
    process.exitCode ||= 1;
  });
  // Where there is nothing to be said to, nothing is said.
  process.stderr.on('error', () => undefined);
}

/** Controls but tabs and line breaks, and what changes the direction of a line. */
const OBEYED = /(?![\t\n])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** What a terminal would obey is shown by its code there: a name that was typed, what a file says. Nothing of ours on stdout is such. */
function guardTerminal(): void {
  if (!process.stdout.isTTY) return;
  const write = process.stdout.write.bind(process.stdout) as (...given: readonly unknown[]) => boolean;
  process.stdout.write = (text: unknown, ...rest: readonly unknown[]) =>
    write(typeof text === 'string' ? text.replaceAll(OBEYED, (one) => foreignText(one)) : text, ...rest);
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

/** What a command came to, in one line, and what the process exits with. */
function tell(error: unknown): void {
  // One line, which a terminal that is narrower shows as several.
  const line = (message: unknown): void =>
    void process.stderr.write(`${wrapped(`lrd: ${foreignText(message, 4000)}`, columnsOf(process.stderr))}\n`);
  const ofModule = blamed(error);
  if (error instanceof UsageError || error instanceof InvalidArgumentError) {
    if (othersSpeak()) return;
    process.exitCode = 2;
    line(error.message);
  } else if (error instanceof JobError || error instanceof UnsupportedError) {
    line(error.message);
    process.exitCode = error instanceof JobError ? error.exitCode : 1;
  } else if (ofModule !== undefined || ofSystem(error) !== undefined) {
    line(ofModule?.message ?? ofSystem(error));
    process.exitCode = 1;
  } else {
    // A fault of the program: its trace is what whoever mends it needs.
    process.stderr.write(`lrd: internal error, please report it\n${(error as Error)?.stack ?? String(error)}\n`);
    process.exitCode = 1;
  }
}

/** Milliseconds that what was said has to get away, when the process was told to end. */
const LAST_WORDS = 1000;

let endsSoon = false;

/** A command that was told to end does not wait for a reader who reads nothing of what it said. */
export function endSoon(): void {
  endsSoon = true;
}

let isSetUp = false;

/** What holds for the whole process, once. */
function setUp(): void {
  if (isSetUp) return;
  isSetUp = true;
  outliveReaders();
  guardTerminal();
  // Of what happens beside the command: a timer of a module of the user's own, a stream that nobody waits for.
  process.on('uncaughtException', (error) => {
    tell(error);
    process.exit();
  });
}

/** Runs a command: a user's mistake is one line on stderr and exit code 2, a job that failed one line and 1. */
export async function reportErrors(command: () => void | Promise<void>): Promise<void> {
  setUp();
  try {
    await command();
  } catch (error) {
    tell(error);
  }
  if (endsSoon) setTimeout(() => process.exit(), LAST_WORDS).unref();
}
