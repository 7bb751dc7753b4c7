/**
 * A training loop of one's own: parameter groups, schedules of the learning rate and of p, clipping; stopped half way, saved, and resumed by
 * a new optimizer to the same bits.
 *
 *     npx tsx examples/custom-loop/train.ts
 */
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import { spirals } from '../spirals.ts';

const STEPS = 400;
const { x, y } = spirals(100);

/** A network as plain variables. Groups find them by name. */
function variables(run: string): tf.Variable[] {
  const normal = (shape: [number, number], seed: number): tf.Tensor =>
    tf.randomNormal(shape, 0, Math.sqrt(2 / shape[0]), 'float32', seed);
  return [
    tf.variable(normal([2, 48], 1), true, `${run}/hidden/kernel`),
    tf.variable(tf.zeros([48]), true, `${run}/hidden/bias`),
    tf.variable(normal([48, 2], 2), true, `${run}/output/kernel`),
    tf.variable(tf.zeros([2]), true, `${run}/output/bias`),
  ];
}

/** Biases: no decay, never masked. The output layer: dropped less often. */
const optimizerOf = (): lrd.LrdAdamw =>
  lrd.adamw({
    learningRate: { schedule: 'cosine', initial: 0.03, final: 0.001, steps: STEPS, warmup: 20 },
    keepProbability: { schedule: 'polynomial', initial: 0.9, final: 0.5, steps: STEPS },
    weightDecay: 0.01,
    clipGlobalNorm: 1,
    groups: [
      { match: '*bias', weightDecay: 0, excluded: true },
      { match: '*output/kernel', keepProbability: 0.8 },
    ],
    seed: 7,
  });

/** Steps from `first` to `last`, the first step being 1. Returns the last loss. */
function train(weights: readonly tf.Variable[], optimizer: tf.Optimizer, first: number, last: number): number {
  const [w1, b1, w2, b2] = weights as [tf.Variable, tf.Variable, tf.Variable, tf.Variable];
  const loss = (): tf.Scalar =>
    tf.losses.softmaxCrossEntropy(y, x.matMul<tf.Tensor2D>(w1).add(b1).relu().matMul(w2).add(b2)).asScalar();
  let value = NaN;
  for (let step = first; step <= last; step++) {
    const { value: cost, grads } = tf.variableGrads(loss, [...weights]);
    optimizer.applyGradients(grads);
    value = cost.dataSync()[0] as number;
    tf.dispose([cost, grads]);
    if (step % 100 === 0) console.log(`step ${step}: loss ${value.toFixed(4)}`);
  }
  return value;
}

const straight = variables('straight');
const end = train(straight, optimizerOf(), 1, STEPS);

// Half of it; then all that must be kept: the weights, and the optimizer's configuration and state.
const halfway = variables('halfway');
const first = optimizerOf();
train(halfway, first, 1, STEPS / 2);
const [config, state] = [first.getConfig(), await first.getWeights()];

// As after a restart: a new optimizer of the saved configuration, with the saved state.
const second = new lrd.LrdAdamw(config);
await second.setWeights(state);
const resumed = train(halfway, second, STEPS / 2 + 1, STEPS);

const same = straight.every((variable, k) => {
  const [a, b] = [variable.dataSync(), (halfway[k] as tf.Variable).dataSync()];
  return a.every((value, i) => Object.is(value, b[i]));
});
console.log(
  `straight through ${end.toFixed(6)}, stopped and resumed ${resumed.toFixed(6)}: ${same ? 'the same bits' : 'different'}`,
);
if (!same) process.exitCode = 1;
