import { BUILT_IN } from './adapters/builtIn.ts';
import { openAdapter } from './adapters/open.ts';
import type { ConformanceOptions } from './judgeAdapters.ts';
import { judgeAdapters } from './judgeAdapters.ts';
import { judgePlantedBeside } from './planted/beside.ts';
import { serveAdapter } from './protocol/serve.ts';
import type { ConformanceReport } from './report/report.ts';

/**
 * Judges implementations of learning rate dropout against the specification.
 *
 * Built-in adapters that this machine cannot run are listed with the reason when none was asked for by name, and an error
 * when they were. The report's `passed` is false when an implementation breaks a MUST.
 *
 * @throws UnknownAdapterError, UnavailableAdapterError
 */
export function runConformance(options: ConformanceOptions = {}): Promise<ConformanceReport> {
  return judgeAdapters({ names: BUILT_IN, open: openAdapter, planted: judgePlantedBeside }, options);
}

/**
 * Speaks the protocol for an adapter over stdin and stdout until `stop` or the end of the input.
 *
 * @throws UnknownAdapterError, UnavailableAdapterError
 */
export async function serve(adapterName: string): Promise<void> {
  // Libraries that greet on stdout would break the protocol: their words go to stderr.
  console.log = console.info = console.error;
  await serveAdapter(await openAdapter(adapterName), process.stdin, process.stdout);
}
