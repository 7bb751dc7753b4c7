/**
 * koffi, which calls functions of C libraries, as far as this project uses it. It is an optional peer, imported only when it is asked for,
 * and the types stand here so that nobody needs it to compile.
 */
import { UnsupportedError } from '../validate.ts';

export type NativeFunction = (...values: readonly unknown[]) => number;

export interface NativeLibrary {
  /** @param declaration - a prototype in C */
  func(declaration: string): NativeFunction;
  symbol(name: string, type: unknown): unknown;
}

export interface Koffi {
  /** @param path - null for what the program itself is linked with */
  load(path: string | null, options?: { readonly global: boolean }): NativeLibrary;
  opaque(): unknown;
  address(value: unknown): bigint;
}

/** The version that this package was tested with. */
const KOFFI_VERSION = '3.3.4';

/** @throws UnsupportedError when it is not installed */
export async function loadKoffi(): Promise<Koffi> {
  // By a name that no bundler follows: a bundle for browsers must still build.
  const name: string = 'koffi';
  try {
    const module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as { default: Koffi };
    return module.default;
  } catch (error) {
    throw new UnsupportedError(
      (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND'
        ? `MPI needs koffi, which is not installed: npm install koffi@${KOFFI_VERSION}`
        : `koffi does not load: ${(error as Error).message.split('\n')[0]}`,
      { cause: error },
    );
  }
}
