import * as tf from '@tensorflow/tfjs';
import { permutation } from '../../impl-gpu/random.ts';
import type { Net } from '../nets/net.ts';
import { Draws } from '../raster/draws.ts';
import { toInputs } from '../raster/normalize.ts';
import { exampleBatches } from '../trainer/exampleBatches.ts';
import type { Task } from '../trainer/task.ts';
import type { SegmentedPicture } from './augment.ts';
import { augment, padToFit } from './augment.ts';
import type { LabelBatch, SegmentationLogits } from './loss.ts';
import { labelBatch, pixelCrossEntropy, segmentationLoss } from './loss.ts';
import { ConfusionMatrix } from './metrics.ts';
import { resizeAligned } from './resample.ts';

/** The side of the crops that PSPNet is trained on (Zhao et al. 2017, section 5.1). */
export const PSPNET_CROP = 473;

interface Examples {
  readonly count: number;
  read(index: number): Promise<SegmentedPicture>;
}

export interface SegmentationOptions {
  readonly net: Net<SegmentationLogits>;
  readonly classes: number;
  readonly train: Examples;
  readonly test: Examples;
  readonly optimizer: { applyGradients(gradients: tf.NamedTensorMap): void };
  /** Side of the training crops, 8k + 1. Default 473. */
  readonly crop?: number;
}

/** Training and testing a network on pictures with masks. */
export function segmentation(options: SegmentationOptions): Task<SegmentedPicture[]> {
  const { net, classes, train, test, optimizer, crop = PSPNET_CROP } = options;
  const variables = net.parameters.map(({ variable }) => variable);

  /** Share of the pixels that count which the scores classify right. */
  const accuracyOf = (main: tf.Tensor4D, labels: LabelBatch): tf.Scalar => {
    const [, height, width] = labels.classes.shape;
    const said = tf.cast(tf.argMax(resizeAligned(main, height, width), -1), 'int32');
    return tf.sum(tf.mul(tf.cast(tf.equal(said, labels.classes), 'float32'), labels.weights));
  };

  return {
    examples: train.count,
    countsCorrect: true,
    batches: ({ batchSize, seed, epoch, first }) =>
      exampleBatches(
        permutation({ seed, stream: 'shuffling', step: epoch }, train.count),
        { batchSize, first },
        async (example) => augment(await train.read(example), crop, new Draws({ seed, epoch, example })),
      ),
    step: async (batch, step) => {
      const values = tf.tidy(() => {
        const inputs = toInputs(batch.map(({ picture }) => picture));
        const labels = labelsOf(batch);
        let main: tf.Tensor4D | undefined;
        const { value, grads } = tf.variableGrads(() => {
          const logits = net.forward(inputs, { training: true, step });
          main = tf.keep(logits.main);
          return segmentationLoss(logits, labels);
        }, variables);
        optimizer.applyGradients(grads);
        const said = main as tf.Tensor4D;
        const accuracy = accuracyOf(said, labels);
        said.dispose();
        return tf.stack([value, accuracy]);
      });
      const [loss, accuracy] = (await values.data()) as unknown as [number, number];
      values.dispose();
      return { count: batch.length, loss: loss * batch.length, correct: accuracy * batch.length };
    },
    evaluate: async () => {
      const matrix = new ConfusionMatrix(classes);
      let total = 0;
      for (let index = 0; index < test.count; index++) {
        const example = padToFit(await test.read(index), crop);
        const [loss, said] = tf.tidy(() => {
          const { main } = net.forward(toInputs([example.picture]), { training: false, step: 0 });
          const full = resizeAligned(main, example.picture.height, example.picture.width);
          return [pixelCrossEntropy(full, labelsOf([example])), tf.argMax(full, -1)];
        }) as [tf.Scalar, tf.Tensor];
        total += (await loss.data())[0] as number;
        matrix.add(example.mask.data, await said.data());
        tf.dispose([loss, said]);
      }
      return {
        testLoss: total / test.count,
        testAccuracy: 100 * matrix.pixelAccuracy,
        meanIoU: 100 * matrix.meanIou,
        pixelAccuracy: 100 * matrix.pixelAccuracy,
      };
    },
  };
}

function labelsOf(batch: readonly SegmentedPicture[]): LabelBatch {
  const [first] = batch;
  const { width, height } = (first as SegmentedPicture).mask;
  const labels = new Uint8Array(batch.length * width * height);
  batch.forEach(({ mask }, i) => labels.set(mask.data, i * width * height));
  return labelBatch(labels, [batch.length, height, width]);
}
