/** What a backend computes wrongly and nobody trains with: refused by name. */
import type { KernelTable } from './kernel.ts';

type Sizes = number | readonly number[];

const list = (value: Sizes): readonly number[] => (typeof value === 'number' ? [value, value, value] : value);

function refuseWidePools(kernelName: string): KernelTable {
  return {
    [kernelName]: ({ attrs }) => {
      const { filterSize, strides, pad } = attrs as Record<'filterSize' | 'strides', Sizes> & { readonly pad: unknown };
      const [taps, steps] = [list(filterSize), list(strides)];
      if (pad === 'same' && steps.some((step, axis) => step > (taps[axis] as number))) {
        throw new Error(
          `${kernelName} with padding 'same' and strides [${steps}] larger than the window [${taps}] is computed wrongly on this backend: use 'valid'`,
        );
      }
      return undefined;
    },
  };
}

/** Pools in three dimensions with padding 'same' whose stride is larger than their window: the windows lie elsewhere. */
export const widePools: KernelTable = Object.assign(
  {},
  ...['MaxPool3D', 'AvgPool3D', 'MaxPool3DGrad', 'AvgPool3DGrad'].map(refuseWidePools),
) as KernelTable;
