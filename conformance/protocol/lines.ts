/** Lines of a program's stdout, handed out one at a time, with everything that can go wrong, in bounded memory. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { foreignText } from 'learning-rate-dropout/internal';
import { MAXIMUM_LINE_BYTES, ProtocolError } from './types.ts';

/** Lines that may wait: one is the answer, a second one is a mistake already. */
const WAITING_LINES = 8;
/** Characters of stderr that are kept. */
const LAST_WORDS = 2000;
/** Milliseconds that what a dead program wrote may take to arrive. A grandchild may hold the pipe open for ever. */
const DRAIN_MS = 300;

export class LineReader {
  private readonly lines: string[] = [];
  private part = Buffer.allocUnsafe(1 << 16);
  private length = 0;
  private fault: string | undefined;
  private wake: (() => void) | undefined;
  private lastWords = '';
  private readonly child: ChildProcessWithoutNullStreams;
  /** Bytes that the next line may have. */
  limit = MAXIMUM_LINE_BYTES;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.child = child;
    child.stdout.on('data', (chunk: Buffer) => this.take(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      this.lastWords = (this.lastWords + chunk.toString('utf8')).slice(-LAST_WORDS);
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('error', () => undefined);
    child.on('error', (error) => this.fail(`the program could not be started: ${error.message}`));
    // A program that dies closes its stdin first: its exit code says more, if it comes.
    child.stdin.on('error', () => setTimeout(() => this.fail('the program closed its stdin'), 1000).unref());
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (this.length > 0) this.fail('the program ended in the middle of a line');
      this.fail(`the program ended (${signal === null ? `exit code ${code}` : `signal ${signal}`})`);
    };
    child.on('close', end);
    child.on('exit', (code, signal) => setTimeout(() => end(code, signal), DRAIN_MS).unref());
  }

  private take(chunk: Buffer): void {
    if (this.fault !== undefined) return;
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      this.append(chunk.subarray(start, end));
      if (this.length > this.limit) {
        this.fail(`a line is longer than ${this.limit} bytes`);
        return;
      }
      const line = this.part.toString('utf8', 0, this.length);
      this.length = 0;
      start = end + 1;
      if (line.trim() !== '') this.lines.push(line);
      if (this.lines.length > WAITING_LINES) {
        this.fail(`lines that nothing asked for, the last: ${foreignText(line, 100)}`);
        return;
      }
    }
    this.append(chunk.subarray(start));
    if (this.length > this.limit) this.fail(`a line is longer than ${this.limit} bytes`);
    this.wake?.();
  }

  /** Into one buffer that doubles: a line may come byte by byte. */
  private append(bytes: Buffer): void {
    const length = this.length + bytes.length;
    if (length > this.part.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.part.length));
      this.part.copy(larger, 0, 0, this.length);
      this.part = larger;
    }
    bytes.copy(this.part, this.length);
    this.length = length;
  }

  private fail(fault: string): void {
    if (this.fault === undefined) {
      this.fault = fault;
      // Whatever else comes is of no interest, and must not be kept.
      this.child.stdout.destroy();
      this.part = Buffer.alloc(0);
    }
    this.wake?.();
  }

  /** An error with what the program said last. */
  error(fault: string): ProtocolError {
    const lines = this.lastWords.trim().split('\n');
    const end = lines.slice(-3);
    // Some print the stack above what went wrong, some below it.
    const named = lines.findLast((line) => /^\s*(Uncaught )?([\w.]+\.)?\w*(Error|Exception)\b|panicked at/.test(line));
    const words = (named === undefined || end.includes(named) ? end : [named, ...end]).join('\n');
    return new ProtocolError(words === '' ? fault : `${fault}; stderr: ${foreignText(words, 400)}`);
  }

  /** The next line. Throws `ProtocolError` when it does not come, `late()` when `seconds` have passed. */
  async next(seconds: number, late: (half: string) => Error): Promise<string> {
    const deadline = performance.now() + seconds * 1000;
    for (;;) {
      const line = this.lines.shift();
      if (line !== undefined) return line;
      if (this.fault !== undefined) throw this.error(this.fault);
      const left = deadline - performance.now();
      if (left <= 0) throw late(this.length > 0 ? `, and ${this.length} bytes of an unfinished line` : '');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = undefined;
    }
  }

  /** A line that came without being asked for, if any. */
  surplus(): string | undefined {
    return this.lines.shift();
  }
}
