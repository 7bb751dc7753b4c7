import * as tf from '@tensorflow/tfjs';
import { createArrayEngine } from '../../engines/arrays.ts';
import type { TensorBuffers } from '../../engines/engine.ts';
import { cpuStorage } from '../bridges/cpu.ts';
import { bringHome } from '../bridges/residence.ts';
import type { Stepper } from './stepper.ts';

/**
 * The engine for arrays on the cpu backend's own. `data()` hands those arrays out uncopied, so a step writes into copies
 * and puts them in place: an array that was read before keeps its values.
 */
export function cpuStepper(): Stepper {
  const engine = createArrayEngine();
  const storage = cpuStorage();

  const fresh = (variable: tf.Variable): Float32Array => {
    bringHome(variable);
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

  return {
    step: (plan, entries) => {
      const buffers = entries.map((entry): TensorBuffers<Float32Array> | null => {
        if (entry === null) return null;
        bringHome(entry.gradient);
        const state = Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, fresh(slot)]));
        return { parameter: fresh(entry.variable), gradient: storage.values(entry.gradient), state };
      });
      engine.step(plan, buffers);
    },
    dispose: () => undefined,
  };
}
