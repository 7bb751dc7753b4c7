/**
 * One process of `parallel.ts`: steps of SGDM on as many parameters as FCNet has, gradients given, with each reduction and several
 * keep probabilities; process 0 prints a line of JSON for each.
 */
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';

/** FCNet (784, 1000, 1000, 10): weights and biases. */
const SHAPES = [[784, 1000], [1000], [1000, 1000], [1000], [1000, 10], [10]];

const [steps = 5] = process.argv.slice(2).map(Number);
const group = await lrd.mpi();
const require = createRequire(import.meta.url);
setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'))}/dist/`);
await tf.setBackend('wasm');
const variables = SHAPES.map((shape, k) =>
  tf.variable(tf.randomNormal(shape, 0, 0.1, 'float32', k + 1), true, `v${k}`),
);
const gradients = Object.fromEntries(
  SHAPES.map((shape, k) => [`v${k}`, tf.randomNormal(shape, 0, 0.01, 'float32', 100 + 10 * group.rank + k)]),
);
const parameters = variables.reduce((sum, { size }) => sum + size, 0);
for (const keepProbability of [0.1, 0.3, 0.5]) {
  for (const reduction of ['kept', 'whole'] as const) {
    const optimizer = lrd.distributed(lrd.sgdm({ learningRate: 0.01, keepProbability, seed: 7n }), group, {
      reduction,
      checkEvery: 1e6,
    });
    optimizer.applyGradients(gradients);
    const [bytes, began, processor] = [group.traffic.bytes, performance.now(), process.cpuUsage()];
    for (let step = 0; step < steps; step++) optimizer.applyGradients(gradients);
    const { user, system } = process.cpuUsage(processor);
    const line = {
      processes: group.size,
      reduction,
      keepProbability,
      parameters,
      bytesPerStep: (group.traffic.bytes - bytes) / steps,
      shareOfWhole: (group.traffic.bytes - bytes) / steps / (4 * parameters),
      secondsPerStep: (performance.now() - began) / 1000 / steps,
      processorSecondsPerStep: (user + system) / 1e6 / steps,
    };
    if (group.size > 1) lrd.replicaOf(optimizer)?.compare(variables, `after ${steps} steps`);
    if (group.rank === 0) console.log(JSON.stringify(line));
    optimizer.dispose();
  }
}
group.close();
