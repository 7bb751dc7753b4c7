/** Kernels made of other operations, for any backend. */
import * as tf from '@tensorflow/tfjs';
import type { KernelTable } from '../kernel.ts';
import { conv3dKernels } from './conv3d.ts';
import { einsumOfProducts } from './einsum.ts';
import { gatherKernels } from './gather.ts';
import { tensorOf } from './tensorOf.ts';

const einsumKernels: KernelTable = {
  Einsum: ({ inputs, attrs }) => {
    const { equation } = attrs as { readonly equation: string };
    return tf.tidy(() =>
      einsumOfProducts(
        equation,
        Object.values(inputs).map((x) => tensorOf(x as tf.TensorInfo)),
      ),
    );
  },
};

export const composedKernels: KernelTable = { ...einsumKernels, ...conv3dKernels, ...gatherKernels };
