/**
 * What not every bundle carries. Whoever brings gpu.js (`loadGpuJs`), TensorFlow (`useTensorflow`) or the kinds of mask (`useMasks`; both of
 * the last come with the package's entry for Node) registers theirs here; `import { adam }` for a browser leaves them out.
 */
import type * as tf from '@tensorflow/tfjs';
import type { Mask } from '../../engines/plan.ts';
import type { MaskRequest } from '../../masks/resolve.ts';
import type { Position } from '../../random.ts';
import type { Stepper } from './stepper.ts';

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
}

const registered: Partial<Extensions> = {};

/** Registers an extension; a second time changes nothing. */
export function extend<Name extends keyof Extensions>(name: Name, extension: Extensions[Name]): void {
  registered[name] ??= extension;
}

/** An extension, if it has been registered. */
export function extension<Name extends keyof Extensions>(name: Name): Partial<Extensions>[Name] {
  return registered[name];
}
