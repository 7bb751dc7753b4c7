import * as tf from '@tensorflow/tfjs';
import type { Kernel, KernelTable } from '../kernel.ts';
import { tensorOf } from './tensorOf.ts';

type Paddings = readonly (readonly [before: number, after: number])[];

const takesAway = (paddings: Paddings): boolean => paddings.some(([before, after]) => before < 0 || after < 0);

/**
 * Padding with numbers below zero, which take elements away at that end (tfjs-layers cuts sequences so): the cpu backend computes another picture, the wasm
 * backend writes beside its output.
 */
const pad: Kernel = ({ inputs, attrs }) => {
  const { paddings, constantValue } = attrs as { readonly paddings: Paddings; readonly constantValue: number };
  if (!takesAway(paddings)) return undefined;
  const x = inputs['x'] as tf.TensorInfo;
  const first = paddings.map(([before]) => Math.max(0, -before));
  const left = paddings.map(
    ([, after], axis) => (x.shape[axis] as number) - (first[axis] as number) - Math.max(0, -after),
  );
  if (left.some((extent) => extent < 0)) {
    throw new Error(`pad: the paddings ${JSON.stringify(paddings)} take away more than shape [${x.shape}] has`);
  }
  return tf.tidy(() => {
    const rest = tf.slice(tensorOf(x), first, left);
    const around = paddings.map(([before, after]): [number, number] => [Math.max(0, before), Math.max(0, after)]);
    return around.some(([before, after]) => before + after > 0) ? tf.pad(rest, around, constantValue) : tf.clone(rest);
  });
};

export const cropKernels: KernelTable = { PadV2: pad };

/** The gradient of a padding: what was added is taken away, what was taken away is 0. */
export function padGradient(stock: tf.GradFunc): tf.GradFunc {
  return (dy, saved, attrs) => {
    const { paddings } = attrs as unknown as { readonly paddings: Paddings };
    if (!takesAway(paddings)) return stock(dy, saved, attrs);
    return {
      x: () =>
        tf.pad(
          dy as tf.Tensor,
          paddings.map(([before, after]): [number, number] => [-before, -after]),
        ),
    };
  };
}
