/** Adapters by the name that `--adapter` takes. */
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { openChild } from '../protocol/child.ts';
import { stringify } from '../protocol/numbers.ts';
import { answerKind, faultOf } from '../protocol/schemas.ts';
import { PROTOCOL_VERSION, ProtocolError } from '../protocol/types.ts';
import type { Adapter } from '../protocol/types.ts';

/** Names of the built-in adapters, in the order in which they are judged. */
export const BUILT_IN = ['ref', 'js', 'wasm', 'webgpu', 'tfjs-cpu', 'tfjs-wasm', 'tfjs-webgpu'] as const;
export type BuiltIn = (typeof BUILT_IN)[number];

/** A name that is no adapter's. The message names the argument, the value and the rule. */
export class UnknownAdapterError extends Error {
  override readonly name = 'UnknownAdapterError';
}

/** An adapter that this machine cannot run, with the reason. */
export class UnavailableAdapterError extends Error {
  override readonly name = 'UnavailableAdapterError';
}

async function openModule(path: string): Promise<Adapter> {
  const url = path.startsWith('.') || path.startsWith('/') ? pathToFileURL(resolve(path)).href : path;
  let loaded: { createAdapter?: unknown };
  try {
    loaded = (await import(url)) as typeof loaded;
  } catch (error) {
    throw new UnavailableAdapterError(
      `adapter module:${path} cannot be loaded: ${(error as Error).message.split('\n')[0]}`,
    );
  }
  if (typeof loaded.createAdapter !== 'function') {
    throw new UnavailableAdapterError(`adapter module:${path} must export a function createAdapter`);
  }
  const adapter = await (loaded.createAdapter as () => Promise<Adapter>)();
  const greeting = { version: PROTOCOL_VERSION, implementation: adapter.implementation };
  const fault = answerKind(greeting) === 'started' ? faultOf('started', greeting) : 'implementation is missing';
  if (fault !== undefined) throw new ProtocolError(`adapter module:${path}: ${fault}`);
  return checked(adapter);
}

/** Outcomes of code from outside are held against the schemas too. */
function checked(adapter: Adapter): Adapter {
  return {
    implementation: adapter.implementation,
    run: async (example) => {
      let outcome;
      try {
        outcome = await adapter.run(example);
      } catch (error) {
        throw new ProtocolError(`run threw ${error instanceof Error ? error.message : String(error)}`);
      }
      const kind = outcome.kind;
      const message = kind === 'result' ? { seq: 0, result: { steps: outcome.steps } } : undefined;
      if (message !== undefined) {
        const fault = faultOf('result', JSON.parse(stringify(message)));
        if (fault !== undefined) throw new ProtocolError(`the answer to run: ${fault}`);
      }
      return outcome;
    },
    close: () => adapter.close(),
  };
}

async function openBuiltIn(name: BuiltIn): Promise<Adapter> {
  switch (name) {
    case 'ref':
      return (await import('./reference.ts')).openReference();
    case 'js':
    case 'wasm':
    case 'webgpu':
      return (await import('./engine.ts')).openEngine(name);
    case 'tfjs-cpu':
    case 'tfjs-wasm':
    case 'tfjs-webgpu':
      return (await import('./tfjs.ts')).openTfjs(name.slice('tfjs-'.length) as 'cpu' | 'wasm' | 'webgpu');
  }
}

/**
 * Opens `ref`, an engine (`js`, `wasm`, `webgpu`), `tfjs-BACKEND`, `cmd:COMMAND` or `module:PATH`.
 *
 * @throws UnknownAdapterError on another name
 * @throws UnavailableAdapterError when this machine cannot run it
 * @throws ProtocolError when an outside one does not greet as the protocol says
 */
export async function openAdapter(name: string): Promise<Adapter> {
  if (name.startsWith('cmd:')) return openChild(name.slice('cmd:'.length));
  if (name.startsWith('module:')) return openModule(name.slice('module:'.length));
  if (!(BUILT_IN as readonly string[]).includes(name)) {
    throw new UnknownAdapterError(
      `--adapter must be one of ${BUILT_IN.join(', ')}, cmd:COMMAND, module:PATH, got ${JSON.stringify(name)}`,
    );
  }
  try {
    return await openBuiltIn(name as BuiltIn);
  } catch (error) {
    throw new UnavailableAdapterError(`adapter ${name} does not run here: ${(error as Error).message.split('\n')[0]}`);
  }
}
