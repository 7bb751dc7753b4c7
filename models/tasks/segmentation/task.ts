import * as tf from '@tensorflow/tfjs';
import type { Net } from '../../nets/net.ts';
import { toInputs } from '../../raster/normalize.ts';
import type { Mask, Picture } from '../../raster/raster.ts';
import { resizeMask, resizePicture } from '../../raster/raster.ts';
import type { Examples } from '../exampleBatches.ts';
import type { ExampleBatch } from '../exampleBatches.ts';
import { trainingExamples } from '../exampleBatches.ts';
import type { Part } from '../part.ts';
import { WHOLE } from '../part.ts';
import { stepPictures } from '../pictureStep.ts';
import type { SplitMetrics, Task, Updater } from '../task.ts';
import { attend } from '../attend.ts';
import { testBoth } from '../task.ts';
import type { SegmentedPicture } from '../../data/vocExamples.ts';
import { augment, fittingSide, middle, padToFit } from './augment.ts';
import type { Evaluation } from './evaluations.ts';
import type { LabelBatch } from './loss.ts';
import type { SegmentationLogits } from '../../nets/pspnet.ts';
import { labelBatch, pixelCrossEntropy, segmentationLoss } from './loss.ts';
import { ConfusionMatrix } from './metrics.ts';
import { predictSliding, predictWhole } from './predict.ts';
import { resizeAligned } from '../../nets/resample.ts';

/** The side of the crops that PSPNet is trained on (Zhao et al. 2017, section 5.1). */
export const PSPNET_CROP = 473;

/** The longest side of VOC's pictures. */
const LONGEST = 500;

/** The smallest side of what tests see: the crop's, or with `plain` one that all of every picture fits in, as it then does in training. */
export function contextSide(crop: number, plain: boolean): number {
  return plain ? fittingSide(Math.ceil((LONGEST * crop) / PSPNET_CROP), crop) : crop;
}

/** A picture as crops of that side are cut from: smaller by as much as the crop is smaller than PSPNet's. */
export function shrink({ picture, mask }: SegmentedPicture, crop: number): SegmentedPicture {
  const factor = crop / PSPNET_CROP;
  const [width, height] = [picture.width, picture.height].map((extent) => Math.max(1, Math.round(extent * factor))) as [
    number,
    number,
  ];
  return { picture: resizePicture(picture, width, height), mask: resizeMask(mask, width, height) };
}

export interface SegmentationOptions {
  readonly net: Net<SegmentationLogits>;
  readonly classes: number;
  readonly train: Examples<SegmentedPicture>;
  /** Of the training pictures, what is held out. Default: none. */
  readonly validation?: Examples<SegmentedPicture> | undefined;
  readonly test: Examples<SegmentedPicture>;
  readonly optimizer: Updater;
  /** Side of the training crops, 8k + 1. Default 473. With less, all pictures are shrunk in proportion, those of tests too. */
  readonly crop?: number;
  /** Take each picture whole, without augmentation. Default false. */
  readonly plain?: boolean;
  /** Default `whole`. */
  readonly evaluation?: Evaluation;
  /** Of a process that trains together with others. Default: everything. */
  readonly part?: Part;
}

/** Training and testing a network on pictures with masks. */
export function segmentation(options: SegmentationOptions): Task<ExampleBatch<SegmentedPicture>> {
  const {
    net,
    classes,
    train,
    validation,
    test,
    optimizer,
    crop = PSPNET_CROP,
    plain = false,
    evaluation = 'whole',
  } = options;
  const { part = WHOLE } = options;
  const context = contextSide(crop, plain);

  /** Share of the pixels that count which the scores classify right. */
  const accuracyOf = (main: tf.Tensor4D, labels: LabelBatch): tf.Scalar => {
    const [, height, width] = labels.classes.shape;
    const said = tf.cast(tf.argMax(resizeAligned(main, height, width), -1), 'int32');
    return tf.sum(tf.mul(tf.cast(tf.equal(said, labels.classes), 'float32'), labels.weights));
  };

  /** Adds what the network says of a picture to the matrix and gives its loss. */
  const judgeWhole = async (shrunk: SegmentedPicture, matrix: ConfusionMatrix): Promise<number> => {
    const example = padToFit(shrunk, context);
    const tensors = tf.tidy(() => {
      const { main } = net.forward(toInputs([example.picture]), { training: false, step: 0 });
      const full = resizeAligned(main, example.picture.height, example.picture.width);
      return [pixelCrossEntropy(full, labelsOf([example])), tf.argMax(full, -1)] as [tf.Scalar, tf.Tensor];
    });
    const [loss, said] = tensors;
    matrix.add(example.mask.data, await said.data());
    const [value] = await loss.data();
    tf.dispose(tensors);
    return value as number;
  };
  const judgeSliding = async ({ picture, mask }: SegmentedPicture, matrix: ConfusionMatrix): Promise<number> => {
    const said = await predictSliding(net, picture, crop);
    matrix.add(mask.data, said.mask.data);
    return said.loss(mask);
  };
  const judge = evaluation === 'sliding' ? judgeSliding : judgeWhole;

  const measure = async (split: Examples<SegmentedPicture>, signal?: AbortSignal): Promise<SplitMetrics> => {
    const matrix = new ConfusionMatrix(classes);
    let total = 0;
    for (let index = part.rank; index < split.count; index += part.size) {
      total += await judge(shrink(await split.read(index), crop), matrix);
      await attend(signal);
    }
    const loss = Float64Array.of(total);
    part.sum(loss);
    part.sum(matrix.counts);
    total = loss[0] as number;
    return {
      testLoss: total / split.count,
      testAccuracy: 100 * matrix.pixelAccuracy,
      meanIoU: 100 * matrix.meanIou,
      pixelAccuracy: 100 * matrix.pixelAccuracy,
    };
  };

  return {
    examples: train.count,
    batches: (request) =>
      trainingExamples(
        train,
        request,
        (example, draws) => {
          const whole = shrink(example, crop);
          return plain ? middle(whole, context) : augment(whole, crop, draws);
        },
        part,
      ),
    step: (batch, step) =>
      stepPictures({ net, optimizer, part }, batch, step, (examples) => {
        const labels = examples.length === 0 ? undefined : labelsOf(examples);
        return {
          // The loss is a mean over the pixels that count.
          amount: labels?.pixels ?? 0,
          loss: (logits) => segmentationLoss(logits, labels as LabelBatch),
          said: ({ main }) => main,
          accuracy: (main) => accuracyOf(main, labels as LabelBatch),
        };
      }),
    evaluate: (signal) => testBoth(test, validation, measure, signal),
  };
}

/** The mask that tests of a picture of any size are about; `plain` and `evaluation` as in training. */
export async function segment(
  net: Pick<Net<SegmentationLogits>, 'forward'>,
  picture: Picture,
  { crop, plain, evaluation }: Required<Pick<SegmentationOptions, 'crop' | 'plain' | 'evaluation'>>,
): Promise<Mask> {
  if (evaluation === 'sliding') return (await predictSliding(net, picture, crop)).mask;
  return predictWhole(net, picture, contextSide(crop, plain));
}

function labelsOf(batch: readonly SegmentedPicture[]): LabelBatch {
  const [first] = batch;
  const { width, height } = (first as SegmentedPicture).mask;
  const labels = new Uint8Array(batch.length * width * height);
  batch.forEach(({ mask }, i) => labels.set(mask.data, i * width * height));
  return labelBatch(labels, [batch.length, height, width]);
}
