import * as tf from '@tensorflow/tfjs';
import { arrayEngine } from '../../engines/arrays.ts';
import type { TensorBuffers } from '../../engines/engine.ts';
import { cpuStorage } from '../bridges/cpu.ts';
import { bringHome } from '../bridges/residence.ts';
import type { Stepper } from './stepper.ts';

/**
 * The engine for arrays on the cpu backend's own. `data()` hands those arrays out uncopied, so a step writes into copies
 * and puts them in place: an array that was read before keeps its values. Parameters are read by every forward pass; state that
 * nobody has read since the step before is written where it lies.
 */
export function cpuStepper(): Stepper {
  const engine = arrayEngine();
  const storage = cpuStorage();

  const fresh = (variable: tf.Variable): Float32Array => {
    const copy = storage.values(variable).slice();
    if (storage.refCount(variable) > 1) {
      const tensor = tf.tensor(copy, variable.shape);
      variable.assign(tensor);
      tensor.dispose();
    } else {
      storage.replace(variable, copy);
    }
    return copy;
  };
  const writable = (slot: tf.Variable): Float32Array =>
    storage.refCount(slot) > 1 ? fresh(slot) : storage.writable(slot);

  return {
    step: (plan, entries) => {
      const buffers = entries.map((entry): TensorBuffers<Float32Array> | null => {
        if (entry === null) return null;
        const { variable, gradient, state } = entry;
        for (const tensor of [variable, gradient, ...Object.values(state)]) bringHome(tensor);
        return {
          parameter: fresh(variable),
          gradient: storage.values(gradient),
          state: Object.fromEntries(Object.entries(state).map(([name, slot]) => [name, writable(slot)])),
        };
      });
      engine.step(plan, buffers);
    },
    dispose: () => undefined,
  };
}
