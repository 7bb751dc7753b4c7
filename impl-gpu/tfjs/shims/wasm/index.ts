/** What tfjs-wasm lacks for training, and what it does slowly. */
import { wasmHeap } from '../../bridges/wasm.ts';
import { createGemm } from './gemm.ts';
import { registerIdentity } from './identity.ts';
import { registerMatMul } from './matMul.ts';

/** Installs all wasm shims; `threads` share large products. Must be called once a process. */
export function installWasmShims(threads: number): void {
  const heap = wasmHeap();
  const gemm = createGemm(heap, threads);
  registerIdentity();
  registerMatMul(heap, gemm);
}
