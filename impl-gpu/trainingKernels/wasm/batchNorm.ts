/** Kernels of `batchNormTraining` for tfjs-wasm: three passes over memory each way, where core operations take a dozen. */
import * as tf from '@tensorflow/tfjs';
import { sizeOf } from '../../shape.ts';
import type { BatchNormAttrs } from '../batchNorm.ts';
import { BATCH_NORM_KERNELS } from '../batchNorm.ts';
import type { Runtime } from './runtime.ts';

interface Args<Names extends string> {
  readonly inputs: Readonly<Record<Names, tf.TensorInfo>>;
  readonly attrs: BatchNormAttrs;
}

function register<Names extends string>(kernelName: string, kernel: (args: Args<Names>) => tf.TensorInfo[]): void {
  tf.registerKernel({ kernelName, backendName: 'wasm', kernelFunc: (args) => kernel(args as unknown as Args<Names>) });
}

export function registerBatchNorm({ heap, kernels, scratch }: Pick<Runtime, 'heap' | 'kernels' | 'scratch'>): void {
  const at = (tensor: tf.TensorInfo | undefined): number => (tensor === undefined ? 0 : heap.input(tensor));
  const room = (channels: number): number => scratch('scratch', kernels.batchNormScratch(channels));

  register<'x' | 'scale' | 'offset' | 'residual'>(BATCH_NORM_KERNELS.forward, ({ inputs, attrs }) => {
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

  register<'dy' | 'x' | 'y' | 'scale' | 'mean' | 'variance'>(BATCH_NORM_KERNELS.backward, ({ inputs, attrs }) => {
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
}
