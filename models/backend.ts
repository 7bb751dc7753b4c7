import * as tf from '@tensorflow/tfjs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { tensorflowMissing } from 'learning-rate-dropout/tensorflow';
import { enableTraining, useTensorflow, useWebGpu } from 'learning-rate-dropout';
import type { TrainingOptions } from 'learning-rate-dropout';
import { UnsupportedError } from 'learning-rate-dropout/internal';
import { BACKENDS } from './backendNames.ts';
import type { BackendName } from './backendNames.ts';
import { JobError, unknownName } from './errors.ts';

type Running = Exclude<BackendName, 'auto'>;

async function useWasm(): Promise<void> {
  const require = createRequire(import.meta.url);
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  if (!(await tf.setBackend('wasm'))) throw new JobError('--backend wasm: the backend did not start');
}

/** Opens WebGPU on an adapter of that kind. A missing adapter is an error that says what was tried and what to do. */
async function startWebGpu(kind: 'auto' | 'hardware'): Promise<void> {
  try {
    await useWebGpu(kind);
  } catch (error) {
    if (error instanceof UnsupportedError) throw new JobError(`--backend webgpu: ${error.message}`);
    throw error;
  }
}

/** Loads TensorFlow. Where it is missing, the error says what was tried and how to get it. */
async function startTensorflow(lane: 'node' | 'node-gpu'): Promise<void> {
  try {
    await useTensorflow(lane);
  } catch (error) {
    if (error instanceof UnsupportedError) throw new JobError(`--backend ${lane}: ${error.message}`);
    throw error;
  }
}

/**
 * A hardware GPU where there is one, else TensorFlow where it is installed, whose convolutions are the fastest on a processor,
 * else WASM: a software adapter is far slower than any.
 */
async function startBest(): Promise<Running> {
  try {
    await useWebGpu('hardware');
    return 'webgpu';
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
  }
  if (tensorflowMissing('node') === undefined) {
    try {
      await useTensorflow('node');
      return 'node';
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error;
    }
  }
  await useWasm();
  return 'wasm';
}

/** tfjs's own name of what runs. */
function tfjsName(backend: Running): string {
  return backend === 'node' || backend === 'node-gpu' ? 'tensorflow' : backend;
}

/** Throws a `UsageError` for a name that `--backend` does not take. Starts nothing. */
export function checkBackendName(name: string): asserts name is BackendName {
  if (!(BACKENDS as readonly string[]).includes(name)) throw unknownName('--backend', name, BACKENDS);
}

/** Why a backend was taken: it was asked for, or it is what `auto` takes here. */
export function whyBackend(asked: string, taken: string): string {
  if (asked !== 'auto') return 'as asked for';
  switch (taken) {
    case 'webgpu':
      return 'there is a hardware GPU';
    case 'node':
      return 'no hardware GPU was found, and TensorFlow is installed: its convolutions are the fastest on a processor';
    default:
      return 'no hardware GPU was found, and TensorFlow is not installed; lrd doctor says how to get it';
  }
}

/**
 * Starts a tfjs backend. `auto` takes the fastest that this machine has; The options are those of `enableTraining`. Returns the
 * name of the one that runs.
 */
export async function useBackend(name: string, options: TrainingOptions = {}): Promise<Running> {
  checkBackendName(name);
  // Without this, tfjs checks every value and prints an advertisement for another backend.
  tf.enableProdMode();
  let chosen: BackendName = name;
  if (chosen === 'auto') chosen = await startBest();
  else if (chosen === 'webgpu') await startWebGpu('auto');
  else if (chosen === 'wasm') await useWasm();
  else if (chosen === 'node' || chosen === 'node-gpu') await startTensorflow(chosen);
  else await tf.setBackend('cpu');
  await tf.ready();
  // tfjs falls back to another backend without a word: never train on one that was not asked for.
  if (tf.getBackend() !== tfjsName(chosen))
    throw new JobError(`--backend ${chosen}: tfjs started ${tf.getBackend()} instead`);
  enableTraining(options);
  return chosen;
}
