import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { FROM_SOURCE } from '../../../conformance/harness/fromSource.ts';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { nativeOperations } from '../../tensorflow/native.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import type { Tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { TYPES, tensorflow } from '../../tfjs/bridges/tensorflow.ts';
import { hasNativeOperations } from '../../tfjs/bridges/tensorflowAddon.ts';
import { nativeProducts } from './products.ts';

const test = suite('impl-gpu/trainingKernels/tensorflow/products');
const missing = tensorflowMissing('node');

/** Why the addon's products cannot be tried here; undefined where they can. */
async function whyNot(): Promise<string | undefined> {
  if (missing !== undefined) return missing;
  await useBackend('node');
  if (!hasNativeOperations(tensorflow()))
    return 'the addon below tfjs was not built with this source (npx lrd setup tensorflow)';
  return nativeProducts(tensorflow()) === undefined ? 'this processor has neither AVX2 nor AVX-512' : undefined;
}
const reason = await whyNot();
const whenThere = test.when(reason === undefined, reason ?? '');

/** What `testing/nativeProducts.ts` prints. */
interface Report {
  readonly has: boolean;
  readonly cases: number;
  readonly wrong: readonly string[];
  readonly hash: string;
}

whenThere(
  'products, 3 x 3 convolutions and their gradients are those of the definition, with the same bits whatever the instruction set and the threads',
  () => {
    const program = fileURLToPath(new URL('testing/nativeProducts.ts', import.meta.url));
    const report = (LRD_INSTRUCTIONS: string, TF_NUM_INTRAOP_THREADS: string): Report => {
      const output = execFileSync(process.execPath, [...FROM_SOURCE, program], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, LRD_INSTRUCTIONS, TF_NUM_INTRAOP_THREADS },
      });
      return JSON.parse(output) as Report;
    };
    // A processor without AVX-512 has no products of that name.
    const reports = [report('avx2', '1'), report('avx2', '64'), report('avx512', '2')].filter(({ has }) => has);
    assert.ok(reports.length > 1);
    for (const { cases, wrong, hash } of reports) {
      assert.equal(wrong, []);
      assert.is(cases, 136);
      assert.is(hash, reports[0]?.hash);
    }
    assert.not.ok(report('plain', '2').has);
  },
);

/** A convolution with what follows it, its gradients, and what is alive before and after. */
function outcome(x: tf.Tensor4D, filter: tf.Tensor4D, bias: tf.Tensor1D): Float32Array[] {
  return tf.tidy(() => {
    const layer = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same');
    const [dx, dfilter] = tf.grads(layer)([x, filter]) as [tf.Tensor, tf.Tensor];
    const fused = tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', bias, activation: 'relu' });
    return [layer(x, filter), dx, dfilter, fused].map((tensor) => tensor.dataSync<'float32'>().slice());
  });
}

whenThere('infinities and NaN stand where the definition has them, and nothing is left behind', async () => {
  const [height, channels] = [16, 16];
  const results = new Map<string, Float32Array[]>();
  for (const backend of ['cpu', 'node'] as const) {
    await useBackend(backend);
    const count = (): readonly number[] =>
      backend === 'node' ? [tf.memory().numTensors, tensorflow().alive()] : [tf.memory().numTensors];
    const before = count();
    const values = Float32Array.from({ length: height * height * channels }, (_, i) => Math.sin(i));
    values[5 * channels] = Infinity;
    values[9 * height * channels + 3] = NaN;
    const x = tf.tensor4d(values, [1, height, height, channels]);
    const filter = tf.randomNormal<tf.Rank.R4>([3, 3, channels, channels], 0, 1, 'float32', 1);
    const bias = tf.randomNormal<tf.Rank.R1>([channels], 0, 1, 'float32', 2);
    results.set(backend, outcome(x, filter, bias));
    tf.dispose([x, filter, bias]);
    assert.equal(count(), before);
  }
  const [expected, found] = ['cpu', 'node'].map((backend) => results.get(backend)) as [Float32Array[], Float32Array[]];
  expected.forEach((list, k) => {
    list.forEach((value, i) => {
      const own = found[k]?.[i] as number;
      const fits = Number.isFinite(value)
        ? Math.abs(own - value) <= 1e-4 * (1 + Math.abs(value))
        : Object.is(own, value);
      if (!fits) assert.unreachable(`result ${k} has ${own} at ${i} in place of ${value}`);
    });
  });
  assert.ok(expected.some((list) => list.some((value) => !Number.isFinite(value))));
});

