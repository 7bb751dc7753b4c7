/** Keeps what a native library writes while it is loaded from a user's stderr. Node on Linux only; elsewhere nothing is kept back. */
// Through `process`, not by import statements: a bundler for browsers must not find Node's modules here.
const { closeSync, openSync, fstatSync, readFileSync, constants } = process.getBuiltinModule('node:fs');
const { createRequire } = process.getBuiltinModule('node:module');

const STDERR = 2;
const SELF = '/proc/self/fd';

/** Whether what is written to a file goes to its end, whoever else writes to it. */
function isAppending(number: number): boolean {
  const flags = /^flags:\s*0*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${number}`, 'latin1'))?.[1];
  return flags !== undefined && (parseInt(flags, 8) & constants.O_APPEND) !== 0;
}

/**
 * Opens what stderr is a second time: a terminal, a pipe or a file that is appended to. Undefined where that cannot be, as of a socket, or of a file that
 * others write to by the place that all of them share: opened anew it has a place of its own, and one would write over the other.
 */
function again(number: number): number | undefined {
  try {
    const stats = fstatSync(number);
    if (stats.isSocket() || (stats.isFile() && !isAppending(number))) return undefined;
    return openSync(`${SELF}/${number}`, constants.O_WRONLY | constants.O_APPEND);
  } catch {
    return undefined;
  }
}

/** As much of koffi as is used here. */
interface Koffi {
  load(path: null): { func(declaration: string): (...values: readonly number[]) => number };
}

/** A way to put something else in stderr's place for a while. */
interface Stand {
  restore(): void;
}

/** By libc's own `dup`, which Node has no word for: whatever stderr is, it is the same afterwards. Undefined where koffi is not installed. */
function byDup(): Stand | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const libc = koffi.load(null);
    const dup = libc.func('int dup(int)');
    const dup2 = libc.func('int dup2(int, int)');
    const kept = dup(STDERR);
    if (kept < 0) return undefined;
    const nowhere = openSync('/dev/null', 'w');
    dup2(nowhere, STDERR);
    closeSync(nowhere);
    return {
      restore: () => {
        dup2(kept, STDERR);
        closeSync(kept);
      },
    };
  } catch {
    return undefined;
  }
}

/** By a second opening of the same thing. */
function byOpening(): Stand | undefined {
  const kept = again(STDERR);
  if (kept === undefined) return undefined;
  closeSync(STDERR);
  // The lowest free number is taken: that of stderr.
  const nowhere = openSync('/dev/null', 'w');
  return {
    restore: () => {
      if (nowhere === STDERR) {
        closeSync(STDERR);
        openSync(`${SELF}/${kept}`, constants.O_WRONLY | constants.O_APPEND);
      } else closeSync(nowhere);
      closeSync(kept);
    },
  };
}

/**
 * Runs a job, which must be synchronous, with the process's stderr closed off: the library behind it logs before it can be told not to. What
 * the job throws is thrown. Where stderr cannot be put back as it was (a socket or a file, without koffi) the job runs as it is.
 */
export function withoutStderr<T>(job: () => T): T {
  const stand = process.platform === 'linux' ? (byDup() ?? byOpening()) : undefined;
  if (stand === undefined) return job();
  try {
    return job();
  } finally {
    stand.restore();
  }
}
