import { othersSpeak } from './errors.ts';

/**
 * Runs a job whose signal is aborted by Ctrl-C, SIGTERM, SIGUSR2 (which `mpirun` passes on) or SIGHUP (the end of the terminal that the command was started from): it
 * stops behind the step under way. A second Ctrl-C or SIGTERM ends the process at once, a second SIGHUP never does: a shell that hangs
 * up sends one, and the terminal another. Of several processes that were started together the first says so; `further` is put behind it.
 */
export async function stoppable<T>(job: (signal: AbortSignal) => Promise<T>, further = () => ''): Promise<T> {
  const stop = new AbortController();
  let over = false;
  const onSignal = (): void => {
    if (over || stop.signal.aborted) return;
    if (!othersSpeak()) process.stderr.write(`\nstopping after this step${further()}\n`);
    stop.abort();
  };
  process.once('SIGINT', onSignal);
  process.once('SIGTERM', onSignal);
  process.on('SIGHUP', onSignal);
  if (process.platform !== 'win32') process.on('SIGUSR2', onSignal);
  try {
    return await job(stop.signal);
  } finally {
    over = true;
    process.removeListener('SIGINT', onSignal);
    process.removeListener('SIGTERM', onSignal);
  }
}
