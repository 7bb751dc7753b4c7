import * as tf from '@tensorflow/tfjs';
import { arrayEngine } from '../../engines/arrays.ts';
import type { Engine, TensorBuffers } from '../../engines/engine.ts';
import type { AverageRequest } from '../../gpujs/index.ts';
import type { StepEntry, Stepper } from './stepper.ts';

/** An engine on arrays, and what else it steps. */
interface HostEngine extends Engine<Float32Array> {
  /** For `sgdm-avg`; the state is the `ring`. */
  average?(request: AverageRequest, tensors: readonly (TensorBuffers<Float32Array> | null)[]): void;
}

/**
 * An engine, by default the fastest one for arrays, for a backend whose memory cannot be reached: values are read, stepped on the host and assigned.
 * Works wherever `dataSync` does; the masks are the same as everywhere.
 *
 * What a step assigned is kept here too. As long as a variable still holds it, it is not read back: that spares the slowest part, and
 * a dropped coordinate keeps its exact bits where the backend's memory does not (WebGL's textures may flush subnormals).
 */
export function hostStepper(engine: HostEngine = arrayEngine()): Stepper {
  /** By a tensor's data: the values that were put there. tfjs shares these arrays with whoever reads the tensor: never written. */
  const known = new WeakMap<object, Float32Array>();
  const read = (tensor: tf.Tensor): Float32Array => (known.get(tensor.dataId) ?? tensor.dataSync<'float32'>()).slice();
  const write = (variable: tf.Variable, values: Float32Array): void => {
    const tensor = tf.tensor(values, variable.shape);
    variable.assign(tensor);
    known.set(variable.dataId, values);
    tensor.dispose();
  };
  const onHost = (
    entries: readonly (StepEntry | null)[],
    step: (buffers: readonly (TensorBuffers<Float32Array> | null)[]) => void,
  ): void => {
    const buffers = entries.map((entry): TensorBuffers<Float32Array> | null => {
      if (entry === null) return null;
      const state = Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, read(slot)]));
      return { parameter: read(entry.variable), gradient: entry.gradient.dataSync<'float32'>(), state };
    });
    step(buffers);
    entries.forEach((entry, index) => {
      const stepped = buffers[index];
      if (entry === null || stepped === null || stepped === undefined) return;
      write(entry.variable, stepped.parameter);
      for (const [name, slot] of Object.entries(entry.state)) write(slot, stepped.state[name] as Float32Array);
    });
  };
  return {
    step: (plan, entries) => onHost(entries, (buffers) => engine.step(plan, buffers)),
    average: (request, entries) => onHost(entries, (buffers) => engine.average?.(request, buffers)),
    dispose: () => undefined,
  };
}
