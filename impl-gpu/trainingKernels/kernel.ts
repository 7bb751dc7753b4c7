import * as tf from '@tensorflow/tfjs';

/** What a kernel is called with. */
export interface KernelArgs {
  /** tfjs leaves out what an operation's caller left out. */
  readonly inputs: tf.NamedTensorInfoMap;
  readonly attrs: unknown;
}

/** A kernel on one backend. Undefined: not a case of ours, which goes to tfjs's own kernel. */
export type Kernel = (args: KernelArgs) => tf.TensorInfo | tf.TensorInfo[] | undefined;

/** Kernels by name, as they are for one backend. */
export type KernelTable = Readonly<Record<string, Kernel>>;

/**
 * Puts kernels before a backend's own, which take the cases that the table declines. `tableOf` makes the table of a running backend, once
 * each: when it is disposed of and started again, the kernels go along. Must be called with the backend running.
 */
export function installTable(backendName: string, tableOf: (backend: object) => KernelTable): void {
  const tables = new WeakMap<object, KernelTable>();
  const known = (backend: object): KernelTable => {
    const table = tables.get(backend) ?? tableOf(backend);
    tables.set(backend, table);
    return table;
  };
  for (const kernelName of Object.keys(known(tf.backend()))) {
    const stock = tf.getKernel(kernelName, backendName) as tf.KernelConfig | undefined;
    if (stock !== undefined) tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      // tfjs's own set-up, which it repeats for each new backend, must go on: cases that are not ours come to its kernel.
      ...stock,
      kernelName,
      backendName,
      kernelFunc: (args) => {
        const { inputs, attrs, backend } = args;
        const out = known(backend)[kernelName]?.({ inputs, attrs });
        if (out !== undefined) return out;
        if (stock !== undefined) return stock.kernelFunc(args);
        throw new Error(`${kernelName} on the ${backendName} backend takes float32 tensors, none of them empty`);
      },
    });
  }
}
