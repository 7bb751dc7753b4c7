/** Convolutions with channels first, for backends that know them last: pictures are turned there and back. */
import * as tf from '@tensorflow/tfjs';
import type { Kernel, KernelTable } from '../kernel.ts';
import type { Finish } from './fused.ts';
import { finish } from './fused.ts';
import { tensorOf } from './tensorOf.ts';

interface Attrs extends Finish {
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly pad: unknown;
  readonly inputShape?: readonly number[];
}

const TO_LAST = [0, 2, 3, 1];
const TO_FIRST = [0, 3, 1, 2];

/** The attributes of the same convolution with channels last. */
function channelsLast(attrs: Attrs): tf.NamedAttrMap {
  const moved = <T>(of: readonly T[]): T[] => TO_LAST.map((axis) => of[axis] as T);
  const { pad, inputShape } = attrs;
  return {
    ...attrs,
    dataFormat: 'NHWC',
    activation: 'linear',
    ...(Array.isArray(pad) ? { pad: moved<unknown>(pad) } : {}),
    ...(inputShape === undefined ? {} : { inputShape: moved(inputShape) }),
  } as unknown as tf.NamedAttrMap;
}

/** `pictures` names the inputs that are such; `returns`: the output is one too. */
const turned =
  (kernelName: string, pictures: readonly string[], returns: boolean): Kernel =>
  ({ inputs, attrs: given }) => {
    const attrs = given as Attrs;
    if (attrs.dataFormat !== 'NCHW') return undefined;
    const { bias, preluActivationWeights, ...rest } = inputs as Record<string, tf.TensorInfo>;
    return tf.tidy(() => {
      const operands = Object.entries(rest).map(([name, info]) => {
        const tensor = tensorOf(info);
        return [name, pictures.includes(name) ? tf.transpose(tensor, TO_LAST) : tensor];
      });
      const y = tf
        .engine()
        .runKernel(kernelName, Object.fromEntries(operands) as tf.NamedTensorMap, channelsLast(attrs)) as tf.Tensor;
      const out = returns ? tf.transpose(y, TO_FIRST) : y;
      const { activation = 'linear', leakyreluAlpha } = attrs;
      const more = {
        activation,
        bias: bias ?? null,
        preluActivationWeights: preluActivationWeights ?? null,
        ...(leakyreluAlpha === undefined ? {} : { leakyreluAlpha }),
      };
      return finish(out, more, true);
    });
  };

export const channelsFirstKernels: KernelTable = {
  Conv2D: turned('Conv2D', ['x'], true),
  FusedConv2D: turned('Conv2D', ['x'], true),
  Conv2DBackpropInput: turned('Conv2DBackpropInput', ['dy'], true),
  Conv2DBackpropFilter: turned('Conv2DBackpropFilter', ['x', 'dy'], false),
};
