import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { drawWords, uniform } from '../random.ts';
import type { GroupedForm } from './grouped.ts';
import { groupedConv2d } from './grouped.ts';

const test = suite('impl-gpu/trainingKernels/grouped');

function numbers(shape: [number, number, number, number], step: number): tf.Tensor4D {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const words = drawWords({ seed: 6n, stream: 'augmentation', step }, 0, size);
  return tf.tensor4d(
    Float32Array.from(words, (word) => 2 * uniform(word) - 1),
    shape,
  );
}

interface Case {
  readonly x: [number, number, number, number];
  readonly filter: [number, number, number, number];
  readonly strides: number;
  readonly pad: 'same' | 'valid' | number;
  readonly groups: number;
}

const CASES: readonly Case[] = [
  { x: [2, 6, 5, 8], filter: [3, 3, 2, 12], strides: 1, pad: 1, groups: 4 },
  { x: [1, 7, 6, 6], filter: [3, 3, 3, 2], strides: 2, pad: 'same', groups: 2 },
  { x: [2, 5, 5, 4], filter: [1, 1, 1, 8], strides: 1, pad: 'valid', groups: 4 },
  { x: [1, 5, 5, 4], filter: [3, 3, 4, 6], strides: 2, pad: 1, groups: 1 },
];

/** y by group from dense convolutions of slices, and the gradients of sum(y^2), on the cpu backend: y and dy by hand for each group. */
async function expected(c: Case): Promise<Float32Array[]> {
  await useBackend('cpu');
  const tensors = tf.tidy(() => {
    const [x, filter] = [numbers(c.x, 1), numbers(c.filter, 2)];
    const [inputs, outputs] = [c.filter[2], c.filter[3] / c.groups];
    const rounding = typeof c.pad === 'number' ? ('floor' as const) : undefined;
    const groups = Array.from({ length: c.groups }, (_, g) => {
      const part = tf.slice(x, [0, 0, 0, g * inputs], [-1, -1, -1, inputs]);
      const kernel = tf.slice(filter, [0, 0, 0, g * outputs], [-1, -1, -1, outputs]);
      const convolve = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
        tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, c.strides, c.pad, 'NHWC', 1, rounding);
      const [dx, dFilter] = tf.grads((a, b) => tf.sum(tf.square(convolve(a, b))))([part, kernel]);
      return [convolve(part, kernel), dx, dFilter] as [tf.Tensor, tf.Tensor, tf.Tensor];
    });
    return ([0, 1, 2] as const).map((i) =>
      tf.concat(
        groups.map((group) => group[i]),
        3,
      ),
    );
  });
  const values = await Promise.all(tensors.map((t) => t.data<'float32'>()));
  tf.dispose(tensors);
  return values;
}

for (const backend of ['wasm', 'cpu', 'webgpu']) {
  for (const form of ['split', 'block-diagonal', 'depthwise', undefined] as (GroupedForm | undefined)[]) {
    test(`${backend}, ${form ?? 'the default form'}: values and gradients are those of each group by itself`, async () => {
      for (const c of CASES) {
        const right = await expected(c);
        await useBackend(backend);
        const before = tf.memory().numTensors;
        const tensors = tf.tidy(() => {
          const [x, filter] = [numbers(c.x, 1), numbers(c.filter, 2)];
          const run = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
            groupedConv2d(a as tf.Tensor4D, b as tf.Tensor4D, c.strides, c.pad, c.groups, form);
          return [run(x, filter), ...tf.grads((a, b) => tf.sum(tf.square(run(a, b))))([x, filter])];
        });
        const values = await Promise.all(tensors.map((t) => t.data<'float32'>()));
        tf.dispose(tensors);
        assert.is(tf.memory().numTensors, before);
        values.forEach((got, k) => {
          assert.is(got.length, right[k]?.length);
          got.forEach((value, i) => {
            const wanted = right[k]?.[i] as number;
            assert.ok(
              Math.abs(value - wanted) < 1e-4 * (1 + Math.abs(wanted)),
              `${k}, element ${i}: ${value}, ${wanted}`,
            );
          });
        });
      }
    });
  }
}

test('groups and channels that do not fit are refused by name', async () => {
  await useBackend('cpu');
  const x = tf.zeros<tf.Rank.R4>([1, 4, 4, 6]);
  const run = (filter: [number, number, number, number], groups: number, form?: GroupedForm) => (): tf.Tensor4D =>
    groupedConv2d(x, tf.zeros<tf.Rank.R4>(filter), 1, 'same', groups, form);
  assert.throws(run([3, 3, 2, 4], 3), /^groups must divide the filter's 4 output channels, got 3$/);
  assert.throws(run([3, 3, 2, 4], 0), /^groups must divide/);
  assert.throws(run([3, 3, 2, 4], 2), /^filter must take 6 \/ 2 input channels, got 2$/);
  assert.throws(
    run([3, 3, 3, 4], 2, 'fast' as GroupedForm),
    /^form must be one of split, block-diagonal, depthwise, got fast$/,
  );
});

test.run();
