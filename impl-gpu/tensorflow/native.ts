/**
 * The C++ source of the fused step inside TensorFlow, and what it is called there. Its functions are for Node, whose modules they take through
 * `process`: a bundler for browsers must not find them here.
 */

const FILES = ['step.h', 'kernel.cc', 'operation.cc', 'descriptors.cc'] as const;

/** Where a file of the source lies, beside this module. */
export function nativeSource(name: (typeof FILES)[number]): string {
  return process.getBuiltinModule('node:url').fileURLToPath(new URL(`native/${name}`, import.meta.url));
}

let version: string | undefined;

/** What tells one source from another: 12 hexadecimal digits of a hash of all its files. */
export function nativeVersion(): string {
  if (version === undefined) {
    const hash = process.getBuiltinModule('node:crypto').createHash('sha256');
    const { readFileSync } = process.getBuiltinModule('node:fs');
    for (const name of FILES) hash.update(readFileSync(nativeSource(name)));
    version = hash.digest('hex').slice(0, 12);
  }
  return version;
}

/** The operations that an addon of this source registers: one of another source, with another plan perhaps, is never called. */
export function nativeOperations(): Readonly<Record<'measure' | 'hold' | 'step' | 'giveBack', string>> {
  const name = (what: string): string => `LearningRateDropout${what}V${nativeVersion()}`;
  return { measure: name('Measure'), hold: name('Hold'), step: name('Step'), giveBack: name('Return') };
}
