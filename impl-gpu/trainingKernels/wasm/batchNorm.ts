/** Kernels of `batchNormTraining` for tfjs-wasm: three passes over memory each way, where core operations take a dozen. */
import type * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { BatchNormAttrs } from '../batchNorm.ts';
import { BATCH_NORM_KERNELS } from '../batchNorm.ts';
import type { Kernel, KernelTable } from '../kernel.ts';
import type { Runtime } from './runtime.ts';

interface Args<Names extends string> {
  readonly inputs: Readonly<Record<Names, tf.TensorInfo>>;
  readonly attrs: BatchNormAttrs;
}

/** Says which inputs a kernel has. */
function typed<Names extends string>(kernel: (args: Args<Names>) => tf.TensorInfo[]): Kernel {
  return (args) => kernel(args as Args<Names>);
}

export function batchNormKernels({
  heap,
  kernels,
  scratch,
}: Pick<Runtime, 'heap' | 'kernels' | 'scratch'>): KernelTable {
  const at = (tensor: tf.TensorInfo | undefined): number => (tensor === undefined ? 0 : heap.input(tensor));
  const room = (channels: number): number => scratch('scratch', kernels.batchNormScratch(channels));

  const forward = typed<'x' | 'scale' | 'offset' | 'residual'>(({ inputs, attrs }) => {
    const { x, scale, offset, residual } = inputs;
    const { epsilon, relu } = attrs;
    const channels = sizeOf(scale.shape);
    const outputs = [x.shape, [channels], [channels]].map((shape) => heap.makeOutput(shape));
    kernels.batchNormForward(
      ...[x, scale, offset, attrs.residual ? residual : undefined, ...outputs].map(at),
      sizeOf(x.shape) / channels,
      channels,
      epsilon,
      Number(relu),
      room(channels),
    );
    return outputs;
  });

  const backward = typed<'dy' | 'x' | 'y' | 'scale' | 'mean' | 'variance'>(({ inputs, attrs }) => {
    const { dy, x, y, scale, mean, variance } = inputs;
    const { epsilon, relu, residual } = attrs;
    const channels = sizeOf(scale.shape);
    const outputs = [x.shape, [channels], [channels], ...(residual ? [x.shape] : [])].map((shape) =>
      heap.makeOutput(shape),
    );
    const [dx, dscale, doffset, dresidual] = outputs;
    kernels.batchNormBackward(
      ...[dy, x, relu ? y : undefined, scale, mean, variance, dx, dscale, doffset, dresidual].map(at),
      sizeOf(x.shape) / channels,
      channels,
      epsilon,
      room(channels),
    );
    return outputs;
  });

  return { [BATCH_NORM_KERNELS.forward]: forward, [BATCH_NORM_KERNELS.backward]: backward };
}
