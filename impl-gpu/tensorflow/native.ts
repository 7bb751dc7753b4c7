/**
 * The C++ source of the fused step, of a layer's passes, products and convolutions inside TensorFlow, and what it is called there. Its functions are for Node, whose modules they take through
 * `process`: a bundler for browsers must not find them here.
 */

const FILES = [
  'step.h',
  'kernel.cc',
  'layers.h',
  'layers.cc',
  'products.h',
  'products.cc',
  'winograd.h',
  'winograd.cc',
  'forms.h',
  'forms.cc',
  'pool.h',
  'pool.cc',
  'tensors.h',
  'operation.cc',
  'layerOperations.cc',
  'productOperations.cc',
  'signals.cc',
  'descriptors.cc',
] as const;

/** A file of the source. */
export type NativeSource = (typeof FILES)[number];

// By a name: Vite takes `new URL(text, import.meta.url)` for a picture to bundle, and complains.
const here = import.meta.url;

/** Where a file of the source lies, beside this module. */
export function nativeSource(name: NativeSource): string {
  return process.getBuiltinModule('node:url').fileURLToPath(new URL(`native/${name}`, here));
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

const OPERATIONS = {
  measure: 'Measure',
  hold: 'Hold',
  step: 'Step',
  giveBack: 'Return',
  bias: 'Bias',
  clamp: 'Clamp',
  slope: 'Slope',
  slopeSums: 'SlopeSums',
  lanes: 'Lanes',
  product: 'Product',
  convolution: 'Convolution',
  convolutionGradient: 'ConvolutionGradient',
} as const;

let operations: Readonly<Record<keyof typeof OPERATIONS, string>> | undefined;

/** The operations that an addon of this source registers: one of another source, with another plan perhaps, is never called. */
export function nativeOperations(): Readonly<Record<keyof typeof OPERATIONS, string>> {
  operations ??= Object.fromEntries(
    Object.entries(OPERATIONS).map(([name, what]) => [name, `LearningRateDropout${what}V${nativeVersion()}`]),
  ) as Record<keyof typeof OPERATIONS, string>;
  return operations;
}
