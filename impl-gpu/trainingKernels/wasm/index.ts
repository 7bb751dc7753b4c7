/** What tfjs-wasm lacks for training, what it computes wrongly, and what it does slowly. */
import * as tf from '@tensorflow/tfjs';
import { wasmHeap } from '../../tfjs/bridges/wasm.ts';
import { batchNormKernels } from './batchNorm.ts';
import { convolutionKernels } from './conv2d.ts';
import { createConvolutions } from './convolution.ts';
import { createGemm } from './gemm.ts';
import { elementwiseKernels } from './elementwise.ts';
import { identityKernels } from './identity.ts';
import type { KernelTable } from './kernel.ts';
import { matMulKernels } from './matMul.ts';
import { poolKernels } from './pool.ts';
import { createKernelTeam, createRuntime } from './runtime.ts';
import { segmentSumKernels } from './segmentSum.ts';
import type { Team } from './team.ts';

/** All kernels for one backend's heap. */
function kernelsOn(backend: object, team: Team): KernelTable {
  const heap = wasmHeap(backend);
  const runtime = createRuntime(heap, team);
  const gemm = createGemm(runtime);
  return {
    ...identityKernels(heap),
    ...elementwiseKernels(heap),
    ...poolKernels(heap),
    ...matMulKernels(heap, gemm),
    ...convolutionKernels(heap, createConvolutions(runtime, gemm)),
    ...batchNormKernels(runtime),
    ...segmentSumKernels(heap),
  };
}

/**
 * Installs all wasm kernels; `threads` share large products. Must be called once a process, with the wasm backend running. The
 * kernels go along when it is disposed of and started again: each backend has its own heap.
 */
export function installWasmKernels(threads: number): void {
  const team = createKernelTeam(threads);
  const tables = new WeakMap<object, KernelTable>();
  const tableOf = (backend: object): KernelTable => {
    const table = tables.get(backend) ?? kernelsOn(backend, team);
    tables.set(backend, table);
    return table;
  };
  for (const kernelName of Object.keys(tableOf(tf.backend()))) {
    const stock = tf.getKernel(kernelName, 'wasm') as tf.KernelConfig | undefined;
    if (stock !== undefined) tf.unregisterKernel(kernelName, 'wasm');
    tf.registerKernel({
      // tfjs's own set-up, which it repeats for each new backend, must go on: cases that are not ours come to its kernel.
      ...stock,
      kernelName,
      backendName: 'wasm',
      kernelFunc: (args) => {
        const { inputs, attrs, backend } = args;
        const out = tableOf(backend)[kernelName]?.({ inputs, attrs });
        if (out !== undefined) return out;
        if (stock !== undefined) return stock.kernelFunc(args);
        throw new Error(`${kernelName} on the wasm backend takes float32 tensors in NHWC layout, none of them empty`);
      },
    });
  }
}
