/** What tfjs-wasm lacks for training, and what it does slowly. */
import { wasmHeap } from '../../tfjs/bridges/wasm.ts';
import { registerBatchNorm } from './batchNorm.ts';
import { registerConvolutions } from './conv2d.ts';
import { createConvolutions } from './convolution.ts';
import { createGemm } from './gemm.ts';
import { registerIdentity } from './identity.ts';
import { registerMatMul } from './matMul.ts';
import { createRuntime } from './runtime.ts';
import { registerUnsortedSegmentSum } from './segmentSum.ts';

/** Installs all wasm kernels; `threads` share large products. Must be called once a process. */
export function installWasmKernels(threads: number): void {
  const heap = wasmHeap();
  const runtime = createRuntime(heap, threads);
  const gemm = createGemm(runtime);
  registerIdentity();
  registerMatMul(heap, gemm);
  registerConvolutions(heap, createConvolutions(runtime, gemm));
  registerBatchNorm(runtime);
  registerUnsortedSegmentSum(heap);
}
