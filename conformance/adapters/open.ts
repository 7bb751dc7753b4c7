/** Adapters by the name that `--adapter` takes: the built-in ones, programs and modules. */
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import { openChild } from '../protocol/child.ts';
import { stringify } from '../protocol/numbers.ts';
import { answerKind, faultOf } from '../protocol/schemas.ts';
import { PROTOCOL_VERSION, ProtocolError } from '../protocol/types.ts';
import type { Adapter } from '../protocol/types.ts';
import { BUILT_IN, UnavailableAdapterError, openBuiltIn } from './builtIn.ts';

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
  return openBuiltIn(name, BUILT_IN, ['cmd:COMMAND', 'module:PATH']);
}
