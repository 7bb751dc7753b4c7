import * as tf from '@tensorflow/tfjs';
import type { Binding } from './binding.ts';

/** Adds gradients to what their variables have pending. */
export function addPending(binding: Binding, gradients: ReadonlyMap<string, tf.Tensor | null>): void {
  for (const [name, gradient] of gradients) {
    const slot = binding.find(name);
    if (gradient === null || slot === undefined) continue;
    const { pending } = slot;
    tf.tidy(() => {
      if (pending === undefined) slot.pending = tf.variable(gradient.clone(), false);
      else pending.assign(tf.add(pending, gradient));
    });
  }
}

/** The means of what is pending over the calls, in the caller's `tidy`. Without a gradient in any call: absent. */
export function meansOfPending(binding: Binding, calls: number): Map<string, tf.Tensor> {
  return new Map(
    binding.slots.flatMap(({ name, pending }) =>
      pending === undefined ? [] : [[name, tf.div(pending, calls)] as const],
    ),
  );
}

/** Forgets what is pending. */
export function clearPending(binding: Binding): void {
  for (const slot of binding.slots) {
    slot.pending?.dispose();
    slot.pending = undefined;
  }
}
