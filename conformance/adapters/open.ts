/** Adapters by the name that `--adapter` takes: the built-in ones, programs and modules. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { foreignText } from 'learning-rate-dropout/internal';
import { CASE_SECONDS, STOP_SECONDS, openChild } from '../protocol/child.ts';
import { stringify } from '../protocol/numbers.ts';
import { faultOf, greetingOf } from '../protocol/schemas.ts';
import { NoAnswerError, OutOfTimeError, PROTOCOL_VERSION, ProtocolError } from '../protocol/types.ts';
import type { Adapter, Implementation, Outcome } from '../protocol/types.ts';
import { BUILT_IN, UnavailableAdapterError, openBuiltIn } from './builtIn.ts';

/** Throws for a path that is no file with something in it: to load a pipe, a device or what the kernel makes up would never end. */
function checkModuleFile(path: string): void {
  const stats = statSync(resolve(path), { throwIfNoEntry: false });
  if (stats === undefined || stats.isDirectory() || (stats.isFile() && stats.size > 0)) return;
  throw new UnavailableAdapterError(
    `adapter module:${path} cannot be loaded: it is ${stats.isFile() ? 'empty' : 'no regular file'}`,
  );
}

async function openModule(path: string, seconds: number): Promise<Adapter> {
  const isPath = path.startsWith('.') || path.startsWith('/');
  if (isPath) checkModuleFile(path);
  const url = isPath ? pathToFileURL(resolve(path)).href : path;
  let loaded: { createAdapter?: unknown };
  try {
    loaded = (await import(url)) as typeof loaded;
  } catch (error) {
    throw new UnavailableAdapterError(
      `adapter module:${path} cannot be loaded: ${foreignText((error as Error).message.split('\n')[0])}`,
    );
  }
  if (typeof loaded.createAdapter !== 'function') {
    throw new UnavailableAdapterError(`adapter module:${path} must export a function createAdapter`);
  }
  const limit = seconds * 1000;
  const adapter = await inTime(
    (loaded.createAdapter as () => Promise<Adapter>)(),
    limit,
    `no adapter after ${seconds} s`,
  );
  const implementation = greetingOf(
    { version: PROTOCOL_VERSION, implementation: adapter.implementation },
    (fault) => new ProtocolError(`adapter module:${path}: ${fault}`),
  );
  return checked(adapter, implementation, seconds);
}

/** The promise's value, or `NoAnswerError` after `limit` ms. What it does later is nobody's business. */
async function inTime<T>(promise: T | Promise<T>, limit: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswerError(message)), Math.min(limit, 2 ** 31 - 1));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Outcomes of code from outside are held against the schemas too; one case at a time, and none beside one that hangs. */
function checked(adapter: Adapter, implementation: Implementation, seconds: number): Adapter {
  let busy: Promise<unknown> | undefined;
  return {
    implementation,
    run: async (example, until = Infinity) => {
      if (busy !== undefined) throw new ProtocolError('still busy with a case that it has not answered');
      const work = Promise.resolve().then(() => adapter.run(example));
      busy = work;
      const settled = (): void => {
        busy = undefined;
      };
      void work.then(settled, settled);
      const left = (until - performance.now()) / 1000;
      let outcome: Outcome;
      try {
        outcome = await inTime(work, Math.min(left, seconds) * 1000, `no answer after ${seconds} s`);
      } catch (error) {
        if (error instanceof NoAnswerError) throw left < seconds ? new OutOfTimeError() : error;
        throw new ProtocolError(
          foreignText(`run threw ${error instanceof Error ? error.message : String(error)}`, 400),
        );
      }
      const fault = outcomeFault(outcome);
      if (fault !== undefined) throw new ProtocolError(`the answer to run: ${fault}`);
      return outcome;
    },
    close: async () => {
      try {
        await inTime(adapter.close(), 1000 * STOP_SECONDS, 'close');
      } catch {
        // Its verdict stands, however it ends.
      }
    },
  };
}

/** What is wrong with an outcome, in the words of the protocol. */
function outcomeFault(outcome: Outcome): string | undefined {
  const { kind, ...rest } = (outcome as Outcome | null | undefined) ?? { kind: undefined };
  if (kind !== 'result' && kind !== 'skipped' && kind !== 'errored') {
    return `kind must be one of result, skipped, errored; got ${foreignText(kind, 100)}`;
  }
  const body = kind === 'result' ? { steps: (rest as { steps?: unknown }).steps } : rest;
  return faultOf(kind, JSON.parse(stringify({ seq: 0, [kind]: body })));
}

/** How long an implementation from outside may take. */
export interface OpenOptions {
  /** Seconds that one case may take. Default 60. */
  readonly caseSeconds?: number;
  /** Seconds until the answer to `start`. Default 60. */
  readonly startSeconds?: number;
}

/**
 * Opens `ref`, an engine (`js`, `wasm`, `webgpu`), `tfjs-BACKEND`, `cmd:COMMAND` or `module:PATH`.
 *
 * @throws UnknownAdapterError on another name
 * @throws UnavailableAdapterError when this machine cannot run it
 * @throws ProtocolError when an outside one does not greet as the protocol says
 */
export async function openAdapter(name: string, options: OpenOptions = {}): Promise<Adapter> {
  const { caseSeconds = CASE_SECONDS } = options;
  if (/^(cmd|module):\s*$/.test(name))
    throw new UnavailableAdapterError(
      `adapter ${name} names nothing; as in cmd:python3 my_lrd.py, module:./my_lrd.mjs`,
    );
  if (name.startsWith('cmd:')) return openChild(name.slice('cmd:'.length), options);
  if (name.startsWith('module:')) return openModule(name.slice('module:'.length), caseSeconds);
  return openBuiltIn(name, BUILT_IN, ['cmd:COMMAND', 'module:PATH']);
}
