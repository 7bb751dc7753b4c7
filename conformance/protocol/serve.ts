/** The other side of the pipe: any adapter as a program that speaks the protocol. */
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { revive, stringify } from './numbers.ts';
import { faultOf } from './schemas.ts';
import type { Adapter, Case, Outcome, ProtocolVersion, Response } from './types.ts';

function toResponse(seq: number, outcome: Outcome): Response {
  switch (outcome.kind) {
    case 'result':
      return { seq, result: { steps: outcome.steps } };
    case 'skipped':
      return {
        seq,
        skipped: { reason: outcome.reason, ...(outcome.issue === undefined ? {} : { issue: outcome.issue }) },
      };
    case 'errored':
      return { seq, errored: { code: outcome.code, message: outcome.message } };
  }
}

function seqOf(message: unknown): number {
  const seq = (message as { seq?: unknown } | null)?.seq;
  return typeof seq === 'number' && Number.isInteger(seq) && seq >= 0 ? seq : 0;
}

async function answer(adapter: Adapter, line: string): Promise<Response | undefined> {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    return { seq: 0, errored: { code: 'invalid-argument', message: 'a line must be one JSON object' } };
  }
  const refuse = (rule: string): Response => ({
    seq: seqOf(message),
    errored: { code: 'invalid-argument', message: rule },
  });
  const command = (message as { cmd?: unknown } | null)?.cmd;
  if (command !== 'start' && command !== 'run' && command !== 'stop') {
    return refuse(`cmd must be one of start, run, stop, got ${String(command)}`);
  }
  const fault = faultOf(command, message);
  if (fault !== undefined) return refuse(fault);
  if (command === 'stop') return undefined;
  if (command === 'start') {
    const { version } = message as { version: ProtocolVersion };
    const { kinds: _, ...first } = adapter.implementation;
    return { version, implementation: version === 1 ? first : adapter.implementation };
  }
  const { seq, case: example } = message as { seq: number; case: Case };
  try {
    return toResponse(seq, await adapter.run(revive(example)));
  } catch (error) {
    return { seq, errored: { code: 'internal', message: error instanceof Error ? error.message : String(error) } };
  }
}

/** Answers requests from `input` on `output` until `stop` or the end of the input, then closes the adapter. */
export async function serveAdapter(adapter: Adapter, input: Readable, output: Writable): Promise<void> {
  const lines = createInterface({ input, crlfDelay: Infinity });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    const response = await answer(adapter, line);
    if (response === undefined) break;
    if (!output.write(`${stringify(response)}\n`)) await new Promise((resolve) => output.once('drain', resolve));
  }
  lines.close();
  await adapter.close();
}
