/**
 * gpu.js itself, as far as this project uses it. It is an optional peer, imported only when it is asked for, and the types stand here so
 * that nobody needs it to compile.
 */
import { UnsupportedError } from '../validate.ts';

/** A compiled or still uncompiled kernel: a function of its arguments. */
export interface GpuJsKernel {
  (...values: readonly unknown[]): unknown;
  /** What runs it; another one after gpu.js has fallen back to another mode. */
  readonly kernel: {
    readonly constructor: { readonly mode?: string };
    readonly fallbackReason?: string | null;
    destroy(): void;
  };
}

export interface GpuJsInstance {
  createKernel(source: string, settings: object): GpuJsKernel;
}

export interface GpuJsModule {
  readonly GPU: {
    new (settings: { readonly mode: string }): GpuJsInstance;
    /** Skips the look at `navigator` when an instance is made. */
    disableValidation(): void;
    enableValidation(): void;
  };
  /** A flat array with the dimensions that a kernel sees: [columns, rows]. */
  readonly input: (values: Float32Array, size: readonly number[]) => unknown;
}

/** The version whose internals `webgpu.ts` knows. */
export const GPUJS_VERSION = '2.24.1';

let loaded: GpuJsModule | undefined;

function check(module: unknown): GpuJsModule {
  const { GPU, input, default: whole } = module as Partial<GpuJsModule> & { default?: Partial<GpuJsModule> };
  const found = { GPU: GPU ?? whole?.GPU, input: input ?? whole?.input };
  if (typeof found.GPU !== 'function' || typeof found.input !== 'function') {
    throw new UnsupportedError(`gpu.js must be version ${GPUJS_VERSION}, got a module without GPU and input`);
  }
  return found as GpuJsModule;
}

/**
 * Imports gpu.js once. Bundles for browsers pass it in, since they cannot follow an optional import:
 * `await loadGpuJs(await import('gpu.js'))`.
 *
 * @throws UnsupportedError when it is not installed
 */
export async function loadGpuJs(module?: unknown): Promise<GpuJsModule> {
  if (module !== undefined) return (loaded = check(module));
  if (loaded === undefined) {
    // By a name that no bundler follows: a bundle without gpu.js must still build.
    const name: string = 'gpu.js';
    try {
      loaded = check(await import(/* @vite-ignore */ /* webpackIgnore: true */ name));
    } catch (error) {
      if (error instanceof UnsupportedError) throw error;
      const missing = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND' || typeof process === 'undefined';
      throw new UnsupportedError(
        missing
          ? `gpu.js is not installed: npm install gpu.js@${GPUJS_VERSION} (in a bundle pass it: await import('gpu.js'))`
          : `gpu.js does not load: ${(error as Error).message.split('\n')[0]}`,
      );
    }
  }
  return loaded;
}

/** gpu.js if it has been loaded. */
export const loadedGpuJs = (): GpuJsModule | undefined => loaded;
