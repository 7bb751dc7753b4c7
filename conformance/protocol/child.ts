/**
 * An implementation behind a pipe: any program that speaks the protocol over stdin and stdout. Whatever it does wrong (no
 * answer, a crash, garbage, a line that never ends) becomes a `ProtocolError` with the program's last words, never a hang.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { revive, stringify } from './numbers.ts';
import { answerKind, faultOf } from './schemas.ts';
import { MAXIMUM_LINE_BYTES, PROTOCOL_VERSION, ProtocolError } from './types.ts';
import type { Adapter, Case, Implementation, Outcome, Request, Response } from './types.ts';

export interface ChildOptions {
  /** Seconds until the answer to `start` must be there. Default 60. */
  readonly startSeconds?: number;
  /** Seconds that one case may take. Default 60. */
  readonly caseSeconds?: number;
}

/** Seconds between `stop` and the end of the process. */
const STOP_SECONDS = 5;

const shorten = (text: string, limit = 200): string => (text.length <= limit ? text : `${text.slice(0, limit)}...`);

/** Lines of a program's stdout, handed out one at a time, with everything that can go wrong. */
class LineReader {
  private readonly lines: string[] = [];
  private parts: Buffer[] = [];
  private length = 0;
  private fault: string | undefined;
  private waiting: (() => void) | undefined;
  private lastWords = '';
  abandoned = false;
  private readonly child: ChildProcessWithoutNullStreams;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child;
    child.stdout.on('data', (chunk: Buffer) => this.take(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      this.lastWords = (this.lastWords + chunk.toString('utf8')).slice(-2000);
    });
    child.on('error', (error) => this.fail(`the program could not be started: ${error.message}`));
    // A program that dies closes its stdin first: its exit code says more, if it comes.
    child.stdin.on('error', () => setTimeout(() => this.fail('the program closed its stdin'), 1000).unref());
    child.on('close', (code, signal) => {
      if (this.length > 0) this.fail('the program ended in the middle of a line');
      this.fail(`the program ended (${signal === null ? `exit code ${code}` : `signal ${signal}`})`);
    });
  }

  private take(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.parts.push(chunk.subarray(start, end));
      const line = Buffer.concat(this.parts).toString('utf8');
      this.parts = [];
      this.length = 0;
      start = end + 1;
      if (line.trim() !== '') this.lines.push(line);
    }
    this.parts.push(chunk.subarray(start));
    this.length += chunk.length - start;
    if (this.length > MAXIMUM_LINE_BYTES) this.fail(`a line is longer than ${MAXIMUM_LINE_BYTES} bytes`);
    this.waiting?.();
  }

  private fail(fault: string): void {
    this.fault ??= fault;
    this.waiting?.();
  }

  error(fault: string): ProtocolError {
    const words = this.lastWords.trim().split('\n').slice(-3).join(' | ');
    return new ProtocolError(words === '' ? fault : `${fault}; stderr: ${shorten(words, 400)}`);
  }

  async next(seconds: number): Promise<string> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.fault !== undefined) throw this.error(this.fault);
      const left = deadline - performance.now();
      if (left <= 0) {
        const half = this.length > 0 ? `, and ${this.length} bytes of an unfinished line` : '';
        throw this.error(`no answer after ${seconds} s${half}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.waiting = undefined;
    }
  }

  /** A line that came without being asked for, if any. */
  surplus(): string | undefined {
    return this.lines.shift();
  }

  get ended(): boolean {
    return this.abandoned || this.child.exitCode !== null || this.child.signalCode !== null;
  }
}

function parse(line: string, reader: LineReader): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    const bare = /(^|[[,:\s])-?(NaN|Infinity)\b/.test(line.replaceAll(/"[^"]*"/g, ''))
      ? 'a bare NaN or Infinity token (write "NaN", "Infinity", "-Infinity" as strings)'
      : 'a line that is not JSON';
    throw reader.error(`${bare}: ${shorten(line)}`);
  }
}

class ChildAdapter implements Adapter {
  implementation: Implementation = { name: '', language: '', precision: 'float64', rules: [], masks: [], features: [] };
  private seq = 0;
  private child: ChildProcessWithoutNullStreams;
  private reader: LineReader;
  private readonly command: string;
  private readonly options: Required<ChildOptions>;

  constructor(command: string, options: ChildOptions) {
    this.command = command;
    this.options = { startSeconds: 60, caseSeconds: 60, ...options };
    [this.child, this.reader] = this.spawn();
  }

  private spawn(): [ChildProcessWithoutNullStreams, LineReader] {
    // In a process group of its own, so that what the shell started ends with it.
    const child = spawn(this.command, { shell: true, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    return [child, new LineReader(child)];
  }

  private send(request: Request): void {
    const line = stringify(request);
    if (request.cmd !== 'stop') {
      const fault = faultOf(request.cmd, JSON.parse(line));
      if (fault !== undefined) throw new Error(`the kit made a wrong message: ${fault}`);
    }
    this.child.stdin.write(`${line}\n`);
  }

  async start(): Promise<void> {
    this.send({ cmd: 'start', version: PROTOCOL_VERSION });
    const message = parse(await this.reader.next(this.options.startSeconds), this.reader);
    const fault = faultOf('started', message);
    if (fault !== undefined) throw this.reader.error(`the answer to start: ${fault}`);
    this.implementation = (message as Extract<Response, { implementation: unknown }>).implementation;
  }

  async run(example: Case): Promise<Outcome> {
    if (this.reader.ended) {
      [this.child, this.reader] = this.spawn();
      await this.start();
    }
    try {
      return await this.exchange(example);
    } catch (error) {
      // After a broken exchange nothing that the program says can be trusted to answer the next case.
      this.kill();
      throw error;
    }
  }

  private async exchange(example: Case): Promise<Outcome> {
    const surplus = this.reader.surplus();
    if (surplus !== undefined) throw this.reader.error(`a line that nothing asked for: ${shorten(surplus)}`);
    const seq = ++this.seq;
    this.send({ cmd: 'run', seq, case: example });
    const message = parse(await this.reader.next(this.options.caseSeconds), this.reader);
    const kind = answerKind(message);
    if (kind === undefined || kind === 'started') {
      throw this.reader.error(`an answer without result, skipped or errored: ${shorten(JSON.stringify(message))}`);
    }
    const fault = faultOf(kind, message);
    if (fault !== undefined) throw this.reader.error(`the answer to run: ${fault}`);
    const answer = revive(message) as Exclude<Response, { implementation: unknown }>;
    if (answer.seq !== seq) throw this.reader.error(`seq must be ${seq}, got ${answer.seq}`);
    if ('result' in answer) return { kind: 'result', steps: answer.result.steps };
    if ('skipped' in answer) return { kind: 'skipped', ...answer.skipped };
    return { kind: 'errored', ...answer.errored };
  }

  kill(): void {
    if (this.child.pid === undefined || this.reader.ended) return;
    try {
      process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      this.child.kill('SIGKILL');
    }
    // `run` must not mistake a dying program for a living one.
    this.reader.abandoned = true;
  }

  async close(): Promise<void> {
    if (this.reader.ended) return;
    const closed = new Promise<void>((resolve) => this.child.once('close', () => resolve()));
    this.send({ cmd: 'stop' });
    this.child.stdin.end();
    const timer = setTimeout(() => this.kill(), STOP_SECONDS * 1000);
    await closed;
    clearTimeout(timer);
  }
}

/**
 * Starts `command` through the shell and greets it.
 *
 * @throws ProtocolError when it does not answer as the protocol says
 */
export async function openChild(command: string, options: ChildOptions = {}): Promise<Adapter> {
  const adapter = new ChildAdapter(command, options);
  try {
    await adapter.start();
  } catch (error) {
    adapter.kill();
    throw error;
  }
  return adapter;
}
