/**
 * An optimizer with Learning Rate Dropout in `model.compile`, beside the two runs that tell what it does: the base rule at the same learning
 * rate, and the base rule at p times that rate.
 *
 *     npx tsx examples/compile/train.ts
 */
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import { spirals } from '../spirals.ts';

const EPOCHS = 100;
const p = 0.5;
const arms = {
  Adam: { learningRate: 0.02, keepProbability: 1 },
  'LRD-Adam, p = 0.5': { learningRate: 0.02, keepProbability: p },
  'Adam at half the rate': { learningRate: 0.02 * p, keepProbability: 1 },
};

/** The same network at the same start, whatever trains it. */
function network(): tf.Sequential {
  const kernelInitializer = (seed: number) => tf.initializers.heNormal({ seed });
  return tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [2], units: 48, activation: 'relu', kernelInitializer: kernelInitializer(1) }),
      tf.layers.dense({ units: 48, activation: 'relu', kernelInitializer: kernelInitializer(2) }),
      tf.layers.dense({ units: 2, activation: 'softmax', kernelInitializer: kernelInitializer(3) }),
    ],
  });
}

const { x, y } = spirals(100);
for (const [name, options] of Object.entries(arms)) {
  const model = network();
  // The masks are a function of the seed: the run can be repeated.
  const optimizer = lrd.adam({ ...options, seed: 1 });
  model.compile({ optimizer, loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const { history } = await model.fit(x, y, { epochs: EPOCHS, batchSize: 50, shuffle: false, verbose: 0 });
  const [losses, accuracies] = [history['loss'], history['acc']] as [number[], number[]];
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  console.log(
    `${name.padEnd(22)} loss ${losses.at(-1)?.toFixed(4)}, mean over ${EPOCHS} epochs ${mean.toFixed(4)}, accuracy ${(100 * (accuracies.at(-1) ?? 0)).toFixed(1)} %`,
  );
}
