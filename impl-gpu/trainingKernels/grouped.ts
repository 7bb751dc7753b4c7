/** Grouped convolution, which tfjs has on no backend, from operations that all have, gradients included. */
import * as tf from '@tensorflow/tfjs';
import { InvalidArgumentError } from '../validate.ts';

/**
 * How a grouped convolution is computed; all forms give the same values but for rounding.
 *
 * - `split`: one convolution a group, then `concat`. No wasted work, but three kernels a group in training.
 * - `block-diagonal`: one dense convolution with the filter padded with zeros: `groups` times the multiplications and the filter's memory, in
 *   one fast kernel.
 * - `depthwise`: a depthwise convolution, then sums over each group's channels: no wasted work, but the output before the sums is
 *   channels / groups times as large.
 */
export type GroupedForm = 'split' | 'block-diagonal' | 'depthwise';

const FORMS: readonly GroupedForm[] = ['split', 'block-diagonal', 'depthwise'];

/** What was fastest, forward and backward, at ResNeXt's sizes (128 channels in 32 groups). Elsewhere: what suits a GPU. */
const BEST: Readonly<Record<string, GroupedForm>> = { cpu: 'depthwise', wasm: 'depthwise' };

function split(x: tf.Tensor4D, filter: tf.Tensor4D, strides: Pair, pad: Pad, groups: number): tf.Tensor4D {
  const parts = tf.split<tf.Tensor4D>(x, groups, 3).map((part, i) => {
    const width = filter.shape[3] / groups;
    return tf.conv2d(
      part,
      tf.slice(filter, [0, 0, 0, i * width], [-1, -1, -1, width]),
      strides,
      pad,
      'NHWC',
      1,
      rounding(pad),
    );
  });
  return tf.concat4d(parts, 3);
}

function blockDiagonal(x: tf.Tensor4D, filter: tf.Tensor4D, strides: Pair, pad: Pad, groups: number): tf.Tensor4D {
  const [height, width, inputs, outputs] = filter.shape;
  // mask[g, o] says that output channel o belongs to group g.
  const mask = tf.reshape(tf.tile(tf.expandDims(tf.eye(groups), 2), [1, 1, outputs / groups]), [
    1,
    1,
    groups,
    1,
    outputs,
  ]);
  const dense = tf.mul(tf.reshape(filter, [height, width, 1, inputs, outputs]), mask);
  const square: tf.Tensor4D = tf.reshape(dense, [height, width, groups * inputs, outputs]);
  return tf.conv2d(x, square, strides, pad, 'NHWC', 1, rounding(pad));
}

function depthwise(x: tf.Tensor4D, filter: tf.Tensor4D, strides: Pair, pad: Pad, groups: number): tf.Tensor4D {
  const [height, width, inputs, outputs] = filter.shape;
  const multiplier = outputs / groups;
  const byGroup = tf.transpose(tf.reshape(filter, [height * width, inputs, groups, multiplier]), [0, 2, 1, 3]);
  const each: tf.Tensor4D = tf.reshape(byGroup, [height, width, groups * inputs, multiplier]);
  const y = tf.depthwiseConv2d(x, each, strides, pad, 'NHWC', 1, rounding(pad));
  const [batch, rows, columns] = y.shape;
  const sums = tf.sum(tf.reshape(y, [batch * rows * columns, groups, inputs, multiplier]), 2);
  return tf.reshape(sums, [batch, rows, columns, outputs]);
}

type Pair = number | [number, number];
type Pad = 'valid' | 'same' | number;

/** tfjs wants to be told how to round when padding is a number; PyTorch rounds down. */
function rounding(pad: Pad): 'floor' | undefined {
  return typeof pad === 'number' ? 'floor' : undefined;
}

/**
 * 2-D convolution in groups, as PyTorch's `Conv2d(groups=...)`: output channels [g O / groups, (g + 1) O / groups) see the input channels
 * [g C / groups, (g + 1) C / groups) only. Differentiable in x and filter.
 *
 * x: [batch, height, width, C]. filter: [height, width, C / groups, O]. Returns [batch, height', width', O]. `form` is the fastest known on
 * the current backend unless given. Throws `InvalidArgumentError` when channels and groups do not fit or the form is unknown.
 */
export function groupedConv2d(
  x: tf.Tensor4D,
  filter: tf.Tensor4D,
  strides: Pair,
  pad: Pad,
  groups: number,
  form: GroupedForm = BEST[tf.getBackend()] ?? 'block-diagonal',
): tf.Tensor4D {
  const channels = x.shape[3];
  const [, , inputs, outputs] = filter.shape;
  if (!Number.isInteger(groups) || groups < 1 || outputs % groups !== 0) {
    throw new InvalidArgumentError(`groups must divide the filter's ${outputs} output channels, got ${groups}`);
  }
  if (inputs * groups !== channels) {
    throw new InvalidArgumentError(`filter must take ${channels} / ${groups} input channels, got ${inputs}`);
  }
  if (!FORMS.includes(form)) throw new InvalidArgumentError(`form must be one of ${FORMS.join(', ')}, got ${form}`);
  if (groups === 1) return tf.conv2d(x, filter, strides, pad, 'NHWC', 1, rounding(pad));
  const run = { split, 'block-diagonal': blockDiagonal, depthwise }[form];
  return tf.tidy(() => run(x, filter, strides, pad, groups));
}
