import { createGpuJsEngine, planStep } from 'learning-rate-dropout/gpu';
import type { GpuJsEngine } from 'learning-rate-dropout/gpu';
import { useWebGpu } from 'learning-rate-dropout';

/** What gpu.js does here, in its own modes. */
export interface GpuJsFinding {
  /** Modes in which a step gave what it must. */
  readonly modes: readonly string[];
  /** What runs, or why nothing does and how to get it. */
  readonly detail: string;
}

/** A step of size 1 along 1, from 1: 0 for all. */
async function steps<Data>(engine: GpuJsEngine<Data>): Promise<boolean> {
  const hyper = { momentum: 0, learningRate: 1 };
  const tensors = [{ base: 0, size: 64, count: 1, hyper, keepProbability: 1 }];
  const ones = new Float32Array(64).fill(1);
  const [parameter, gradient] = [engine.array(ones), engine.array(ones)];
  engine.step(planStep({ rule: 'sgdm', key: [0, 0], step: 1, tensors }), [{ parameter, gradient, state: {} }]);
  const values = await engine.read(parameter);
  engine.dispose();
  return values.every((x) => x === 0);
}

async function runs(mode: 'cpu' | 'webasm' | 'webgpu'): Promise<boolean> {
  if (mode !== 'webgpu') return steps(await createGpuJsEngine({ mode }));
  // An adapter gives one device, and tfjs has it.
  const { device } = await useWebGpu();
  return steps(await createGpuJsEngine({ mode, device }));
}

/** Tries a step of gpu.js in each mode. */
export async function probeGpuJs(): Promise<GpuJsFinding> {
  const modes: string[] = [];
  const faults: string[] = [];
  for (const mode of ['cpu', 'webasm', 'webgpu'] as const) {
    try {
      if (await runs(mode)) modes.push(mode);
      else faults.push(`${mode}: a wrong step`);
    } catch (error) {
      faults.push(`${mode}: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  if (modes.length === 0) return { modes, detail: faults[0]?.replace(/^cpu: /, '') ?? '' };
  return { modes, detail: [`a step in modes ${modes.join(', ')}`, ...faults].join('; ') };
}
