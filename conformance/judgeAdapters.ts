import { UnavailableAdapterError } from './adapters/builtIn.ts';
import { diagnose } from './diagnosis/diagnose.ts';
import type { DrawnFinding, Judgement, Verdict } from './judge/run.ts';
import { judge } from './judge/run.ts';
import { judgePlanted } from './planted/matrix.ts';
import type { Adapter } from './protocol/types.ts';
import { ProtocolError } from './protocol/types.ts';
import type { ConformanceReport, KillRow, Unavailable } from './report/report.ts';
import { makeReport } from './report/report.ts';

/** What `runConformance` judges, and for how long. */
export interface ConformanceOptions {
  /** Names as the source takes them. Default: every built-in one that this machine can run, and the planted faults. */
  readonly adapters?: readonly string[];
  /** A whole number in [0, 2^53). Default 1. */
  readonly seed?: number;
  /** Only properties whose key one of these regular expressions matches, such as `LRD-MASK-003` or `adam$`. */
  readonly only?: readonly (string | RegExp)[];
  /** Minutes that the run may take, a positive number; its adapters share them. Default 15. */
  readonly minutes?: number;
  /** Seconds that one case of an outside implementation may take, a positive number. Default 60. */
  readonly caseSeconds?: number;
  /** Whether to judge the planted wrong implementations too, for the matrix in the report. Default: without `adapters`. */
  readonly planted?: boolean;
  /** Called with one line now and then. `done` of `total` properties of this adapter. */
  readonly progress?: (event: { adapter: string; done: number; total: number; verdict: Verdict }) => void;
}

/** Where adapters come from. */
export interface AdapterSource {
  /** What is judged when nobody says. */
  readonly names: readonly string[];
  /** @throws UnknownAdapterError, UnavailableAdapterError, ProtocolError */
  open(name: string, options: { readonly caseSeconds?: number }): Promise<Adapter>;
  /** Judges the planted faults beside the adapters, where there is more than one core to do it. Default: after them. */
  readonly planted?: (seed: number) => { finish(): Promise<KillRow[]>; stop(): Promise<void> };
}

const DEFAULT_SEED = 1;
const DEFAULT_MINUTES = 15;

/** An implementation that could not even be greeted has broken the protocol, and nothing else of it was judged. */
function unreachable(name: string, seed: number, error: ProtocolError): Judgement {
  const verdict: Verdict = {
    property: 'LRD-PROTO-001',
    requirements: ['LRD-PROTO-001'],
    title: 'Every answer follows the protocol',
    status: 'failed',
    cases: 0,
    seconds: 0,
    counterexample: {
      cases: [],
      message: error.message,
      expected: 'an answer to start that follows the protocol',
      got: error.message,
    },
  };
  return {
    adapter: name,
    implementation: { name, language: 'unknown', precision: 'float64', rules: [], masks: [], features: [] },
    seed,
    verdicts: [verdict],
    requirements: [{ requirement: 'LRD-PROTO-001', status: 'failed' }],
    seconds: 0,
  };
}

async function judgeNamed(
  source: AdapterSource,
  name: string,
  options: ConformanceOptions,
  seed: number,
  until: number,
): Promise<Judgement> {
  let adapter;
  try {
    adapter = await source.open(name, options.caseSeconds === undefined ? {} : { caseSeconds: options.caseSeconds });
  } catch (error) {
    if (error instanceof ProtocolError) return unreachable(name, seed, error);
    throw error;
  }
  try {
    const drawn = new Map<string, DrawnFinding>();
    const judgement = await judge(adapter, {
      adapter: name,
      seed,
      until,
      ...(options.only === undefined ? {} : { only: options.only }),
      progress: (done, total, verdict) => options.progress?.({ adapter: name, done, total, verdict }),
      drawn: (property, finding) => drawn.set(property, finding),
    });
    return { ...judgement, diagnoses: await diagnose(judgement, drawn) };
  } finally {
    await adapter.close();
  }
}

function checkPositive(name: string, value: number): number {
  if (!(value > 0 && Number.isFinite(value))) throw new RangeError(`${name} must be a positive number, got ${value}`);
  return value;
}

/** What `runConformance` does, with adapters from anywhere: nothing here needs a process. */
export async function judgeAdapters(
  source: AdapterSource,
  options: ConformanceOptions = {},
): Promise<ConformanceReport> {
  const seed = options.seed ?? DEFAULT_SEED;
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed must be a whole number in [0, 2^53), got ${seed}`);
  }
  const minutes = checkPositive('minutes', options.minutes ?? DEFAULT_MINUTES);
  if (options.caseSeconds !== undefined) checkPositive('caseSeconds', options.caseSeconds);
  const planted = options.planted ?? options.adapters === undefined;
  const beside = planted ? source.planted?.(seed) : undefined;
  const end = performance.now() + 60_000 * minutes;
  const judgements: Judgement[] = [];
  const unavailable: Unavailable[] = [];
  const names = options.adapters ?? source.names;
  try {
    for (const [index, name] of names.entries()) {
      try {
        // What one leaves of its share is for those that follow.
        const now = performance.now();
        const until = now + Math.max(0, end - now) / (names.length - index);
        judgements.push(await judgeNamed(source, name, options, seed, until));
      } catch (error) {
        if (!(error instanceof UnavailableAdapterError) || options.adapters !== undefined) throw error;
        unavailable.push({ adapter: name, reason: error.message });
      }
    }
    const kills = planted ? await (beside?.finish() ?? judgePlanted(seed)) : [];
    return makeReport({ seed, judgements, unavailable, kills });
  } finally {
    await beside?.stop();
  }
}
