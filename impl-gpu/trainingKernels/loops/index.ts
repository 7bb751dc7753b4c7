/** Kernels as plain loops, for backends whose tensors JavaScript can read in place. */
import type { KernelTable } from '../kernel.ts';
import { dilationKernels } from './dilation.ts';
import type { Memory } from './memory.ts';
import { poolKernels } from './pool.ts';
import { resizeKernels } from './resize.ts';

/** `stockPools`: the backend's own pools over a plane are fast and right in common cases. */
export function loopKernels(memory: Memory, stockPools = true): KernelTable {
  return { ...poolKernels(memory, stockPools), ...resizeKernels(memory), ...dilationKernels(memory) };
}