whenThere('what follows a convolution follows it, whatever it is, and nothing is left behind', async () => {
  const results = new Map<string, number[][]>();
  for (const backend of ['cpu', 'node'] as const) {
    await useBackend(backend);
    const x = tf.randomNormal<tf.Rank.R4>([1, 16, 16, 16], 0, 1, 'float32', 1);
    const filter = tf.randomNormal<tf.Rank.R4>([3, 3, 16, 32], 0, 0.1, 'float32', 2);
    const biases = [
      undefined,
      tf.randomNormal([32], 0, 1, 'float32', 3),
      tf.randomNormal([16, 1, 32], 0, 1, 'float32', 4),
    ];
    const before = tf.memory().numTensors;
    const made: number[][] = [];
    for (const activation of ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu'] as const) {
      for (const bias of biases) {
        const y = tf.fused.conv2d({
          x,
          filter,
          strides: 1,
          pad: 'same',
          activation,
          leakyreluAlpha: 0.2,
          ...(bias ? { bias } : {}),
        });
        assert.is(tf.memory().numTensors, before + 1);
        made.push([...y.dataSync()]);
        y.dispose();
        assert.is(tf.memory().numTensors, before);
      }
    }
    results.set(backend, made);
    tf.dispose([x, filter, ...biases.flatMap((bias) => bias ?? [])]);
  }
  const [expected, found] = ['cpu', 'node'].map((backend) => results.get(backend)) as [number[][], number[][]];
  expected.forEach((list, k) => {
    const worst = list.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[k]?.[i] as number))), 0);
    assert.ok(worst < 1e-4, `case ${k}: ${worst}`);
  });
});

whenThere('what does not fit is refused in a line, and the next call goes on', async () => {
  await useBackend('node');
  const bridge = tensorflow();
  const { product, convolution, convolutionGradient } = nativeOperations();
  const { attribute } = bridge;
  const flags = (...names: readonly string[]): ReturnType<Tensorflow['attribute']['flag']>[] =>
    names.map((name) => attribute.flag(name, false));
  const of = (...shape: number[]): number =>
    bridge.tensor(shape, TYPES.float32, new Float32Array(tf.util.sizeFromShape(shape)));
  const bias = attribute.whole('M', 0);
  const plain = flags('transpose_a', 'transpose_b', 'clamp');
  const refusals: readonly (readonly [run: () => unknown, says: RegExp])[] = [
    [() => bridge.run(product, [bias, ...plain], of(2, 3), of(4, 2)), /inner extents/],
    [() => bridge.run(product, [bias, ...plain], of(2, 3), of(3, 2, 1)), /of matrices/],
    [() => bridge.run(product, [bias, ...plain], of(0, 3), of(3, 2)), /not be empty/],
    [
      () => bridge.run(product, [attribute.whole('M', 1), ...plain], of(2, 3), of(3, 2), of(3)),
      /a number for each column/,
    ],
    [() => bridge.run(convolution, [bias, attribute.whole('pad', 1), ...flags('turned', 'clamp')], of(1, 4, 4, 8), of(3, 3, 8, 16)), /multiples of 16/], // prettier-ignore
    [() => bridge.run(convolution, [bias, attribute.whole('pad', 3), ...flags('turned', 'clamp')], of(1, 4, 4, 16), of(3, 3, 16, 16)), /0, 1 or 2/], // prettier-ignore
    [() => bridge.run(convolution, [bias, attribute.whole('pad', 0), ...flags('turned', 'clamp')], of(1, 2, 4, 16), of(3, 3, 16, 16)), /smaller than the filter/], // prettier-ignore
    [() => bridge.run(convolution, [bias, attribute.whole('pad', 1), ...flags('turned', 'clamp')], of(1, 4, 4, 16), of(3, 3, 32, 16)), /channels of its pictures/], // prettier-ignore
    [
      () => bridge.run(convolutionGradient, [attribute.whole('pad', 1)], of(1, 4, 4, 16), of(1, 4, 5, 16)),
      /shape of the result/,
    ],
  ];
  for (const [run, says] of refusals) assert.throws(run, says);
  const made = bridge.adopt([2, 2], 'float32', bridge.run(product, [bias, ...plain], of(2, 3), of(3, 2)));
  assert.equal([...made.dataSync()], [0, 0, 0, 0]);
  made.dispose();
});

test.run();
