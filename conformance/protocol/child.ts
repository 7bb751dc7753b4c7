/**
 * An implementation behind a pipe: any program that speaks the protocol over stdin and stdout. Whatever it does wrong (no
 * answer, a crash, garbage, a line that never ends) becomes a `ProtocolError` with the program's last words, never a hang; and it
 * ends with everything that it started.
 */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { foreignText } from 'learning-rate-dropout/internal';
import { defaultsOf, sizeOf } from './expand.ts';
import { LineReader } from './lines.ts';
import { revive, stringify } from './numbers.ts';
import { MARK, killFamily } from './processes.ts';
import { answerKind, faultOf, greetingOf } from './schemas.ts';
import { MAXIMUM_LINE_BYTES, NoAnswerError, OutOfTimeError, PROTOCOL_VERSION } from './types.ts';
import type { Adapter, Case, Implementation, Outcome, ProtocolVersion, Request, Response } from './types.ts';

export interface ChildOptions {
  /** Seconds until the answer to `start` must be there. Default 60. */
  readonly startSeconds?: number;
  /** Seconds that one case may take. Default 60. */
  readonly caseSeconds?: number;
}

/** Default of `ChildOptions`. */
export const CASE_SECONDS = 60;

/** Seconds between `stop` and the end of the kit's own process, whatever the program does. */
export const STOP_SECONDS = 5;
/** What of them a program may take before it is killed. */
const GRACE_SECONDS = 4;

/** Lists and objects that stand in each other, and all that may stand in a line: more cost more memory than the line itself. */
const MAXIMUM_DEPTH = 32;
const MAXIMUM_CONTAINERS = 100_000;

/** Bytes of a number at its longest, and of what an answer has beside its numbers. */
const NUMBER_BYTES = 32;
const OTHER_BYTES = 2 * 2 ** 20;

/** Bytes that the answer to a case can need: parameters, a mask and every state there is, a mask's own included, after each step. */
function answerBytes(example: Case): number {
  const elements = example.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const window =
    example.rule === 'sgdm-avg' ? Number(example.hyper?.['window'] ?? defaultsOf(example.rule)['window']) : 0;
  const numbers = elements * example.gradients.length * (7 + window);
  return Math.min(MAXIMUM_LINE_BYTES, OTHER_BYTES + NUMBER_BYTES * (Number.isFinite(numbers) ? numbers : 0));
}

/** What is wrong with the outline of a line, before it is parsed. */
function outlineFault(line: string): string | undefined {
  let [depth, containers, quoted] = [0, 0, false];
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i);
    if (code === 0x22) quoted = !quoted;
    else if (quoted) {
      if (code === 0x5c) i += 1;
    } else if (code === 0x5b || code === 0x7b || code === 0x3a) {
      containers += 1;
      // A colon makes a field, not a level.
      if (code !== 0x3a && ++depth > MAXIMUM_DEPTH) return `nested deeper than ${MAXIMUM_DEPTH} levels`;
    } else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
  return containers > MAXIMUM_CONTAINERS ? `more than ${MAXIMUM_CONTAINERS} lists and fields in a line` : undefined;
}

