/**
 * The conformance kit: judges any implementation of learning rate dropout, in this process or behind a pipe.
 *
 * @module learning-rate-dropout-cli/conformance
 */
export { runConformance, serve } from './run.ts';
export { START_NAMES, initAdapter } from './init.ts';
export { judgePlanted } from './planted/matrix.ts';
export type { ConformanceOptions } from './judgeAdapters.ts';
export { BUILT_IN, UnavailableAdapterError, UnknownAdapterError } from './adapters/builtIn.ts';
export { openAdapter } from './adapters/open.ts';
export { judge } from './judge/run.ts';
export type { Counterexample, JudgeRunOptions, Judgement, RequirementVerdict, Status, Verdict } from './judge/run.ts';
export { MESSAGE_SCHEMAS } from './protocol/schemas.ts';
export type {
  Adapter,
  Case,
  CaseParameter,
  Feature,
  Implementation,
  MaskSource,
  Outcome,
  StepRecord,
} from './protocol/types.ts';
export { MAXIMUM_LINE_BYTES, PROTOCOL_VERSION, ProtocolError } from './protocol/types.ts';
export { reportToHtml } from './report/html.ts';
export type { ConformanceReport, KillRow } from './report/report.ts';
export { REPORT_SCHEMA, reportToJson } from './report/report.ts';
export { reportToText } from './report/terminal.ts';
