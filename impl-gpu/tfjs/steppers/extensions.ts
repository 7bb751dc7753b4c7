/**
 * What of the steppers not every bundle carries. Whoever brings gpu.js (`loadGpuJs`), TensorFlow (`useTensorflow`), the kinds of mask
 * (`useMasks`) or SGD along a mean of gradients (`sgdmAvg`) registers theirs here; all but gpu.js come with the package's entry for Node.
 * `import { adam }` for a browser leaves them out.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Mask } from '../../engines/plan.ts';
import type { MaskRequest } from '../../masks/resolve.ts';
import type { Position } from '../../random.ts';
import { createRegistry } from './registry.ts';
import type { AverageEntry, Stepper } from './stepper.ts';

/** What can be registered. */
export interface Extensions {
  /** gpu.js kernels, for a backend of tfjs by its name. */
  readonly gpujs: { readonly stepper: (backend: string) => Stepper };
  /** TensorFlow's operations, for the backend `tensorflow`. */
  readonly tensorflow: {
    readonly stepper: () => Stepper;
    /** Draws as `keptTensor` does. `size` is at least 1, the threshold below 65536. */
    readonly keptTensor: (
      position: Position,
      base: number,
      like: Pick<tf.Tensor, 'shape' | 'size'>,
      threshold: number,
    ) => tf.Tensor;
  };
  /** The kinds of mask beside learning rate dropout's own. */
  readonly masks: { readonly resolveMask: (request: MaskRequest) => Mask };
  /** `sgdm-avg` in operations of tfjs. */
  readonly average: {
    readonly averageStep: (seed: bigint, step: number, entries: readonly AverageEntry[]) => void;
    readonly checkRing: (window: number, elements: number) => void;
  };
}

export const { extend, extension, needed } = createRegistry<Extensions>({
  gpujs: 'await loadGpuJs()',
  masks: 'useMasks()',
});
