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

/** libc's functions, which Node has no word for. */
interface Descriptors {
  dup(number: number): number;
  dup2(from: number, to: number): number;
}

/** A way to put something else in stderr's place for a while. */
interface Stand {
  restore(): void;
}

const require = createRequire(import.meta.url);

/** What `lrd setup tensorflow` has built, else by koffi; undefined where neither is there. */
function descriptors(addon: string | undefined): Descriptors | undefined {
  for (const attempt of [
    (): Descriptors | undefined => (addon === undefined ? undefined : (require(addon) as Descriptors)),
    (): Descriptors => {
      const libc = (require('koffi') as Koffi).load(null);
      return { dup: libc.func('int dup(int)'), dup2: libc.func('int dup2(int, int)') };
    },
  ]) {
    try {
      const found = attempt();
      if (found !== undefined) return found;
    } catch {
      // Not there, or for another machine.
    }
  }
  return undefined;
}

/** By `dup`: whatever stderr is, it is the same afterwards. */
function byDup(addon: string | undefined): Stand | undefined {
  const found = descriptors(addon);
  const kept = found?.dup(STDERR) ?? -1;
  if (found === undefined || kept < 0) return undefined;
  const nowhere = openSync('/dev/null', 'w');
  found.dup2(nowhere, STDERR);
  closeSync(nowhere);
  return {
    restore: () => {
      found.dup2(kept, STDERR);
      closeSync(kept);
    },
  };
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
 * the job throws is thrown. Where stderr cannot be put back as it was (a socket or a file, without `addon` and koffi) the job runs as it is.
 *
 * @param addon - the path of `DESCRIPTORS`, which need not be there
 */
export function withoutStderr<T>(job: () => T, addon?: string): T {
  const stand = process.platform === 'linux' ? (byDup(addon) ?? byOpening()) : undefined;
  if (stand === undefined) return job();
  try {
    return job();
  } finally {
    stand.restore();
  }
}
