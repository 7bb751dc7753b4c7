/** The conformance kit in a page: everything of it but programs behind a pipe. */
import { BUILT_IN_BROWSER, openBuiltIn } from '../adapters/builtIn.ts';
import type { ConformanceOptions } from '../judgeAdapters.ts';
import { judgeAdapters } from '../judgeAdapters.ts';
import type { ConformanceReport } from '../report/report.ts';

export { UnavailableAdapterError, UnknownAdapterError } from '../adapters/builtIn.ts';
export { BUILT_IN_BROWSER as BUILT_IN } from '../adapters/builtIn.ts';
export { judgePlanted } from '../planted/matrix.ts';
export type { ConformanceOptions } from '../judgeAdapters.ts';
export { judge } from '../judge/run.ts';
export type { Counterexample, JudgeRunOptions, Judgement, RequirementVerdict, Status, Verdict } from '../judge/run.ts';
export { MESSAGE_SCHEMAS } from '../protocol/schemas.ts';
export type { Adapter, Case, Implementation, Outcome, StepRecord } from '../protocol/types.ts';
export { PROTOCOL_VERSION, ProtocolError } from '../protocol/types.ts';
export { reportToHtml } from '../report/html.ts';
export type { ConformanceReport, KillRow } from '../report/report.ts';
export { REPORT_SCHEMA, reportToJson } from '../report/report.ts';
export { reportToText } from '../report/terminal.ts';

/**
 * As in Node, over the adapters that a page can have: the reference, the engines, and the optimizers on TensorFlow.js's cpu, wasm, webgl and
 * webgpu backends. For `tfjs-wasm` call tfjs's `setWasmPaths` first.
 *
 * @throws UnknownAdapterError, UnavailableAdapterError
 */
export function runConformance(options: ConformanceOptions = {}): Promise<ConformanceReport> {
  return judgeAdapters({ names: BUILT_IN_BROWSER, open: (name) => openBuiltIn(name, BUILT_IN_BROWSER) }, options);
}
