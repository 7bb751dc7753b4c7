import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { drawNormals } from 'learning-rate-dropout/stream';
import { wasmHeap } from 'learning-rate-dropout/internal/tfjs';
import { useBackend } from '../backend.ts';
import type { ImageSet } from '../data/dataSet.ts';
import { memorySplit } from '../data/memoryImages.ts';
import { IMAGE_RECIPES } from './catalogue.ts';
import { createOptimizer } from './optimizers.ts';
import type { ImageRecipe } from './images.ts';
import type { Batch } from '../tasks/classification/batches.ts';
import { trainBatch } from '../tasks/classification/task.ts';
import { parseRegularizers } from '../trainer/regularizers.ts';

const test = suite('models/recipes/memory');
test.before(async () => {
  await useBackend('wasm');
});

const STEPS = 200;
const COUNT = 2;

const set: ImageSet = {
  name: 'noise',
  shape: [32, 32, 3],
  classes: Array.from({ length: 10 }, (_, k) => String(k)),
  maximum: 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  augmentation: 'none',
  augmentations: ['none'],
  train: memorySplit([32, 32, 3], new Uint8Array(), []),
  test: memorySplit([32, 32, 3], new Uint8Array(), []),
  source: 'drawn',
};

function drawBatch(step: number): Batch {
  const inputs = Float32Array.from(drawNormals({ seed: 3n, stream: 'augmentation', step }, 0, COUNT * 3072));
  const rows = { first: 0, count: COUNT, all: COUNT };
  return { count: COUNT, rows, inputs, labels: Int32Array.from({ length: COUNT }, (_, i) => (i + step) % 10) };
}

for (const [recipe, width] of [
  ['fcnet', 32],
  ['resnet14', 2],
] as const) {
  test(
    `${STEPS} steps of ${recipe} with LRD-Adam and every regularizer leave no tensor and no byte behind`,
    async () => {
      const {
        noisyLabels: _,
        standardDropout,
        ...regularizers
      } = parseRegularizers('DG NG:1e-6 GC SD SG:0.3 clip-norm:5 clip-value:1'.split(' '));
      const net = (IMAGE_RECIPES[recipe] as ImageRecipe).build(set, {
        seed: 1n,
        width,
        standardDropout: standardDropout ?? 1,
      });
      const optimizer = createOptimizer('adam', { keepProbability: 0.5, seed: 1n, others: regularizers });
      const heapBytes = (): number => wasmHeap().memory.buffer.byteLength;
      let before: { tensors: number; bytes: number; heap: number } | undefined;
      for (let step = 1; step <= STEPS; step++) {
        const { loss } = await trainBatch({ net, set, optimizer }, drawBatch(step), step);
        assert.ok(Number.isFinite(loss));
        const { numTensors: tensors, numBytes: bytes } = tf.memory();
        const now = { tensors, bytes, heap: heapBytes() };
        // The first step makes the optimizer's state; the heap has found its size after a few.
        if (step === 1) before = now;
        assert.is(now.tensors, before?.tensors, `step ${step}`);
        assert.is(now.bytes, before?.bytes, `step ${step}`);
        if (step === 20) before = now;
        if (step > 20) assert.is(now.heap, before?.heap, `step ${step}`);
      }
      optimizer.dispose();
      net.dispose();
      assert.is(tf.memory().numTensors, 0);
    },
    { timeout: 300 },
  );
}

test.run();
