/**
 * A page that trains: on WebGPU where the browser has it, else on WebGL or the CPU.
 *
 *     npx vite examples/browser            # serves it
 *     npx vite build examples/browser      # or builds it, into examples/browser/dist
 */
import * as tf from '@tensorflow/tfjs';
import * as lrd from 'learning-rate-dropout';
import { spirals } from '../spirals.ts';

const EPOCHS = 40;

function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} #${id}`);
  return found;
}
const keep = element('keep', HTMLInputElement);
const start = element('start', HTMLButtonElement);
const map = element('map', HTMLCanvasElement);
const status = element('status', HTMLElement);

/** Starts tfjs on the fastest backend that there is here. */
async function startBackend(): Promise<string> {
  try {
    await lrd.useWebGpu();
  } catch {
    // No adapter: tfjs picks from what it brings itself.
    await tf.ready();
  }
  // Gradients that tfjs lacks on the backend in use, for networks that need them.
  lrd.enableTraining();
  return tf.getBackend();
}

/** Every pixel's position, and how the network's answer is shown there. */
const side = map.width;
const grid = tf.tensor2d(
  Array.from({ length: side * side }, (_, i) => [(2 * (i % side)) / side - 1, (2 * Math.floor(i / side)) / side - 1]),
);
async function draw(model: tf.Sequential): Promise<void> {
  const answers = tf.tidy(() => (model.predict(grid) as tf.Tensor).slice([0, 0], [-1, 1]));
  const shares = await answers.data();
  answers.dispose();
  const image = new ImageData(side, side);
  shares.forEach((share, i) => {
    const colour = share > 0.5 ? [0, 114, 178] : [230, 159, 0];
    image.data.set([...colour, 55 + 200 * Math.abs(2 * share - 1)], 4 * i);
  });
  map.getContext('2d')?.putImageData(image, 0, 0);
}

async function train(): Promise<void> {
  start.disabled = true;
  const backend = await startBackend();
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [2], units: 48, activation: 'relu', kernelInitializer: 'heNormal' }),
      tf.layers.dense({ units: 48, activation: 'relu', kernelInitializer: 'heNormal' }),
      tf.layers.dense({ units: 2, activation: 'softmax' }),
    ],
  });
  const optimizer = lrd.adam({ learningRate: 0.01, keepProbability: Number(keep.value) });
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  const { x, y } = spirals(200);
  await model.fit(x, y, {
    epochs: EPOCHS,
    batchSize: 80,
    verbose: 0,
    callbacks: {
      onEpochEnd: async (epoch, logs) => {
        status.textContent = `Epoch ${epoch + 1} of ${EPOCHS} on ${backend}: loss ${logs?.['loss']?.toFixed(4)}`;
        await draw(model);
      },
    },
  });
  tf.dispose([x, y]);
  model.dispose();
  optimizer.dispose();
  start.disabled = false;
}

start.addEventListener('click', () => {
  train().catch((error: unknown) => {
    start.disabled = false;
    status.textContent = (error as Error).message;
  });
});
