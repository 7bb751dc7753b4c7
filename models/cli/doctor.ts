import * as tf from '@tensorflow/tfjs';
import { diagnoseGpu } from 'learning-rate-dropout/gpu';
import type { GpuDiagnosis } from 'learning-rate-dropout/gpu';
import { installationFolder, tensorflowAdvice, tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import { useBackend } from '../backend.ts';
import { BACKENDS } from '../backendNames.ts';
import type { BackendName } from '../backendNames.ts';
import { describeEnvironment } from '../runs/environment.ts';
import { probeGpuJs } from './doctorGpuJs.ts';
import { columnsOf, entries } from '../terminal.ts';
import { verifyApart } from './setup.ts';
import type { DOCTOR } from './table/judge.ts';
import type { Call } from './table/row.ts';

interface Finding {
  readonly backend: string;
  readonly runs: boolean;
  readonly detail: string;
}

/** A process has one TensorFlow: the one for GPUs is tried in another. */
async function probeNodeGpu(): Promise<Finding> {
  const missing = tensorflowMissing('node-gpu');
  if (missing !== undefined) return { backend: 'node-gpu', runs: false, detail: missing };
  try {
    const detail = await verifyApart(installationFolder('node-gpu'), 'node-gpu');
    return { backend: 'node-gpu', runs: detail.includes('on the GPU'), detail };
  } catch (error) {
    return { backend: 'node-gpu', runs: false, detail: (error as Error).message };
  }
}

/** Why `auto` took what it took. */
function whyAuto(auto: string): string {
  switch (auto) {
    case 'webgpu':
      return 'there is a hardware GPU';
    case 'node':
      return 'no hardware GPU was found, and TensorFlow is installed: its convolutions are the fastest on a processor';
    default:
      return `no hardware GPU was found; TensorFlow, whose convolutions are faster than wasm's (lrd bench resnet34), is not installed: ${tensorflowAdvice('node')}`;
  }
}

async function probe(name: BackendName): Promise<Finding> {
  if (name === 'node-gpu') return probeNodeGpu();
  try {
    await useBackend(name);
    const start = performance.now();
    const product = tf.tidy(() => tf.matMul(tf.ones([512, 512]), tf.ones([512, 512])));
    const [value] = await product.data();
    product.dispose();
    const ok = value === 512;
    const ms = (performance.now() - start).toFixed(0);
    return { backend: name, runs: ok, detail: ok ? `512 x 512 product in ${ms} ms` : `wrong product: ${value}` };
  } catch (error) {
    return { backend: name, runs: false, detail: (error as Error).message };
  }
}

type Row = readonly [name: string, value: string];

/** What was found on the way to a WebGPU adapter, what was chosen and why, and how to get what is missing. */
function gpuRows({ attempts, chosen, why, advice, limits }: GpuDiagnosis): Row[] {
  return [
    ...attempts.map(({ source, outcome }): Row => ['webgpu found', `${source}: ${outcome}`]),
    ['webgpu uses', `${chosen === undefined ? 'nothing' : chosen.source}: ${why}`],
    ...Object.entries(limits ?? {}).map(([name, value]): Row => ['webgpu limit', `${name} ${value}`]),
    ...advice.map((sentence): Row => ['advice', sentence]),
  ];
}

/** `lrd doctor [--json]`: what runs here, which versions, and what `--backend auto` takes. */
export async function doctorCommand({ options }: Call<typeof DOCTOR>): Promise<void> {
  const gpu = await diagnoseGpu();
  const backends: Finding[] = [];
  for (const name of BACKENDS) if (name !== 'auto') backends.push(await probe(name));
  const auto = await useBackend('auto');
  const environment = describeEnvironment(auto);
  const gpujs = await probeGpuJs();
  if (options.json) {
    console.log(JSON.stringify({ environment, backends, auto, webgpu: gpu, gpujs }, null, 2));
    return;
  }
  const does = (runs: boolean, detail: string): string => `${runs ? 'runs' : 'does not run'}: ${detail}`;
  const rows: Row[] = [
    ...Object.entries(environment).map(([name, value]): Row => [name, String(value)]),
    ...backends.map(({ backend, runs, detail }): Row => [backend, does(runs, detail)]),
    ['gpu.js', does(gpujs.modes.length > 0, gpujs.detail)],
    ...gpuRows(gpu),
    ['auto', `takes ${auto}: ${whyAuto(auto)}`],
  ];
  console.log(entries(rows, columnsOf()));
}
