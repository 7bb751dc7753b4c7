/** Keeps what a native library writes while it is loaded from a user's stderr. Node on Linux only; elsewhere nothing is kept back. */
// Through `process`, not by import statements: a bundler for browsers must not find Node's modules here.
const { closeSync, openSync, fstatSync, constants } = process.getBuiltinModule('node:fs');

const STDERR = 2;
const SELF = '/proc/self/fd';

/** Opens what stderr is a second time: a terminal, a file or a pipe. Undefined where that cannot be, as of a socket. */
function again(number: number): number | undefined {
  try {
    const stats = fstatSync(number);
    if (stats.isSocket()) return undefined;
    // A file is gone on with at its end, whatever else writes to it.
    return openSync(`${SELF}/${number}`, constants.O_WRONLY | constants.O_APPEND);
  } catch {
    return undefined;
  }
}

/**
 * Runs a job, which must be synchronous, with the process's stderr closed off: the library behind it logs before it can be told not to. What
 * the job throws is thrown. Where stderr is a socket, or the system has no `/proc`, the job runs as it is.
 */
export function withoutStderr<T>(job: () => T): T {
  const kept = process.platform === 'linux' ? again(STDERR) : undefined;
  if (kept === undefined) return job();
  closeSync(STDERR);
  // The lowest free number is taken: that of stderr.
  const nowhere = openSync('/dev/null', 'w');
  try {
    return job();
  } finally {
    if (nowhere === STDERR) {
      closeSync(STDERR);
      openSync(`${SELF}/${kept}`, constants.O_WRONLY | constants.O_APPEND);
    } else closeSync(nowhere);
    closeSync(kept);
  }
}
