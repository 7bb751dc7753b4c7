/** The adapters of this repository by name. Nothing here needs a process: it runs in a page too. */
import type { Adapter } from '../protocol/types.ts';
import type { TfjsBackend } from './tfjs.ts';

const EVERYWHERE = ['ref', 'js', 'wasm', 'webgpu', 'tfjs-cpu', 'tfjs-wasm', 'tfjs-webgpu'] as const;
/** Names of the built-in adapters that a Node process can have, in the order in which they are judged. */
export const BUILT_IN = [
  ...EVERYWHERE,
  'tfjs-node',
  'tfjs-node-gpu',
  'gpujs-cpu',
  'gpujs-webasm',
  'gpujs-webgpu',
] as const;
/** And those that a page can have: an optional peer cannot be imported there by its name. */
export const BUILT_IN_BROWSER = [...EVERYWHERE, 'tfjs-webgl'] as const;
type BuiltIn = (typeof BUILT_IN)[number] | (typeof BUILT_IN_BROWSER)[number];

/** A name that is no adapter's. The message names the argument, the value and the rule. */
export class UnknownAdapterError extends Error {
  /** `UnknownAdapterError`. */
  override readonly name = 'UnknownAdapterError';
}

/** An adapter that this machine cannot run, with the reason. */
export class UnavailableAdapterError extends Error {
  /** `UnavailableAdapterError`. */
  override readonly name = 'UnavailableAdapterError';
}

async function load(name: BuiltIn): Promise<Adapter> {
  switch (name) {
    case 'ref':
      return (await import('./reference.ts')).openReference();
    case 'js':
    case 'wasm':
    case 'webgpu':
      return (await import('./engine.ts')).openEngine(name);
    case 'tfjs-cpu':
    case 'tfjs-wasm':
    case 'tfjs-webgl':
    case 'tfjs-webgpu':
    case 'tfjs-node':
    case 'tfjs-node-gpu':
      return (await import('./tfjs.ts')).openTfjs(name.slice('tfjs-'.length) as TfjsBackend);
    case 'gpujs-cpu':
    case 'gpujs-webasm':
    case 'gpujs-webgpu':
      return (await import('./gpujs.ts')).openGpuJs(name.slice('gpujs-'.length) as 'cpu' | 'webasm' | 'webgpu');
  }
}

/**
 * Opens one of `names`. `others`: what else the caller takes, for the message.
 *
 * @throws UnknownAdapterError on another name
 * @throws UnavailableAdapterError when this machine cannot run it
 */
export async function openBuiltIn(
  name: string,
  names: readonly BuiltIn[],
  others: readonly string[] = [],
): Promise<Adapter> {
  const known = names.find((one) => one === name);
  if (known === undefined) {
    throw new UnknownAdapterError(
      `--adapter must be one of ${[...names, ...others].join(', ')}, got ${JSON.stringify(name)}`,
    );
  }
  try {
    return await load(known);
  } catch (error) {
    throw new UnavailableAdapterError(`adapter ${name} does not run here: ${(error as Error).message.split('\n')[0]}`);
  }
}
