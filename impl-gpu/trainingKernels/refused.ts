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

/**
 * Pools without padding whose rounding mode asks for more windows than rounding down gives: the mode is passed over. With padding in pixels
 * the backend refuses by itself.
 */
function refuseRounding(kernelName: string): KernelTable {
  return {
    [kernelName]: ({ inputs, attrs }) => {
      const { filterSize, strides, pad, dimRoundingMode } = attrs as Record<'filterSize' | 'strides', Sizes> & {
        readonly pad: unknown;
        readonly dimRoundingMode?: string;
      };
      if (pad !== 0 || (dimRoundingMode !== 'ceil' && dimRoundingMode !== 'round')) return undefined;
      const extents = inputs['x']?.shape.slice(1, -1) ?? [];
      const more = extents.some((extent, axis) => {
        const windows = (extent - (list(filterSize)[axis] as number)) / (list(strides)[axis] as number);
        return Math[dimRoundingMode](windows) > Math.floor(windows);
      });
      if (more) throw new Error(`${kernelName} on this backend takes no dimRoundingMode '${dimRoundingMode}' here`);
      return undefined;
    },
  };
}

/** The pools that have no kernel of this project here. */
export const roundedPools: KernelTable = Object.assign(
  {},
  ...['AvgPool', 'AvgPool3D', 'MaxPool3D'].map(refuseRounding),
) as KernelTable;

/** Pools in three dimensions with padding 'same' whose stride is larger than their window: the windows lie elsewhere. */
export const widePools: KernelTable = Object.assign(
  {},
  ...['MaxPool3D', 'AvgPool3D', 'MaxPool3DGrad', 'AvgPool3DGrad'].map(refuseWidePools),
) as KernelTable;
