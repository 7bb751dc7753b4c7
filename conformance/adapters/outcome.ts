import { InvalidArgumentError, UnsupportedError } from 'learning-rate-dropout/gpu';
import type { Case, Outcome, StepRecord } from '../protocol/types.ts';

/** Leaves out what the case did not ask for. */
export function select(record: StepRecord, report: Case['report']): StepRecord {
  if (report === undefined) return record;
  return Object.fromEntries(Object.entries(record).filter(([name]) => report.includes(name as never)));
}

/** What an implementation under impl-gpu throws, in the protocol's words. An error of no known kind is a finding like any other. */
export async function outcomeOf(run: () => Promise<readonly StepRecord[]>): Promise<Outcome> {
  try {
    return { kind: 'result', steps: await run() };
  } catch (error) {
    if (error instanceof UnsupportedError) return { kind: 'errored', code: 'unsupported', message: error.message };
    if (error instanceof InvalidArgumentError || error instanceof RangeError) {
      return { kind: 'errored', code: 'invalid-argument', message: error.message };
    }
    return { kind: 'errored', code: 'internal', message: error instanceof Error ? error.message : String(error) };
  }
}
