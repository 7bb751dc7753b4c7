import * as tf from '@tensorflow/tfjs';
import type { Net } from '../../nets/net.ts';
import { toInputs } from '../../raster/normalize.ts';
import { resizePicture } from '../../raster/raster.ts';
import type { Examples } from '../exampleBatches.ts';
import type { ExampleBatch } from '../exampleBatches.ts';
import { exampleBatches, trainingExamples } from '../exampleBatches.ts';
import type { Part } from '../part.ts';
import { WHOLE } from '../part.ts';
import { stepPictures } from '../pictureStep.ts';
import type { SplitMetrics, Task, Updater } from '../task.ts';
import { attend } from '../attend.ts';
import { testBoth } from '../task.ts';
import type { LabelledPicture } from '../../data/vocExamples.ts';
import { augment } from './augment.ts';
import type { JudgedPicture } from './averagePrecision.ts';
import { meanAveragePrecision } from './averagePrecision.ts';
import { SSD300_SIDE, defaultBoxes } from '../../nets/defaultBoxes.ts';
import type { Detection } from './detect.ts';
import { detect } from './detect.ts';
import type { TargetBatch } from './multiboxLoss.ts';
import type { Predictions } from '../../nets/ssd300.ts';
import { multiboxLoss, targetBatch } from './multiboxLoss.ts';
import { targetsOf } from './targets.ts';

export interface DetectionTaskOptions {
  readonly net: Net<Predictions>;
  /** The background counts. */
  readonly classes: number;
  readonly train: Examples<LabelledPicture>;
  /** Of the training pictures, what is held out. Default: none. */
  readonly validation?: Examples<LabelledPicture> | undefined;
  readonly test: Examples<LabelledPicture>;
  readonly optimizer: Updater;
  /** Take each picture whole, without augmentation. Default false. */
  readonly plain?: boolean;
  /** Pictures that are tested at a time; the loss is normalised by their matches. Default 8. */
  readonly testBatch?: number;
  /** Of a process that trains together with others. Default: everything. */
  readonly part?: Part;
}

const priors = defaultBoxes();

function targetsFor(batch: readonly LabelledPicture[]): TargetBatch {
  return targetBatch(batch.map(({ truths }) => targetsOf(truths, priors)));
}

function lossOf(predictions: Predictions, targets: TargetBatch): tf.Scalar {
  const { localisation, confidence } = multiboxLoss(predictions, targets);
  return tf.add(localisation, confidence);
}

/** Share of the default boxes matched to an object whose largest score is that of its class; 0 where none is matched. */
function accuracyOf({ logits }: Pick<Predictions, 'logits'>, { labels, positive, matches }: TargetBatch): tf.Scalar {
  const right = tf.cast(tf.equal(tf.cast(tf.argMax(logits, -1), 'int32'), labels), 'float32');
  return tf.div(tf.sum(tf.mul(right, positive)), Math.max(1, matches));
}

/** A picture as the network sees it in tests: resized regardless of its shape; normalised boxes stay as they are. */
function toSide({ picture, truths }: LabelledPicture): LabelledPicture {
  return { picture: resizePicture(picture, SSD300_SIDE, SSD300_SIDE), truths };
}

interface Said {
  readonly detections: readonly (readonly Detection[])[];
  readonly loss: number;
  readonly accuracy: number;
}

async function look(net: Pick<Net<Predictions>, 'forward'>, batch: readonly LabelledPicture[]): Promise<Said> {
  const sized = batch.map(toSide);
  const tensors = tf.tidy(() => {
    const predictions = net.forward(toInputs(sized.map(({ picture }) => picture)), { training: false, step: 0 });
    const targets = targetsFor(sized);
    const figures = tf.stack([lossOf(predictions, targets), accuracyOf(predictions, targets)]);
    return [predictions.offsets, tf.softmax(predictions.logits), figures];
  });
  const [offsets, scores, figures] = (await Promise.all(tensors.map((tensor) => tensor.data()))) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  tf.dispose(tensors);
  const perPicture = scores.length / batch.length;
  const boxes = priors.length * 4;
  const detections = batch.map((_, i) =>
    detect(offsets.subarray(i * boxes, (i + 1) * boxes), scores.subarray(i * perPicture, (i + 1) * perPicture), priors),
  );
  const [loss, accuracy] = figures as unknown as [number, number];
  return { detections, loss, accuracy };
}

/** The objects that a network sees in a picture of any size; boxes normalised. */
export async function detectIn(
  net: Pick<Net<Predictions>, 'forward'>,
  example: LabelledPicture,
): Promise<readonly Detection[]> {
  return (await look(net, [example])).detections[0] as readonly Detection[];
}

/** Training and testing SSD300 on pictures with boxes. */
export function detection(options: DetectionTaskOptions): Task<ExampleBatch<LabelledPicture>> {
  const { net, classes, train, validation, test, optimizer, plain = false, testBatch = 8, part = WHOLE } = options;
  const measure = async (split: Examples<LabelledPicture>, signal?: AbortSignal): Promise<SplitMetrics> => {
    // Whole batches of tests go round: the loss is normalised by a batch's matches.
    const mine: number[] = [];
    for (let index = 0; index < split.count; index++) {
      if (Math.floor(index / testBatch) % part.size === part.rank) mine.push(index);
    }
    const own: (readonly [index: number, picture: JudgedPicture])[] = [];
    const sums = new Float64Array(2);
    for await (const batch of exampleBatches(mine, { batchSize: testBatch }, (index) => split.read(index))) {
      const { detections, loss, accuracy } = await look(net, batch);
      sums[0] = (sums[0] as number) + loss * batch.length;
      sums[1] = (sums[1] as number) + accuracy * batch.length;
      detections.forEach((found, i) =>
        own.push([mine[own.length] as number, { truths: (batch[i] as LabelledPicture).truths, detections: found }]),
      );
      await attend(signal);
    }
    part.sum(sums);
    const [total, right] = sums as unknown as readonly [number, number];
    const all =
      part.size === 1 ? own : part.gather(JSON.stringify(own)).flatMap((text) => JSON.parse(text) as typeof own);
    const judged = [...all].sort(([a], [b]) => a - b).map(([, picture]) => picture);
    return {
      testLoss: total / split.count,
      testAccuracy: (100 * right) / split.count,
      mAP: 100 * meanAveragePrecision(judged, classes, '11-point').mean,
      mAPArea: 100 * meanAveragePrecision(judged, classes, 'area').mean,
    };
  };
  return {
    examples: train.count,
    batches: (request) =>
      trainingExamples(
        train,
        request,
        (example, draws) => (plain ? toSide(example) : augment(example, SSD300_SIDE, draws)),
        part,
      ),
    step: (batch, step) =>
      stepPictures({ net, optimizer, part }, batch, step, (examples) => {
        const targets = targetsFor(examples);
        return {
          // The loss is divided by the boxes that are matched.
          amount: targets.matches,
          loss: (predictions) => lossOf(predictions, targets),
          said: ({ logits }) => logits,
          accuracy: (logits) => accuracyOf({ logits }, targets),
        };
      }),
    evaluate: (signal) => testBoth(test, validation, measure, signal),
  };
}
