import * as tf from '@tensorflow/tfjs';
import type { Net } from '../nets/net.ts';
import { toInputs } from '../raster/normalize.ts';
import type { Picture } from '../raster/raster.ts';
import type { ExampleBatch } from './exampleBatches.ts';
import type { ClassificationSums } from './metrics.ts';
import type { Part } from './part.ts';
import { shareOf } from './part.ts';
import type { Updater } from './task.ts';

/** What a step learns from pictures. Its tensors are the caller's, inside a `tidy`; without pictures only `amount` is asked for. */
export interface Objective<Output, Said extends tf.Tensor> {
  /** How many things the loss is a mean over. */
  readonly amount: number;
  loss(output: Output): tf.Scalar;
  /** What `accuracy` is made of, as the network gives it. */
  said(output: Output): Said;
  /** A mean over the same things. */
  accuracy(said: Said): tf.Scalar;
}

/**
 * One optimizer step on a process's rows of a batch of pictures. Collective. The loss is a mean over things of which a picture may have any
 * number, so a process's share is that of its things; sums over the processes are those of the whole batch.
 */
export async function stepPictures<Example extends { readonly picture: Picture }, Output, Said extends tf.Tensor>(
  { net, optimizer, part }: { readonly net: Net<Output>; readonly optimizer: Updater; readonly part: Part },
  { examples, rows }: ExampleBatch<Example>,
  step: number,
  objectiveOf: (examples: readonly Example[]) => Objective<Output, Said>,
): Promise<ClassificationSums> {
  let share = 1;
  const figures = tf.tidy(() => {
    const objective = objectiveOf(examples);
    share = shareOf(part, objective.amount, rows);
    part.weigh(share);
    if (examples.length === 0) {
      optimizer.applyGradients({});
      return tf.zeros([2]);
    }
    const inputs = toInputs(examples.map(({ picture }) => picture));
    let said: Said | undefined;
    const { value, grads } = tf.variableGrads(
      () => {
        const output = net.forward(inputs, { training: true, step, rows });
        said = tf.keep(objective.said(output));
        return objective.loss(output);
      },
      net.parameters.map(({ variable }) => variable),
    );
    optimizer.applyGradients(grads);
    const accuracy = objective.accuracy(said as Said);
    (said as Said).dispose();
    return tf.stack([value, accuracy]);
  });
  const [loss, accuracy] = (await figures.data()) as unknown as [number, number];
  figures.dispose();
  const scale = share * rows.all;
  return { count: examples.length, loss: loss * scale, correct: accuracy * scale };
}
