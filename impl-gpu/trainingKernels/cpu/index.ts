/** What tfjs's cpu backend computes wrongly. */
import { sizeOf } from '../../shape.ts';
import { cpuStorage } from '../../tfjs/bridges/cpu.ts';
import { cumulativeKernels } from '../composed/axes.ts';
import { cropKernels } from '../composed/crop.ts';
import { composedKernels } from '../composed/index.ts';
import { depthToSpaceKernels } from '../composed/depthToSpace.ts';
import { matMulKernels } from '../composed/matMul.ts';
import { installTable } from '../kernel.ts';
import { loopKernels } from '../loops/index.ts';
import type { Memory } from '../loops/memory.ts';

const memory: Memory = {
  compute: (shape, inputs, loop) => {
    const storage = cpuStorage();
    const out = new Float32Array(sizeOf(shape));
    loop(out, ...inputs.map((input) => storage.input(input)));
    return storage.make(shape, out);
  },
};

/** Installs all kernels of ours on the cpu backend, which must be running. Once a process. */
export function installCpuKernels(): void {
  installTable('cpu', () => ({
    ...composedKernels,
    ...cropKernels,
    ...cumulativeKernels(),
    ...matMulKernels,
    ...depthToSpaceKernels,
    ...loopKernels(memory, false),
  }));
}
