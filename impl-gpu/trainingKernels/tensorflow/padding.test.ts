import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../../conformance/harness/suite.ts';
import { useBackend } from '../../../models/backend.ts';
import { tensorflowMissing } from '../../tensorflow/load.ts';
import { padsLikeSame } from './padding.ts';

const test = suite('impl-gpu/trainingKernels/tensorflow/padding');
const missing = tensorflowMissing('node');
const whenInstalled = test.when(missing === undefined, missing ?? '');

type Pad = number | 'same' | [[number, number], [number, number], [number, number], [number, number]];

function wave(shape: [number, number, number, number], pace: number): tf.Tensor4D {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => Math.sin(pace * (i + 1))),
    shape,
  );
}

/** A layer's output and the gradients of the sum of its squares, on the current backend. */
function outcome(
  layer: (x: tf.Tensor4D, filter: tf.Tensor4D) => tf.Tensor,
  filterShape: [number, number, number, number],
): Float32Array[] {
  const x = wave([2, 9, 8, 3], 0.7);
  const filter = wave(filterShape, 0.3);
  const loss = (...inputs: tf.Tensor[]): tf.Tensor =>
    tf.sum(tf.square(layer(inputs[0] as tf.Tensor4D, inputs[1] as tf.Tensor4D)));
  const results = tf.tidy(() => {
    const { value, grads } = tf.valueAndGrads(loss)([x, filter]);
    return [value, ...grads, layer(x, filter)].map((tensor) => tensor.dataSync<'float32'>().slice());
  });
  tf.dispose([x, filter]);
  return results;
}

const explicit: Pad = [
  [0, 0],
  [2, 0],
  [1, 3],
  [0, 0],
];

whenInstalled(
  'convolutions and maximum pools padded by pixels are those of the cpu backend, gradients too',
  async () => {
    const cases: {
      name: string;
      filter: [number, number, number, number];
      layer: (x: tf.Tensor4D, f: tf.Tensor4D) => tf.Tensor;
    }[] = [];
    for (const pad of [0, 1, 2, 'same', explicit] as Pad[]) {
      for (const stride of [1, 2]) {
        const name = `pad ${JSON.stringify(pad)} stride ${stride}`;
        const rounding = typeof pad === 'string' ? undefined : ('floor' as const);
        cases.push(
          {
            name: `conv2d ${name}`,
            filter: [3, 3, 3, 4],
            layer: (x, f) => tf.conv2d(x, f, stride, pad, 'NHWC', 1, rounding),
          },
          {
            name: `depthwise ${name}`,
            filter: [3, 3, 3, 2],
            layer: (x, f) => tf.depthwiseConv2d(x, f, stride, pad, 'NHWC', 1, rounding),
          },
        );
        if (pad !== explicit) {
          cases.push({
            name: `maxPool ${name}`,
            filter: [1, 1, 1, 1],
            layer: (x, f) => tf.add(tf.maxPool(x, 3, stride, pad as number, rounding), tf.sum(f)),
          });
        }
      }
    }
    const results = new Map<string, Float32Array[][]>();
    for (const backend of ['cpu', 'node']) {
      await useBackend(backend);
      const before = tf.memory().numTensors;
      results.set(
        backend,
        cases.map(({ layer, filter }) => outcome(layer, filter)),
      );
      assert.is(tf.memory().numTensors, before);
    }
    cases.forEach(({ name }, k) => {
      const [expected, found] = ['cpu', 'node'].map((backend) => results.get(backend)?.[k] as Float32Array[]);
      expected?.forEach((list, j) => {
        assert.is(found?.[j]?.length, list.length, name);
        const scale = list.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const worst = list.reduce((most, value, i) => Math.max(most, Math.abs(value - (found?.[j]?.[i] as number))), 0);
        assert.ok(worst <= 1e-5 * scale + 1e-7, `${name}, result ${j}: ${worst} of ${scale}`);
      });
    });
  },
);

test("'same' is taken only where it pads alike", () => {
  const at = (length: number, size: number, strides: number, pad: number): boolean =>
    padsLikeSame(
      [
        [pad, pad],
        [pad, pad],
      ],
      { input: [length, length], size: [size, size], strides, dilations: 1 },
    );
  assert.ok(at(32, 3, 1, 1));
  assert.ok(at(33, 3, 2, 1));
  // 'same' pads nothing before an even input.
  assert.not(at(32, 3, 2, 1));
  assert.not(at(32, 3, 1, 2));
  assert.not(at(32, 5, 1, 1));
});

test.run();
