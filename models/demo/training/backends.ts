/** Which of tfjs's backends this browser brings up, and which one is the best. */
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { diagnoseGpu } from 'learning-rate-dropout/gpu';
import type { GpuDiagnosis } from 'learning-rate-dropout/gpu';
import { enableTraining, useWebGpu } from 'learning-rate-dropout';
import type { Backend, BackendReport } from './messages.ts';
import { BACKENDS } from './messages.ts';

export interface BackendInUse {
  readonly backend: Backend;
  readonly on: string;
  readonly why: string;
  readonly others: readonly BackendReport[];
}

/** What a look around found. */
interface Findings {
  readonly gpu: GpuDiagnosis;
  readonly missing: Readonly<Record<Backend, string | undefined>>;
  readonly webgl: string;
}

/** The name of WebGL's renderer, or why there is none. */
function lookForWebGl(): { readonly renderer: string; readonly missing: string | undefined } {
  const none = (missing: string): ReturnType<typeof lookForWebGl> => ({ renderer: '', missing });
  if (typeof OffscreenCanvas === 'undefined') return none('this browser has no canvas in workers');
  const context = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (context === null) return none('this browser has no WebGL 2');
  if (context.getExtension('EXT_color_buffer_float') === null) return none('this GPU writes no 32-bit textures');
  const information = context.getExtension('WEBGL_debug_renderer_info');
  const name = context.getParameter(information?.UNMASKED_RENDERER_WEBGL ?? context.RENDERER) as unknown;
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return { renderer: String(name), missing: undefined };
}

/** An empty module with one function that returns a SIMD vector. */
const SIMD = [
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
];

async function lookAround(): Promise<Findings> {
  const gpu = await diagnoseGpu();
  const webgl = lookForWebGl();
  const simd = typeof WebAssembly === 'object' && WebAssembly.validate(Uint8Array.from(SIMD));
  return {
    gpu,
    webgl: webgl.renderer,
    missing: {
      webgpu: gpu.chosen === undefined ? gpu.attempts.map(({ outcome }) => outcome).join('; ') : undefined,
      wasm: simd ? undefined : 'this browser has no WebAssembly with SIMD',
      webgl: webgl.missing,
      cpu: undefined,
    },
  };
}

let looked: Promise<Findings> | undefined;

/** Takes note of where tfjs-wasm's binary is. One binary travels with the page; tfjs wants a place for all three. */
export function setWasmUrl(url: string): void {
  tf.enableProdMode();
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths({
    'tfjs-backend-wasm.wasm': url,
    'tfjs-backend-wasm-simd.wasm': url,
    'tfjs-backend-wasm-threaded-simd.wasm': url,
  });
}

/** The best backend and why: a hardware GPU by WebGPU, else WASM, which beats a GPU whose memory must be read back for each step. */
function choose({ gpu, missing }: Findings): { readonly backend: Backend; readonly why: string } {
  if (gpu.chosen?.adapter?.software === false)
    return { backend: 'webgpu', why: 'chosen because it is the fastest here' };
  const without =
    missing.webgpu === undefined
      ? `WebGPU is only a ${gpu.chosen?.outcome ?? 'software adapter'}, which is slower`
      : `there is no WebGPU: ${missing.webgpu}`;
  const backend = BACKENDS.find((name) => name !== 'webgpu' && missing[name] === undefined) ?? 'cpu';
  return { backend, why: `chosen because ${without}` };
}

/**
 * Makes a backend tfjs's own, or the best one.
 *
 * @throws Error with the reason when it does not come up
 */
export async function useBackend(name: Backend | 'auto'): Promise<BackendInUse> {
  const findings = await (looked ??= lookAround());
  const { backend, why } = name === 'auto' ? choose(findings) : { backend: name, why: 'chosen by you' };
  const missing = findings.missing[backend];
  if (missing !== undefined) throw new Error(`${backend} does not run here: ${missing}`);
  if (backend === 'webgpu') await useWebGpu();
  else await tf.setBackend(backend);
  await tf.ready();
  // tfjs falls back to another backend without a word.
  if (tf.getBackend() !== backend) throw new Error(`${backend} did not start; tfjs took ${tf.getBackend()}`);
  enableTraining();
  const on: Readonly<Record<Backend, string>> = {
    webgpu: findings.gpu.chosen?.outcome ?? '',
    wasm: 'the CPU, with SIMD, one thread',
    webgl: findings.webgl,
    cpu: 'the CPU, in plain JavaScript',
  };
  const others = BACKENDS.map((one): BackendReport => ({ backend: one, missing: findings.missing[one] }));
  return { backend, on: on[backend], why, others };
}
