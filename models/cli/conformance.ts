import {
  BUILT_IN,
  UnavailableAdapterError,
  UnknownAdapterError,
  reportToHtml,
  reportToJson,
  reportToText,
  runConformance,
  serve,
} from '../../conformance/index.ts';
import { JobError, UsageError } from '../errors.ts';
import { writeWhole } from '../runs/runFolder.ts';
import type { Arguments } from './options.ts';
import { parse } from './options.ts';

/** An unknown adapter is a wrong call; one that this machine lacks a failed job. */
async function explaining<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof UnknownAdapterError) throw new UsageError(error.message);
    if (error instanceof UnavailableAdapterError) throw new JobError(error.message);
    throw error;
  }
}

function readWholeSeed(options: Arguments): number | undefined {
  if (options.text('seed') !== 'random') {
    const rule = 'a whole number in [0, 2^53) or the word random';
    return options.number('seed', rule, (value) => Number.isSafeInteger(value) && value >= 0);
  }
  const seed = Math.floor(Math.random() * 2 ** 48);
  process.stderr.write(`seed ${seed}\n`);
  return seed;
}

/** One line that is rewritten on a terminal; elsewhere a line at each adapter's end and at each failure. */
function showProgress(event: {
  adapter: string;
  done: number;
  total: number;
  verdict: { title: string; status: string };
}): void {
  const { adapter, done, total, verdict } = event;
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\u001b[K${adapter} ${done}/${total} ${verdict.title}${done === total ? '\n' : ''}`);
  } else if (done === total || verdict.status === 'failed') {
    process.stderr.write(
      `${adapter} ${done}/${total}${verdict.status === 'failed' ? ` failed: ${verdict.title}` : ''}\n`,
    );
  }
}

async function serveCommand(args: readonly string[]): Promise<void> {
  const options = parse(args, { adapter: { type: 'string' } });
  const adapter = options.text('adapter');
  if (adapter === undefined) {
    throw new UsageError(`lrd conformance serve needs --adapter A: ${BUILT_IN.join(', ')}`);
  }
  await explaining(serve(adapter));
}

/** `lrd conformance`: judges implementations of LRD; exit code 1 when one breaks a MUST. `serve` speaks the protocol for one. */
export async function conformanceCommand(args: readonly string[]): Promise<void> {
  if (args[0] === 'serve') {
    await serveCommand(args.slice(1));
    return;
  }
  const options = parse(args, {
    adapter: { type: 'string', multiple: true },
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    html: { type: 'string' },
    seed: { type: 'string' },
  });
  if (options.positionals.length > 0) {
    throw new UsageError(`lrd conformance takes options or the word serve, got ${options.positionals.join(' ')}`);
  }
  const seed = readWholeSeed(options);
  const adapters = options.texts('adapter');
  const only = options.texts('only');
  const report = await explaining(
    runConformance({
      ...(adapters.length === 0 ? {} : { adapters }),
      ...(only.length === 0 ? {} : { only }),
      ...(seed === undefined ? {} : { seed }),
      progress: showProgress,
    }),
  );
  console.log(reportToText(report));
  const json = options.text('json');
  const html = options.text('html');
  if (json !== undefined) writeWhole(json, reportToJson(report));
  if (html !== undefined) writeWhole(html, reportToHtml(report));
  if (!report.passed) process.exitCode = 1;
}
