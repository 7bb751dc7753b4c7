import * as tf from '@tensorflow/tfjs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { registerWasmMatMul } from '../impl-gpu/tfjs/shims/wasmMatMul.ts';
import { JobError, unknownName } from './errors.ts';

/** Names that `--backend` takes. */
export const BACKENDS = ['auto', 'wasm', 'cpu'] as const;
export type BackendName = (typeof BACKENDS)[number];

let shimmed = false;

async function useWasm(): Promise<void> {
  const require = createRequire(import.meta.url);
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
  if (!(await tf.setBackend('wasm'))) throw new JobError('--backend wasm: the backend did not start');
  if (!shimmed) registerWasmMatMul();
  shimmed = true;
}

/** Starts a tfjs backend. `auto` takes the fastest that this machine has. Returns the name of the one that runs. */
export async function useBackend(name: string): Promise<Exclude<BackendName, 'auto'>> {
  if (!(BACKENDS as readonly string[]).includes(name)) throw unknownName('--backend', name, BACKENDS);
  // Without this, tfjs checks every value and prints an advertisement for another backend.
  tf.enableProdMode();
  const chosen = name === 'cpu' ? 'cpu' : 'wasm';
  if (chosen === 'wasm') await useWasm();
  else await tf.setBackend('cpu');
  await tf.ready();
  // tfjs falls back to another backend without a word: never train on one that was not asked for.
  if (tf.getBackend() !== chosen) throw new JobError(`--backend ${chosen}: tfjs started ${tf.getBackend()} instead`);
  return chosen;
}
