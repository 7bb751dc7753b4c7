import { endSoon, othersSpeak } from './errors.ts';

/** How a job is stopped. */
export interface Stop {
  /** Aborted by the first signal that is heard. */
  readonly signal: AbortSignal;
  /**
   * Whether signals are heard, as from the beginning. While they are not, one ends the process at once, as it does where nobody listens: for work that
   * keeps the event loop from its turn, and with which nothing is lost.
   */
  readonly hear: (on: boolean) => void;
}

/**
 * Runs a job whose signal is aborted by Ctrl-C, SIGTERM, SIGUSR2 (which `mpirun` passes on) or SIGHUP (the end of the terminal that the command was started from): it
 * stops behind the step under way. A second Ctrl-C or SIGTERM ends the process at once, a second SIGHUP never does: a shell that hangs
 * up sends one, and the terminal another. Of several processes that were started together the first says so; `further` is put behind it.
 */
export async function stoppable<T>(job: (stop: Stop) => Promise<T>, further = () => ''): Promise<T> {
  const stop = new AbortController();
  let over = false;
  const onSignal = (): void => {
    if (over || stop.signal.aborted) return;
    if (!othersSpeak()) process.stderr.write(`\nstopping after this step${further()}\n`);
    stop.abort();
    endSoon();
  };
  const hear = (on: boolean): void => {
    // A signal that was heard once is not heard again, whatever the job says.
    if (stop.signal.aborted) return;
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.removeListener(name, onSignal);
      if (on) process.once(name, onSignal);
    }
    process.removeListener('SIGHUP', onSignal);
    if (on) process.on('SIGHUP', onSignal);
  };
  hear(true);
  if (process.platform !== 'win32') process.on('SIGUSR2', onSignal);
  try {
    return await job({ signal: stop.signal, hear });
  } finally {
    over = true;
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
}
