import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { loadImageSet } from '../data/catalogue.ts';
import { initialise } from '../nets/initialise.ts';
import { graphModelOf } from '../nets/graphModel.ts';
import { denseNet } from '../nets/densenet.ts';
import { fcNet } from '../nets/fcnet.ts';
import type { Net } from '../nets/net.ts';
import { resNet } from '../nets/resnet.ts';
import { readArchive } from '../storage/safetensors.ts';
import { latest } from './testing/command.ts';
import { exportRun } from './exportRun.ts';
import { runTraining } from './runTraining.ts';

const test = suite('models/runs/exportRun');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-export-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

const run = join(scratch, 'run');
test.before(async () => {
  await runTraining({ recipe: 'fcnet', data: 'digits', width: 6, epochs: 1, limit: 300, seed: 4n, backend: 'cpu', out: run });
});

/** The largest difference of two lists of numbers. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.is(a.length, b.length);
  return Math.max(...Array.from(a, (value, k) => Math.abs(value - (b[k] as number))));
}

/** Loads what stands in a folder, as a page would over its network. */
async function loadFolder(folder: string): Promise<tf.GraphModel> {
  const model = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as tf.io.ModelJSON;
  const paths = model.weightsManifest.flatMap((group) => group.paths);
  const weightData = new Uint8Array(Buffer.concat(paths.map((path) => readFileSync(join(folder, path))))).buffer;
  const weightSpecs = model.weightsManifest.flatMap((group) => group.weights);
  return tf.loadGraphModel({ load: () => Promise.resolve({ ...model, weightSpecs, weightData }) });
}

/** A network with the values of the run's checkpoint. */
async function trained(): Promise<{ net: Net; x: tf.Tensor }> {
  const set = await loadImageSet('digits', undefined);
  const net = fcNet({ inputs: 64, classes: 10, width: 6, seed: 9n });
  const { tensors } = readArchive(latest(run));
  for (const { name, variable } of net.parameters) {
    const saved = tensors.get(`parameter/${name}`);
    variable.assign(tf.tensor(saved?.values as Float32Array, variable.shape));
  }
  const bytes = new Uint8Array(5 * 64);
  for (let k = 0; k < 5; k++) await set.test.images.read(k, 'plain', bytes.subarray(64 * k, 64 * (k + 1)));
  return { net, x: tf.tensor(Float32Array.from(bytes, (byte) => byte / set.maximum), [5, 8, 8, 1]) };
}

test('the tfjs model gives the logits of the trained network, for batches of any size', async () => {
  const folder = await exportRun({ folder: run, to: 'tfjs', out: join(scratch, 'tfjs') });
  const model = await loadFolder(folder);
  const { net, x } = await trained();
  const expected = net.forward(x, { training: false, step: 1 }).dataSync();
  assert.ok(apart((model.predict(x) as tf.Tensor).dataSync(), expected) < 1e-5);
  assert.ok(Math.max(...expected) - Math.min(...expected) > 0.01, 'logits that differ');
});

test("the safetensors file has PyTorch's names and layouts, and --init reads it back to the bit", async () => {
  const path = await exportRun({ folder: run, to: 'safetensors', out: join(scratch, 'net.safetensors') });
  const { tensors } = readArchive(path);
  assert.equal([...tensors].map(([name, { shape }]) => [name, shape]), [
    ['fc1.weight', [6, 64]], ['fc1.bias', [6]], ['fc2.weight', [6, 6]], ['fc2.bias', [6]], ['fc3.weight', [10, 6]], ['fc3.bias', [10]]]); // prettier-ignore
  const { net, x } = await trained();
  const other = fcNet({ inputs: 64, classes: 10, width: 6, seed: 77n });
  initialise(other, path);
  assert.is(apart(other.forward(x, { training: false, step: 1 }).dataSync(), net.forward(x, { training: false, step: 1 }).dataSync()), 0); // prettier-ignore
});

test('ResNets, a DenseNet and a ResNeXt are written down operation by operation', async () => {
  const nets: Readonly<Record<string, Net>> = {
    resnet18: resNet('resnet18', { classes: 5, width: 4, seed: 1n }),
    resnext50: resNet('resnext50', { classes: 5, width: 16, seed: 1n }),
    densenet121: denseNet('densenet121', { classes: 5, growth: 2, seed: 1n }),
  };
  for (const [name, net] of Object.entries(nets)) {
    const forward = (x: tf.Tensor): tf.Tensor => net.forward(x, { training: false, step: 1 });
    const { topology, weightSpecs, weights } = graphModelOf(forward, [32, 32, 3]);
    const artifacts = {
      modelTopology: topology,
      weightSpecs: weightSpecs as tf.io.WeightsManifestEntry[],
      weightData: new Uint8Array(Buffer.concat(weights)).buffer,
    };
    const model = await tf.loadGraphModel({ load: () => Promise.resolve(artifacts) });
    const x = tf.randomUniform([2, 32, 32, 3], -1, 1, 'float32', 3);
    const expected = forward(x).dataSync();
    const scale = Math.max(...expected.map(Math.abs));
    assert.ok(apart((model.predict(x) as tf.Tensor).dataSync(), expected) < 1e-4 * scale, name);
  }
}, { timeout: 120 });

test.run();
