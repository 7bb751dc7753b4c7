import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { useBackend } from '../../models/backend.ts';
import { tensorflowMissing } from '../tensorflow/load.ts';
import { denseTraining } from './dense.ts';

const test = suite('impl-gpu/trainingKernels/dense');
const missing = tensorflowMissing('node');

/** Whole numbers, of which sums and products are exact. */
const whole = <R extends tf.Rank>(shape: number[], seed: number): tf.Tensor<R> =>
  tf.tidy(() => tf.round(tf.randomUniform<R>(shape as tf.ShapeMap[R], -2, 2, 'float32', seed)));

const plain = (x: tf.Tensor2D, weight: tf.Tensor2D, bias: tf.Tensor1D, relu: boolean): tf.Tensor2D => {
  const sum = tf.add<tf.Tensor2D>(tf.matMul(x, weight), bias);
  return relu ? tf.relu(sum) : sum;
};

/** Shape, then values, -0 as 0. */
const shown = (tensors: readonly tf.Tensor[]): readonly (readonly number[])[] =>
  tensors.map((tensor) => [...tensor.shape, ...[...tensor.dataSync()].map((value) => value + 0)]);

type Dense = typeof plain;

/** Value, gradients, and the gradients of their squares. */
function all(
  dense: Dense,
  [rows, inputs, outputs]: readonly [number, number, number],
  relu: boolean,
): readonly (readonly number[])[] {
  const found = tf.tidy(() => {
    const at = [whole<tf.Rank.R2>([rows, inputs], 1), whole<tf.Rank.R2>([inputs, outputs], 2), whole<tf.Rank.R1>([outputs], 3)] as const; // prettier-ignore
    const dy = whole<tf.Rank.R2>([rows, outputs], 4);
    const of = (...[x, weight, bias]: tf.Tensor[]): tf.Tensor =>
      dense(x as tf.Tensor2D, weight as tf.Tensor2D, bias as tf.Tensor1D, relu);
    const gradients = (inner: (...args: tf.Tensor[]) => tf.Tensor, slope?: tf.Tensor): tf.Tensor[] =>
      tf.grads(inner)([...at], slope);
    const squares = (...args: tf.Tensor[]): tf.Tensor =>
      tf
        .grads((...inner: tf.Tensor[]) => tf.sum(tf.square(of(...inner))))(args)
        .map((gradient) => tf.sum(tf.square(gradient)))
        .reduce((sum, term) => tf.add(sum, term));
    return [of(...at), ...gradients(of, dy), ...(rows * inputs * outputs === 0 ? [] : gradients(squares))];
  });
  const values = shown(found);
  tf.dispose(found);
  return values;
}

for (const backend of ['cpu', 'wasm', 'node'] as const) {
  const runs = backend === 'node' ? test.when(missing === undefined, missing ?? '') : test;
  runs(
    `${backend}: a dense layer is product, bias and clamp, its first and second gradients theirs, and nothing is left over`,
    async () => {
      for (const relu of [false, true]) {
        for (const shape of [
          [3, 4, 5],
          [1, 1, 1],
          [5, 13, 9],
          [0, 3, 2],
          [2, 0, 3],
          [2, 3, 0],
        ] as const) {
          await useBackend('cpu');
          const expected = all(plain, shape, relu);
          await useBackend(backend);
          const before = tf.memory().numTensors;
          assert.equal(all((x, weight, bias, clamp) => denseTraining(x, weight, bias, { relu: clamp }), shape, relu), expected, `${shape} ${relu}`); // prettier-ignore
          assert.is(tf.memory().numTensors, before);
        }
      }
    },
  );

  runs(`${backend}: NaN and infinities go through, and what is not asked for has no gradient`, async () => {
    await useBackend(backend);
    const values = tf
      .tidy(() => {
        const weight = tf.variable(tf.ones<tf.Rank.R2>([1, 1]));
        const bias = tf.variable(tf.zeros<tf.Rank.R1>([1]), false);
        const x = tf.tensor2d([NaN, Infinity, -Infinity, 2], [4, 1]);
        const { value, grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(denseTraining(x.slice(3), weight, bias, { relu: true }))); // prettier-ignore
        assert.equal(Object.keys(grads), [weight.name]);
        const found = [denseTraining(x, weight, bias, { relu: true }), value, ...Object.values(grads)];
        tf.dispose([weight, bias]);
        return found;
      })
      .map((tensor) => [...tensor.dataSync()].map(String));
    assert.equal(values, [['NaN', 'Infinity', '0', '2'], ['2'], ['2']]);
  });
}

test('what does not fit is refused with its shape', async () => {
  await useBackend('cpu');
  tf.tidy(() => {
    const [x, weight, bias] = [tf.ones<tf.Rank.R2>([2, 3]), tf.ones<tf.Rank.R2>([3, 4]), tf.ones<tf.Rank.R1>([4])];
    const refuse = (work: () => unknown, message: RegExp): void => assert.throws(work, message);
    refuse(() => denseTraining(tf.ones([2, 2, 3]) as never, weight, bias), /^x must be float32 of rank 2, got float32 of shape \[2,2,3\]$/); // prettier-ignore
    refuse(() => denseTraining(tf.ones([2, 3], 'int32'), weight, bias), /^x must be float32 of rank 2, got int32/);
    refuse(() => denseTraining(x, tf.ones([4, 3]), bias), /^weight must be \[inputs of x, outputs of bias\], got \[4,3\] with x \[2,3\] and bias \[4\]$/); // prettier-ignore
    refuse(() => denseTraining(x, weight, tf.ones([3])), /^weight must be/);
    refuse(() => denseTraining(x, weight, bias, { relu: 1 as never }), /^relu must be true or false, got 1$/);
  });
});

test.run();
