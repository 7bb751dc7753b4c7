/** What tfjs-wasm lacks for training, what it computes wrongly, and what it does slowly. */
import type * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { WasmHeap } from '../../tfjs/bridges/wasm.ts';
import { wasmHeap } from '../../tfjs/bridges/wasm.ts';
import type { Memory } from '../loops/memory.ts';
import { batchNormKernels } from './batchNorm.ts';
import { convolutionKernels } from './conv2d.ts';
import { createConvolutions } from './convolution.ts';
import { createGemm } from './gemm.ts';
import { elementwiseKernels } from './elementwise.ts';
import { identityKernels } from './identity.ts';
import type { KernelTable } from '../kernel.ts';
import { channelsFirstKernels } from '../composed/layout.ts';
import { installTable } from '../kernel.ts';
import { matMulKernels } from './matMul.ts';
import { loopKernels } from '../loops/index.ts';
import { cropKernels } from '../composed/crop.ts';
import { preluKernels } from '../composed/prelu.ts';
import { cumulativeKernels } from '../composed/axes.ts';
import { composedKernels } from '../composed/index.ts';
import { emptyReductionKernels } from '../composed/reductions.ts';
import type { KernelTeam } from './runtime.ts';
import { createKernelTeam, createRuntime } from './runtime.ts';
import { indexKernels } from './indices.ts';
import { numberTypeKernels } from './numberTypes.ts';
import { segmentSumKernels } from './segmentSum.ts';

/** The heap as loops see it. */
function heapMemory(heap: WasmHeap): Memory {
  const view = (tensor: tf.TensorInfo): Float32Array =>
    new Float32Array(heap.memory.buffer, heap.input(tensor), sizeOf(tensor.shape));
  return {
    compute: (shape, inputs, loop) => {
      const out = heap.makeOutput(shape);
      // All places first: bringing an input over may grow the heap, and views made before would be detached.
      for (const input of inputs) heap.input(input);
      loop(view(out), ...inputs.map(view));
      return out;
    },
  };
}

/** All kernels for one backend's heap. */
function kernelsOn(backend: object, team: KernelTeam): KernelTable {
  const heap = wasmHeap(backend);
  const runtime = createRuntime(heap, team);
  const gemm = createGemm(runtime);
  return {
    ...identityKernels(heap),
    ...elementwiseKernels(heapMemory(heap)),
    ...composedKernels,
    ...cumulativeKernels(),
    ...preluKernels,
    ...loopKernels(heapMemory(heap)),
    ...matMulKernels(heap, gemm),
    ...convolutionKernels(heap, createConvolutions(runtime, gemm)),
    ...batchNormKernels(runtime),
    ...segmentSumKernels(heap),
  };
}

/** Installs all wasm kernels; `threads` share large products, `relaxed` ones may be rounded less often. Must be called once a process, with the wasm backend running. */
export function installWasmKernels(threads: number, relaxed: boolean): void {
  const team = createKernelTeam(threads, relaxed);
  installTable('wasm', (backend) => kernelsOn(backend, team));
  installTable('wasm', () => channelsFirstKernels);
  installTable('wasm', () => ({ ...numberTypeKernels, ...indexKernels, ...cropKernels }));
  installTable('wasm', () => emptyReductionKernels);
}
