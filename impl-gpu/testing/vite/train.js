/** The same few epochs anywhere: fixed start, fixed data, fixed masks. The page runs it, and Node beside it to compare. */

/** Numbers in [-1, 1) that are the same everywhere (Park and Miller). */
function numbers(count, seed) {
  let x = seed;
  return Float32Array.from({ length: count }, () => (x = (x * 16807) % 2147483647) / 1073741823.5 - 1);
}

/** @returns the losses of the epochs and the weights after them */
export async function train(tf, lrd, rule, epochs) {
  const initial = [
    numbers(6 * 20, 1).map((v) => v / 3),
    numbers(20, 2),
    numbers(20, 3).map((v) => v / 3),
    numbers(1, 4),
  ];
  const model = tf.sequential();
  model.add(tf.layers.dense({ inputShape: [6], units: 20, activation: 'tanh' }));
  model.add(tf.layers.dense({ units: 1 }));
  model.setWeights([
    tf.tensor(initial[0], [6, 20]),
    tf.tensor(initial[1]),
    tf.tensor(initial[2], [20, 1]),
    tf.tensor(initial[3]),
  ]);
  const learningRate = rule.startsWith('sgdm') ? 0.02 : 0.005;
  const optimizer = lrd[rule]({ learningRate, keepProbability: 0.5, seed: 7 });
  model.compile({ optimizer, loss: 'meanSquaredError' });
  const x = tf.tensor(numbers(64 * 6, 5), [64, 6]);
  const y = tf.sum(tf.square(x), 1, true);
  const { history } = await model.fit(x, y, { epochs, batchSize: 16, shuffle: false, verbose: 0 });
  const weights = [];
  for (const weight of model.getWeights()) weights.push(...(await weight.data()));
  return { losses: history.loss, weights };
}
