import type * as tf from '@tensorflow/tfjs';
import type { TensorBuffers } from '../../engines/engine.ts';
import type { GpuJsArray, GpuJsEngine } from '../../gpujs/index.ts';
import { createHostEngine, createWebGpuGpuJsEngine, planAverage, requireGpuJs } from '../../gpujs/index.ts';
import { bringHome } from '../bridges/residence.ts';
import { webGpuStorage } from '../bridges/webgpu.ts';
import { hostStepper } from './host.ts';
import type { StepEntry, Stepper } from './stepper.ts';

/** The parts of `sgdm-avg`'s step by name, or of any other's. */
const withRing = <Array>({ parameter, gradient, state }: TensorBuffers<Array>) => ({
  parameter,
  gradient,
  ring: state['ring'] as Array,
});

/** gpu.js in its mode `cpu` or `webasm`, over values that are read from the backend and assigned to it. */
function overHost(engine: GpuJsEngine<Float32Array>): Stepper {
  type Buffers = TensorBuffers<Float32Array>;
  const wrap = (data: Float32Array): GpuJsArray<Float32Array> => engine.wrap(data, data.length);
  const wrapAll = (tensors: readonly (Buffers | null)[]) =>
    tensors.map((tensor): TensorBuffers<GpuJsArray<Float32Array>> | null =>
      tensor === null
        ? null
        : {
            parameter: wrap(tensor.parameter),
            gradient: wrap(tensor.gradient),
            state: Object.fromEntries(Object.entries(tensor.state).map(([name, data]) => [name, wrap(data)])),
          },
    );
  const stepper = hostStepper({
    step: (plan, tensors) => engine.step(plan, wrapAll(tensors)),
    average: (request, tensors) =>
      engine.stepAverage(
        planAverage(request),
        wrapAll(tensors).map((tensor) => (tensor === null ? null : withRing(tensor))),
      ),
  });
  return {
    ...stepper,
    dispose: () => {
      stepper.dispose();
      engine.dispose();
    },
  };
}

/**
 * gpu.js on the device that tfjs's webgpu backend uses: variables live in buffers that its kernels read and write, and change
 * buffers with each step. Nothing passes through the host.
 */
function onDevice(): Stepper {
  const storage = webGpuStorage();
  const engine = createWebGpuGpuJsEngine(requireGpuJs(), storage.device);
  const homes = new Map<tf.Variable, GpuJsArray<GPUBuffer>>();
  const home = (variable: tf.Variable): GpuJsArray<GPUBuffer> => {
    let array = homes.get(variable);
    if (array === undefined) homes.set(variable, (array = engine.array(variable.size)));
    bringHome(variable);
    if (variable.size > 0) storage.adopt(variable, array.data, 0);
    return array;
  };
  const settle = (variable: tf.Variable): void => {
    if (variable.size > 0) storage.move(variable, (homes.get(variable) as GpuJsArray<GPUBuffer>).data);
  };
  const run = (
    entries: readonly (StepEntry | null)[],
    step: (buffers: readonly (TensorBuffers<GpuJsArray<GPUBuffer>> | null)[]) => void,
  ): void => {
    const buffers = entries.map((entry): TensorBuffers<GpuJsArray<GPUBuffer>> | null => {
      if (entry === null) return null;
      const parameter = home(entry.variable);
      const state = Object.fromEntries(Object.entries(entry.state).map(([name, slot]) => [name, home(slot)]));
      bringHome(entry.gradient);
      const { size } = entry.gradient;
      // Without elements there is nothing to read, and tfjs has no buffer.
      const gradient = size === 0 ? parameter : engine.wrap(storage.buffer(entry.gradient), size);
      return { parameter, gradient, state };
    });
    storage.flush();
    step(buffers);
    for (const entry of entries) {
      if (entry === null) continue;
      settle(entry.variable);
      for (const slot of Object.values(entry.state)) settle(slot);
    }
  };
  return {
    step: (plan, entries) => run(entries, (buffers) => engine.step(plan, buffers)),
    average: (request, entries) => {
      const plan = planAverage(request);
      run(entries, (buffers) =>
        engine.stepAverage(
          plan,
          buffers.map((tensor) => (tensor === null ? null : withRing(tensor))),
        ),
      );
    },
    dispose: () => {
      for (const [variable, { data }] of homes) if (!variable.isDisposed) storage.expel(variable, data);
      storage.flush();
      for (const array of homes.values()) engine.release(array);
      engine.dispose();
    },
  };
}

/** gpu.js kernels for a backend of tfjs: mode `webgpu` on the backend of that name, `cpu` on cpu, else `webasm`. */
export function gpuJsStepper(backend: string): Stepper {
  if (backend === 'webgpu') return onDevice();
  return overHost(createHostEngine(requireGpuJs(), backend === 'cpu' ? 'cpu' : 'webasm'));
}
