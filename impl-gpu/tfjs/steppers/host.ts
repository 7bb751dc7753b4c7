import * as tf from '@tensorflow/tfjs';
import type { TensorBuffers } from '../../engines/engine.ts';
import { createJsEngine } from '../../engines/js.ts';
import type { Stepper } from './stepper.ts';

/**
 * The JavaScript engine for a backend whose memory cannot be reached: values are read, stepped on the host and assigned.
 * Works wherever `dataSync` does; the masks are the same as everywhere.
 */
export function hostStepper(): Stepper {
  const engine = createJsEngine();
  const read = (tensor: tf.Tensor): Float32Array => tensor.dataSync<'float32'>().slice();
  const write = (variable: tf.Variable, values: Float32Array): void => {
    const tensor = tf.tensor(values, variable.shape);
    variable.assign(tensor);
    tensor.dispose();
  };
  return {
    step: (plan, entries) => {
      const buffers = entries.map((entry): TensorBuffers<Float32Array> | null => {
        if (entry === null) return null;
        const state = Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, read(slot)]));
        return { parameter: read(entry.variable), gradient: read(entry.gradient), state };
      });
      engine.step(plan, buffers);
      entries.forEach((entry, index) => {
        const stepped = buffers[index];
        if (entry === null || stepped === null || stepped === undefined) return;
        write(entry.variable, stepped.parameter);
        for (const [name, slot] of Object.entries(entry.state)) write(slot, stepped.state[name] as Float32Array);
      });
    },
    dispose: () => undefined,
  };
}
