import * as tf from '@tensorflow/tfjs';
import { crossEntropyTraining } from 'learning-rate-dropout';
import type { TextSplits } from '../../data/texts.ts';
import type { Net } from '../../nets/net.ts';
import type { ClassificationSums } from '../metrics.ts';
import type { Part } from '../part.ts';
import { WHOLE } from '../part.ts';
import type { SplitMetrics, Task, Updater } from '../task.ts';
import { attend } from '../attend.ts';
import { testBoth } from '../task.ts';
import type { WindowBatch } from './windows.ts';
import { testStarts, trainingWindows, windowsAt } from './windows.ts';

/** What a language task is made of. */
export interface LanguageOptions {
  /** Takes bytes [batch, context], gives logits [batch * context, bytes]. */
  readonly net: Net;
  readonly splits: TextSplits;
  /** Of an epoch. */
  readonly steps: number;
  readonly batchSize: number;
  readonly optimizer: Updater;
  /** Of a process that trains together with others. Default: everything. */
  readonly part?: Part;
}

/** Windows that are tested at a time. */
const TEST_BATCH = 16;

/** A mean of nats in bits. */
const BITS = 1 / Math.LN2;

const toTensor = ({ inputs, count }: WindowBatch, context: number): tf.Tensor2D =>
  tf.tensor2d(inputs, [count, context], 'int32');

/** Share of bytes whose logit is the largest. */
const shareRight = (logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar =>
  tf.mean(tf.cast(tf.equal(tf.cast(tf.argMax(logits, 1), 'int32'), labels), 'float32'));

/** Reads loss and share of a batch as sums over its windows, and disposes them. */
async function readSums(figures: readonly [tf.Scalar, tf.Scalar], count: number): Promise<ClassificationSums> {
  const values = await Promise.all(figures.map((figure) => figure.data()));
  tf.dispose([...figures]);
  const [loss, right] = values.map((value) => value[0] as number) as [number, number];
  return { count, loss: loss * BITS * count, correct: right * count };
}

/** Training and testing a network on the next byte of a text. Losses are in bits a byte, accuracies in percent of the bytes. */
export function language(options: LanguageOptions): Task<WindowBatch> {
  const { net, splits, steps, batchSize, optimizer, part = WHOLE } = options;
  const { context, train, validation, test } = splits;

  const step = async (batch: WindowBatch, at: number): Promise<ClassificationSums> => {
    part.weigh(batch.count / batch.rows.all);
    if (batch.count === 0) {
      optimizer.applyGradients({});
      return { count: 0, loss: 0, correct: 0 };
    }
    const figures = tf.tidy((): [tf.Scalar, tf.Scalar] => {
      const inputs = toTensor(batch, context);
      const labels = tf.tensor1d(batch.labels, 'int32');
      let right: tf.Scalar | undefined;
      const { value, grads } = tf.variableGrads(
        () => {
          const logits = net.forward(inputs, { training: true, step: at, rows: batch.rows });
          right = tf.keep(shareRight(logits, labels));
          return crossEntropyTraining(logits, labels);
        },
        net.parameters.map(({ variable }) => variable),
      );
      optimizer.applyGradients(grads);
      return [value, right as tf.Scalar];
    });
    return readSums(figures, batch.count);
  };

  const measure = async (text: Uint8Array, signal?: AbortSignal): Promise<SplitMetrics> => {
    const starts = testStarts(text, context);
    const sums = new Float64Array(3);
    for (let first = part.rank * TEST_BATCH; first < starts.length; first += part.size * TEST_BATCH) {
      const batch = windowsAt(text, context, starts.slice(first, first + TEST_BATCH));
      const figures = tf.tidy((): [tf.Scalar, tf.Scalar] => {
        const labels = tf.tensor1d(batch.labels, 'int32');
        const logits = net.forward(toTensor(batch, context), { training: false, step: 0 });
        return [crossEntropyTraining(logits, labels), shareRight(logits, labels)];
      });
      const { count, loss, correct } = await readSums(figures, batch.count);
      [count, loss, correct].forEach((value, k) => (sums[k] = (sums[k] as number) + value));
      await attend(signal);
    }
    part.sum(sums);
    const [count, loss, correct] = sums as unknown as readonly [number, number, number];
    return { testLoss: loss / count, testAccuracy: (100 * correct) / count };
  };

  return {
    examples: steps * batchSize,
    batches: (request) => trainingWindows(train, { context, steps }, request, part),
    step,
    evaluate: (signal) => testBoth(test, validation, measure, signal),
  };
}
