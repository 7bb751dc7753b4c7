/** Gradients that tfjs-core has not, or has wrong, on every backend. */
import * as tf from '@tensorflow/tfjs';
import { einsumGradient } from './einsum.ts';

/** Registers them. Must be called once a process. */
export function installGradients(): void {
  tf.registerGradient({
    kernelName: 'Einsum',
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) => {
      const { equation } = attrs as unknown as { readonly equation: string };
      return einsumGradient(dy as tf.Tensor, saved, equation);
    },
  });
}