function parse(line: string, reader: LineReader): unknown {
  const fault = outlineFault(line);
  if (fault !== undefined) throw reader.error(`${fault}: ${foreignText(line, 100)}`);
  try {
    return JSON.parse(line) as unknown;
  } catch {
    const bare = /(^|[[,:\s])-?(NaN|Infinity)\b/.test(line.slice(0, 1e6).replaceAll(/"[^"]*"/g, ''))
      ? 'a bare NaN or Infinity token (write "NaN", "Infinity", "-Infinity" as strings)'
      : 'a line that is not JSON';
    throw reader.error(`${bare}: ${foreignText(line, 200)}`);
  }
}

/** Programs that run now: they must not outlive the kit, however it ends. */
const running = new Set<Program>();
const killAll = (): void => {
  for (const program of running) program.kill();
};
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const onSignal = (signal: NodeJS.Signals): void => {
  killAll();
  watch(false);
  // Nobody else wanted to know: the signal does what it always does.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
};
function watch(on: boolean): void {
  for (const signal of SIGNALS) process.removeListener(signal, onSignal);
  process.removeListener('exit', killAll);
  if (!on) return;
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.on('exit', killAll);
}

/** One process and what it says, from its greeting to its end. */
class Program {
  private readonly mark = randomUUID();
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly reader: LineReader;
  private killed = false;

  constructor(command: string) {
    // In a session of its own, so that what the shell started ends with it.
    this.child = spawn(command, {
      shell: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, [MARK]: this.mark },
    });
    this.reader = new LineReader(this.child);
    running.add(this);
    watch(true);
  }

  get ended(): boolean {
    return this.killed || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  private send(request: Request): void {
    const line = stringify(request);
    if (request.cmd !== 'stop') {
      const fault = faultOf(request.cmd, JSON.parse(line));
      if (fault !== undefined) throw new Error(`the kit made a wrong message: ${fault}`);
    }
    this.child.stdin.write(`${line}\n`);
  }

  async start(seconds: number, version: ProtocolVersion): Promise<Implementation> {
    this.send({ cmd: 'start', version });
    const late = (half: string): Error =>
      new NoAnswerError(this.reader.error(`no answer to start after ${seconds} s${half}`).message);
    return greetingOf(parse(await this.reader.next(seconds, late), this.reader), (fault) => this.reader.error(fault));
  }

  /** @param until time by `performance.now()` at which nobody waits any longer */
  async ask(seq: number, example: Case, seconds: number, until: number): Promise<Outcome> {
    const surplus = this.reader.surplus();
    if (surplus !== undefined) throw this.reader.error(`a line that nothing asked for: ${foreignText(surplus, 200)}`);
    const left = (until - performance.now()) / 1000;
    this.reader.limit = answerBytes(example);
    this.send({ cmd: 'run', seq, case: example });
    const line = await this.reader.next(Math.min(seconds, left), (half) =>
      left < seconds
        ? new OutOfTimeError()
        : new NoAnswerError(this.reader.error(`no answer after ${seconds} s${half}`).message),
    );
    const message = parse(line, this.reader);
    const kind = answerKind(message);
    if (kind === undefined || kind === 'started') {
      throw this.reader.error(`an answer must have one of result, skipped, errored, got ${foreignText(line, 200)}`);
    }
    const fault = faultOf(kind, message);
    if (fault !== undefined) throw this.reader.error(`the answer to run: ${fault}`);
    const answer = revive(message) as Exclude<Response, { implementation: unknown }>;
    if (answer.seq !== seq) throw this.reader.error(`seq must be ${seq}, got ${answer.seq}`);
    if ('result' in answer) return { kind: 'result', steps: answer.result.steps };
    if ('skipped' in answer) return { kind: 'skipped', ...answer.skipped };
    return { kind: 'errored', ...answer.errored };
  }

  /** Ends it at once, with all that it started, and lets go of its pipes, whoever else holds them. */
  kill(): void {
    if (!running.delete(this)) return;
    this.killed = true;
    if (running.size === 0) watch(false);
    if (this.child.pid !== undefined) killFamily(this.child.pid, this.mark);
    for (const stream of [this.child.stdin, this.child.stdout, this.child.stderr]) stream.destroy();
    this.child.unref();
  }

  /** Asks it to end, and sees to it that it does. */
  async stop(): Promise<void> {
    if (!this.ended) {
      const exited = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, GRACE_SECONDS * 1000);
        this.child.once('exit', () => {
          clearTimeout(timer);
          resolve();
        });
      });
      this.send({ cmd: 'stop' });
      this.child.stdin.end();
      await exited;
    }
    this.kill();
  }
}

class ChildAdapter implements Adapter {
  implementation: Implementation = { name: '', language: '', precision: 'float64', rules: [], masks: [], features: [] };
  private seq = 0;
  /** That the program is greeted with. */
  private version: ProtocolVersion = PROTOCOL_VERSION;
  private program: Program | undefined;
  /** The end of the last conversation: the next one begins there, whoever asks and whether or not anybody still listens. */
  private queue: Promise<unknown> = Promise.resolve();
  private readonly command: string;
  private readonly options: Required<ChildOptions>;

  constructor(command: string, options: ChildOptions) {
    this.command = command;
    this.options = { startSeconds: 60, caseSeconds: CASE_SECONDS, ...options };
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work);
    this.queue = result.catch(() => undefined);
    return result;
  }

  private async fresh(): Promise<Program> {
    if (this.program?.ended === false) return this.program;
    try {
      return await this.greet(this.version);
    } catch (error) {
      // A program of before version 2 may refuse what it does not know: what it is called to account for is what it says to version 1.
      if (this.version === 1 || error instanceof NoAnswerError) throw error;
      const program = await this.greet(1);
      this.version = 1;
      return program;
    }
  }

  private async greet(version: ProtocolVersion): Promise<Program> {
    this.program?.kill();
    this.program = new Program(this.command);
    this.implementation = await this.program.start(this.options.startSeconds, version);
    return this.program;
  }

  /** After a broken exchange nothing that a program says can be trusted to answer the next request. */
  private async guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.program?.kill();
      throw error;
    }
  }

  start(): Promise<unknown> {
    return this.inTurn(() => this.guarded(() => this.fresh()));
  }

  run(example: Case, until = Infinity): Promise<Outcome> {
    return this.inTurn(() =>
      this.guarded(async () => {
        const program = await this.fresh();
        return program.ask(++this.seq, example, this.options.caseSeconds, until);
      }),
    );
  }

  close(): Promise<void> {
    return this.inTurn(async () => this.program?.stop());
  }
}

/**
 * Starts `command` through the shell and greets it.
 *
 * @throws ProtocolError when it does not answer as the protocol says
 */
export async function openChild(command: string, options: ChildOptions = {}): Promise<Adapter> {
  const adapter = new ChildAdapter(command, options);
  await adapter.start();
  return adapter;
}
