/** Kernels made of other operations, for any backend. */
import * as tf from '@tensorflow/tfjs';
import { einsumOfProducts } from '../einsum.ts';
import { tensorOf } from '../tensorOf.ts';

/** A kernel of operations; what it makes on the way is freed. */
type Composed = (inputs: readonly tf.Tensor[], attrs: unknown) => tf.Tensor;

const COMPOSED: Readonly<Record<string, Composed>> = {
  Einsum: (operands, attrs) => einsumOfProducts((attrs as { readonly equation: string }).equation, operands),
};

/** Puts them in place of a backend's own. */
export function installComposed(backendName: string, names: readonly (keyof typeof COMPOSED)[]): void {
  for (const kernelName of names) {
    const compute = COMPOSED[kernelName] as Composed;
    if (tf.getKernel(kernelName, backendName) !== undefined) tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: ({ inputs, attrs }) =>
        tf.tidy(() =>
          compute(
            Object.values(inputs).map((x) => tensorOf(x as tf.TensorInfo)),
            attrs,
          ),
        ),
    });
  }
}
