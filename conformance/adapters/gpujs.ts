/** The steps as gpu.js kernels, in each of gpu.js's modes that this machine has. */
import type { GpuJsArray, GpuJsEngine, GpuJsMode } from 'learning-rate-dropout/gpu';
import { createGpuJsEngine, planAverage, openGpu, planStep } from 'learning-rate-dropout/gpu';
import { RULES } from 'learning-rate-dropout/spec';
import type { Adapter } from '../protocol/types.ts';
import type { Store } from './engine.ts';
import { adapterOf, readBuffers } from './engine.ts';

function storeOf<Data>(
  engine: GpuJsEngine<Data>,
  more: Pick<Store<GpuJsArray<Data>>, 'read' | 'close'>,
): Store<GpuJsArray<Data>> {
  let arrays: GpuJsArray<Data>[] = [];
  return {
    step: (request, tensors, masks) => {
      if (request.rule === 'sgdm-avg') {
        const buffers = tensors.map(({ parameter, gradient, state }) => ({
          parameter,
          gradient,
          ring: state['ring'] as GpuJsArray<Data>,
        }));
        engine.stepAverage(planAverage(request), buffers, masks);
      } else engine.step(planStep(request), tensors, masks);
    },
    place: (values) => {
      const array = engine.array(values);
      arrays.push(array);
      return array;
    },
    write: (array, values) => engine.write(array, values),
    clear: () => {
      for (const array of arrays) engine.release(array);
      arrays = [];
    },
    ...more,
  };
}

async function openStore(mode: GpuJsMode): Promise<Store<GpuJsArray<Float32Array>> | Store<GpuJsArray<GPUBuffer>>> {
  if (mode !== 'webgpu') {
    const engine = await createGpuJsEngine({ mode });
    return storeOf(engine, {
      read: (arrays) => Promise.all(arrays.map(([array]) => engine.read(array))),
      close: () => engine.dispose(),
    });
  }
  const { device } = await openGpu();
  const engine = await createGpuJsEngine({ mode, device });
  return storeOf(engine, {
    read: (arrays) =>
      readBuffers(
        device,
        arrays.map(([array, size]) => [array.data, size] as const),
      ),
    close: () => {
      engine.dispose();
      device.destroy();
    },
  });
}

/**
 * Dropped coordinates keep their bits in all modes. Arithmetic is float64 with float32 stores in cpu mode, IEEE float32 in webasm, and
 * WGSL's in webgpu.
 *
 * @throws UnsupportedError when gpu.js is not installed or the machine has no WebGPU adapter
 */
export async function openGpuJs(mode: GpuJsMode): Promise<Adapter> {
  const description = {
    name: `gpujs-${mode}`,
    language: 'gpu.js',
    rules: Object.keys(RULES),
    masks: ['stream', 'given'],
    kinds: {},
    features: mode === 'webgpu' ? (['relaxed-float32'] as const) : [],
  } as const;
  return adapterOf(description, (await openStore(mode)) as Store<unknown>);
}
