import {
  BUILT_IN,
  initAdapter,
  UnavailableAdapterError,
  UnknownAdapterError,
  reportToHtml,
  reportToJson,
  reportToText,
  runConformance,
  serve,
} from '../../conformance/index.ts';
import { foreignText } from 'learning-rate-dropout/internal';
import { JobError, UsageError } from '../errors.ts';
import { writeWhole } from '../runs/runFolder.ts';
import { checkOutputs } from './outputs.ts';
import type { START_NAMES } from '../../conformance/index.ts';
import type { CONFORMANCE, INIT, SERVE } from './table/judge.ts';
import type { Call } from './table/row.ts';

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

/** The judge's seed; one that is drawn is said. */
function seedOf(given: number | 'random' | undefined): number | undefined {
  if (given !== 'random') return given;
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
  const { done, total, verdict } = event;
  const adapter = foreignText(event.adapter, 60);
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\u001b[K${adapter} ${done}/${total} ${verdict.title}${done === total ? '\n' : ''}`);
  } else if (done === total || verdict.status === 'failed') {
    process.stderr.write(
      `${adapter} ${done}/${total}${verdict.status === 'failed' ? ` failed: ${verdict.title}` : ''}\n`,
    );
  }
}

/** `lrd conformance init python|torch|js`: writes an adapter to start from. */
export function initCommand({ words, options }: Call<typeof INIT>): void {
  const { path, judge } = initAdapter(words.start as (typeof START_NAMES)[number], options.out);
  console.log(`${path}\njudge it: ${judge}`);
}

/** `lrd conformance serve --adapter A`: speaks the protocol for a built-in implementation. */
export async function serveCommand({ options }: Call<typeof SERVE>): Promise<void> {
  const { adapter } = options;
  if (adapter === undefined) {
    throw new UsageError(`lrd conformance serve needs --adapter A: ${BUILT_IN.join(', ')}`);
  }
  await explaining(serve(adapter));
}

/** `lrd conformance`: judges implementations of LRD; exit code 1 when one breaks a MUST. */
export async function conformanceCommand({ options }: Call<typeof CONFORMANCE>): Promise<void> {
  const { adapter: adapters, only, json, html, minutes } = options;
  const caseSeconds = options['case-seconds'];
  checkOutputs({ json, html });
  const seed = seedOf(options.seed);
  const report = await explaining(
    runConformance({
      ...(adapters.length === 0 ? {} : { adapters }),
      ...(only.length === 0 ? {} : { only }),
      ...(seed === undefined ? {} : { seed }),
      ...(minutes === undefined ? {} : { minutes }),
      ...(caseSeconds === undefined ? {} : { caseSeconds }),
      progress: showProgress,
    }),
  );
  console.log(reportToText(report));
  if (json !== undefined) writeWhole(json, reportToJson(report));
  if (html !== undefined) writeWhole(html, reportToHtml(report));
  if (!report.passed) process.exitCode = 1;
}
