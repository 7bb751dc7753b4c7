/** The same step as gpu.js kernels, in gpu.js's modes: one kernel for the mask, one for each state and one for the parameter. */
import type { GpuJsArray, GpuJsEngine, TensorBuffers } from 'learning-rate-dropout/gpu';
import { UnsupportedError, createGpuJsEngine } from 'learning-rate-dropout/gpu';
import type { Lane, LaneSource } from '../harness/measure.ts';
import { Unavailable } from '../harness/measure.ts';
import type { StepSettings } from './engines.ts';
import { burstOf, copyName, drained, maskName, sharedGpu } from './engines.ts';
import { bytesMoved, gradientValues, planner, statesOf } from './workload.ts';

interface Prepared {
  readonly step: () => void;
  readonly close: () => void;
}

function prepare<Data>(engine: GpuJsEngine<Data>, { rule, workload, keepProbability }: StepSettings): Prepared {
  const arrays: GpuJsArray<Data>[] = [];
  const array = (values: Float32Array | number): GpuJsArray<Data> => {
    const made = engine.array(values);
    arrays.push(made);
    return made;
  };
  const tensors = workload.sizes.map((size): TensorBuffers<GpuJsArray<Data>> => ({
    parameter: array(size),
    gradient: array(gradientValues(size)),
    state: Object.fromEntries(statesOf(rule).map((slot) => [slot, array(size)])),
  }));
  const plan = planner(rule, workload, keepProbability);
  return {
    step: () => engine.step(plan(), tensors),
    close: () => {
      for (const made of arrays) engine.release(made);
      engine.dispose();
    },
  };
}

const COPIES = { cpu: 'js', webasm: 'wasm', webgpu: 'webgpu' } as const;

/** gpu.js in one mode; on webgpu the device is the other lanes'. */
export function gpuJsLane(
  mode: keyof typeof COPIES,
  settings: StepSettings,
  name = `gpu.js ${mode}, ${maskName(settings)}`,
): LaneSource {
  const { rule, workload } = settings;
  return {
    name,
    open: async (): Promise<Lane> => {
      const gpu = mode === 'webgpu' ? await sharedGpu() : undefined;
      let prepared: Prepared;
      try {
        prepared =
          mode === 'webgpu'
            ? prepare(await createGpuJsEngine({ mode, device: (gpu as NonNullable<typeof gpu>).device }), settings)
            : prepare(await createGpuJsEngine({ mode }), settings);
      } catch (error) {
        if (error instanceof UnsupportedError) throw new Unavailable(error.message);
        throw error;
      }
      const { step, close } = prepared;
      const burst = gpu === undefined ? 1 : burstOf(gpu);
      return {
        name,
        steps: burst,
        sample:
          gpu === undefined
            ? () => {
                step();
                return undefined;
              }
            : drained(gpu.device, burst, step),
        bytesMoved: bytesMoved(rule, workload.elements),
        copyLane: copyName(COPIES[mode]),
        close,
      };
    },
  };
}
